"""Connecting a desktop: the command, the waiting, and what is said when it is there."""

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.browser.moments import shown_once
from tests.browser.scripted_server import ScriptedServer

ONLINE = {"state": "online", "cause": ""}


def harnesses(**states):
    return {name.replace("_", "-"): {"state": state} for name, state in states.items()}


@pytest.fixture
def serve():
    """Return ``serve(*machines)``: a server whose person has these machines."""
    started = []

    def start(*machines):
        started.append(ScriptedServer(links=list(machines)).start())
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def opened(page, serve):
    """Return ``opened(*machines)``: the server, with the dialog open on the page."""

    def open_it(*machines):
        server = serve(*machines)
        page.goto(f"{server.url}/home/")
        page.locator(".user").click()
        page.get_by_role("button", name="Connect a desktop").click()
        expect(page.locator("#connect")).to_be_visible()
        return server

    return open_it


def offline(**fields):
    return made_up.machine(state="offline", **{"cause": "stopped", **fields})


def test_without_a_desktop_a_new_chat_offers_it(page, serve):
    page.goto(f"{serve().url}/home/")

    expect(page.locator(".tile")).to_contain_text("Use Claude Code, Codex, or your local files.")
    expect(page.locator("#machines")).to_contain_text("Connect your desktop")


def test_with_one_online_it_does_not(page, serve):
    page.goto(f"{serve(made_up.machine()).url}/home/")

    expect(page.locator("#machines")).to_contain_text("online")
    expect(page.locator(".tile")).to_have_count(0)


def test_it_shows_the_command_of_this_server_and_waits(page, opened):
    opened()

    expect(page.locator("#connect-uv")).to_have_text(made_up.OFFER.uv)
    expect(page.locator("#connect")).to_contain_text("Waiting for your desktop…")
    expect(page.locator("#connect-pip")).to_be_hidden()
    page.locator("#connect summary").click()
    expect(page.locator("#connect-pip")).to_have_text(made_up.OFFER.pip)


def test_the_command_is_copied(page, opened):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened()

    with shown_once(page, "[data-copy=connect-uv]", "Copied"):
        page.get_by_role("button", name="Copy the command", exact=True).click()

    assert page.evaluate("navigator.clipboard.readText()") == made_up.OFFER.uv


def test_it_closes_itself_when_the_desktop_is_there(page, opened):
    server = opened(offline())

    server.change_link(**ONLINE, harnesses=harnesses(claude_code="ready", codex="absent"))

    expect(page.locator("#connect")).to_contain_text("mbp is online")
    expect(page.locator("#connect")).to_contain_text("Available: Claude Code")
    expect(page.locator("#say")).to_have_text("mbp is online.")
    expect(page.locator("#connect")).to_be_hidden()
    expect(page.locator(".tile")).to_have_count(0)


def test_one_that_was_online_before_closes_nothing(page, opened):
    server = opened(offline(), made_up.machine(name="desk", id="other"))

    server.change_link(cause="network")

    expect(page.locator("#connect")).to_contain_text("desk is online")
    expect(page.locator("#connect")).to_contain_text("Waiting for another desktop…")
    expect(page.locator("#connect")).to_be_visible()


def test_without_any_agent_it_stays_and_says_what_to_install(page, opened):
    server = opened(offline())

    server.change_link(**ONLINE, harnesses=harnesses(claude_code="absent", codex="not_signed_in"))

    state = page.locator("#connect-state")
    expect(state).to_contain_text("No CLI agent was found on it.")
    expect(state.locator("code")).to_have_text("npm install -g @anthropic-ai/claude-code")
    expect(state).to_contain_text("Run codex login in a terminal there.")
    expect(page.locator("#connect")).to_be_visible()


def test_a_program_of_another_version_is_shown(page, opened):
    opened(offline(cause="too_old"))

    expect(page.locator("#connect-state")).to_contain_text("mbp needs an update")


def test_escape_and_a_click_beside_it_close_it(page, opened):
    opened()
    page.keyboard.press("Escape")
    expect(page.locator("#connect")).to_be_hidden()

    page.locator(".tile").click()
    expect(page.locator("#connect")).to_be_visible()
    page.mouse.click(5, 5)
    expect(page.locator("#connect")).to_be_hidden()


def test_a_click_within_it_does_not(page, opened):
    opened()

    page.locator("#connect-title").click()

    expect(page.locator("#connect")).to_be_visible()


def test_the_menu_offers_it_too_and_steps_aside(page, serve):
    page.goto(f"{serve(made_up.machine()).url}/home/")
    page.locator(".user").click()

    page.get_by_role("button", name="Connect a desktop").click()

    expect(page.locator("#connect")).to_be_visible()
    expect(page.locator("#user-menu")).to_be_hidden()


def test_on_a_phone_it_is_a_sheet_that_fits(browser, serve):
    context = browser.new_context(
        viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True
    )
    phone = context.new_page()
    phone.goto(f"{serve().url}/home/")
    phone.locator(".tile").tap()
    phone.locator("#connect summary").tap()

    sheet = phone.locator("#connect")
    sheet.evaluate("node => Promise.all(node.getAnimations().map((each) => each.finished))")
    box = sheet.bounding_box()
    assert (box["x"], box["width"]) == (0, 390)
    assert box["y"] + box["height"] == 700
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    small = """() => [...document.querySelectorAll('#connect button, #connect summary')]
      .filter((node) => node.getBoundingClientRect().height < 44).length"""
    assert phone.evaluate(small) == 0
    context.close()
