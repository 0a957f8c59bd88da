"""What an agent runs in the background stands above the composer until it has ended."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.waiting import until

TASK = {"id": "b1", "title": "npm test", "kind": "command", "startedAt": 0.0, "isStopping": False}
AGENT = {**TASK, "id": "b2", "title": "Looks for the fault", "kind": "agent"}
OWN = "90000000-3333-4333-8333-333333333333"


@pytest.fixture
def opened(page, server):
    """Return ``opened(*tasks)``: a page of a chat whose agent runs them."""

    def open_page(*tasks, **fields):
        messages = [made_up.mine("go"), made_up.answer(made_up.text("Begun."))]
        server.add_thread(messages=messages, title="Go", background=list(tasks), **fields)
        page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
        server.wait_until_followed()
        return page

    return open_page


def rows(page):
    return page.locator(".background__row")


def test_it_is_shown_on_a_page_that_comes_later(opened):
    began = time.time() - 190
    page = opened({**TASK, "startedAt": began}, AGENT)

    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("Running in the background: npm test")
    expect(rows(page).first.locator(".background__time")).to_have_text(re.compile("^3 min"))
    expect(rows(page).last.locator("use").first).to_have_attribute("href", "#i-bot")


def test_it_comes_and_goes_on_an_open_page(opened, server):
    page = opened()
    expect(page.locator("#background")).to_be_hidden()
    server.change(background=[TASK])
    expect(rows(page)).to_have_count(1)

    server.change(background=[])

    expect(page.locator("#background")).to_be_hidden()
    said = page.get_by_role("status").filter(has_text="No longer running in the background")
    expect(said).to_have_text("No longer running in the background: npm test")


def test_two_tabs_show_the_same(opened, server, context):
    page = opened()
    other = context.new_page()
    other.goto(page.url)
    until(lambda: len(server._follows) == 2, what="both follow")

    server.change(background=[TASK])

    for each in (page, other):
        expect(rows(each)).to_have_count(1)


def test_one_of_it_is_stopped(opened, server):
    page = opened(TASK, AGENT)

    page.get_by_role("button", name="Stop npm test").click()

    until(lambda: ("DELETE", "background/b1", None) in server.asked, what="it is stopped")
    server.change(background=[{**TASK, "isStopping": True}, AGENT])
    expect(rows(page).first.locator(".background__state")).to_have_text("Stopping…")
    expect(page.get_by_role("button", name="Stop Looks for")).to_be_enabled()


def test_with_the_keyboard_alone_the_focus_is_not_lost(opened, server):
    page = opened(TASK)
    page.get_by_role("button", name="Stop npm test").focus()
    page.keyboard.press("Enter")
    until(lambda: server.asked, what="it is stopped")
    server.change(background=[{**TASK, "isStopping": True}])
    expect(rows(page)).to_be_focused()

    server.change(background=[])

    expect(page.get_by_role("textbox", name="Message")).to_be_focused()


def test_a_stop_that_is_refused_says_why(opened, server):
    page = opened(TASK)
    server.refusal = (502, {"code": "x", "message": "It can't be reached.", "hint": "Wait."})

    page.get_by_role("button", name="Stop npm test").click()

    expect(page.locator(".background .card__refused")).to_have_text("It can't be reached. Wait.")
    expect(page.get_by_role("button", name="Stop npm test")).to_be_enabled()


def test_a_stop_waits_for_a_machine_that_is_away(opened):
    away = made_up.as_json(made_up.machine(state="offline"))
    page = opened({**TASK, "isStopping": True}, machine=away)

    expect(rows(page).locator(".background__state")).to_have_text("Stops when mbp is back")


def test_titles_hide_nothing(opened):
    page = opened({**TASK, "title": "echo \u202ehi"})

    expect(rows(page)).to_contain_text("echo ⟨U+202E⟩hi")


def test_a_long_title_makes_no_page_wide(opened, page):
    page.set_viewport_size({"width": 390, "height": 844})
    opened({**TASK, "title": "x" * 300})
    expect(rows(page)).to_have_count(1)

    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert rows(page).get_by_role("button").bounding_box()["width"] >= 44


def test_what_the_agent_begins_by_itself_is_an_answer_of_its_own(opened, server):
    page = opened(TASK)
    words = made_up.began("Claude Code began this by itself: npm test has ended.", "s-1")
    heard = {"type": "data-user-message", "id": "s-1", "data": {"message": words}}
    status = made_up.status("dispatched", prompt="s-1", run=OWN)
    server.say(heard, status, run=OWN)
    server.say(*made_up.begin(run=OWN)[-2:], made_up.delta("It passed."), run=OWN)

    expect(page.locator(".message").nth(2)).to_have_text(
        "Claude Code began this by itself: npm test has ended."
    )
    expect(page.locator(".message--answer").last).to_contain_text("It passed.")
    expect(page.get_by_role("button", name="Stop the agent")).to_be_visible()
