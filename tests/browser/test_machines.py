"""The page of a person's machines: kept fresh, and asked twice before it cuts one off."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.browser.moments import shown_once
from tests.browser.scripted_server import ScriptedServer
from tests.waiting import until

PAGE = "/accounts/machines/"
READY = {
    "claude-code": {"state": "ready", "version": "2.1.330", "detail": "ada@mesh.example"},
    "codex": {"state": "not_signed_in", "version": "0.169.0", "detail": ""},
}
FULL = [
    made_up.machine(harnesses=READY, seen_at=datetime.now(UTC)),
    made_up.machine(
        "desk-under-the-stairs.lan",
        "offline",
        "asleep",
        id=made_up.LINK[:-1] + "b",
        harnesses=READY,
    ),
    made_up.machine("build", "offline", "too_old", id=made_up.LINK[:-1] + "c"),
    made_up.machine("old-laptop", "offline", "signed_out", id=made_up.LINK[:-1] + "d"),
    made_up.machine("new", "unknown", id=made_up.LINK[:-1] + "e", seen_at=None),
]


@pytest.fixture
def serve():
    """Return ``serve(*machines)``: a server whose person has these machines."""
    started = []

    def start(*machines, **told):
        started.append(ScriptedServer(links=list(machines), **told).start())
        return started[-1]

    yield start
    for server in started:
        server.stop()


def test_the_menu_leads_there(page, serve):
    page.goto(f"{serve(*FULL).url}/home/")
    page.locator(".user").click()
    page.get_by_role("link", name="Your machines").click()

    expect(page.get_by_role("heading", name="Your machines")).to_be_visible()
    expect(page.locator(".desk")).to_have_count(5)


def test_a_change_is_seen_at_once(page, serve):
    server = serve(made_up.machine())
    page.goto(server.url + PAGE)
    expect(page.locator(".desk__state")).to_have_text("online")

    server.change_link(state="offline", cause="network", sentence="It has lost its connection.")

    expect(page.locator(".desk__state")).to_have_text("offline · asleep or no network")
    expect(page.locator(".desk")).to_contain_text("It has lost its connection.")


def test_signing_out_is_asked_once_more_and_can_be_left(page, serve):
    server = serve(made_up.machine())
    page.goto(server.url + PAGE)
    page.get_by_role("button", name="Sign mbp out").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_be_hidden()

    page.get_by_role("button", name="Sign mbp out").click()
    server.change_link(cause="")  # a change meanwhile does not take the question away
    page.get_by_role("dialog").get_by_role("button", name="Sign mbp out").click()

    until(lambda: server.posts)
    assert [(post["link"], post["action"]) for post in server.posts] == [(made_up.LINK, "sign-out")]
    assert server.posts[0]["csrfmiddlewaretoken"] == "scripted"


def test_a_machine_is_asked_whether_it_is_there(page, serve):
    server = serve(made_up.machine())
    page.goto(server.url + PAGE)
    page.get_by_role("button", name="Check mbp now").click()

    until(lambda: server.posts)
    assert [post["action"] for post in server.posts] == ["check"]


def test_an_unreachable_server_is_reported(page, serve):
    server = serve(made_up.machine())
    page.goto(server.url + PAGE)
    server._run(server._send_all({"type": "links", "links": []}))  # it is connected

    server.cut(away=True)

    expect(page.locator("#away")).to_contain_text("may be out of date")
    server.come_back()
    expect(page.locator("#away")).to_be_hidden(timeout=30_000)


def test_the_command_is_copied(page, serve):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(serve().url + PAGE)
    with shown_once(page, "[data-copy]", "Copied"):
        page.get_by_role("button", name="Copy the command").click()

    assert page.evaluate("navigator.clipboard.readText()") == made_up.OFFER.uv


def test_it_needs_no_script_but_to_be_fresh(browser, serve):
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(serve(made_up.machine()).url + PAGE)
    plain.get_by_role("button", name="Sign mbp out").click()

    expect(plain.get_by_role("dialog")).to_be_visible()
    context.close()


def test_on_a_phone_it_fits_and_can_be_hit(browser, serve):
    context = browser.new_context(viewport={"width": 360, "height": 700}, has_touch=True)
    phone = context.new_page()
    phone.goto(serve(*FULL).url + PAGE)
    small = """() => [...document.querySelectorAll('.desk button, summary')]
      .filter((node) => node.checkVisibility() && node.getBoundingClientRect().height < 44)
      .map((node) => node.textContent)"""

    assert phone.evaluate("document.documentElement.scrollWidth") == 360
    assert phone.evaluate(small) == []
    context.close()


def test_nothing_is_refused_by_the_policy(page, serve):
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(serve(*FULL).url + PAGE)
    page.locator("summary").click()
    page.get_by_role("button", name="Sign mbp out").click()

    assert complaints == []
