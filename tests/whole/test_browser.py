"""A newcomer's way through the page, against the real processes."""

import re

import pytest
from playwright.sync_api import expect

from tests.running import events, text_of
from tests.waiting import until

pytestmark = pytest.mark.browser

TWENTY = ", ".join(map(str, range(1, 21)))


@pytest.fixture
def signed_in(mesh, page):
    """The page of the shared Mesh, signed in as its owner."""
    page.context.add_cookies([{"name": "mesh_session", "value": mesh.session(), "url": mesh.url}])
    page.goto(mesh.url)
    return page


def test_sign_in_send_watch_reload_and_miss_nothing(breakable, page):
    mesh = breakable
    page.goto(mesh.address)
    page.get_by_role("textbox").fill("count slowly to twenty")
    page.keyboard.press("Enter")

    # The text grows while the run goes on …
    page.wait_for_url(re.compile("/home/threads/"))
    page.get_by_text("1, 2, 3").wait_for()
    thread = page.url.rsplit("/", 1)[1]
    with mesh.client() as api:
        assert api.get(f"/threads/{thread}").json()["status"] == "running"

    # … a reload in the middle loses nothing …
    page.reload()
    page.get_by_text("1, 2, 3").wait_for()
    with mesh.client() as api:
        assert api.get(f"/threads/{thread}").json()["status"] == "running"
    page.get_by_text(TWENTY).wait_for()

    # … and in the end page, journal and stored answer say the same.
    with mesh.client() as api:
        until(lambda: api.get(f"/threads/{thread}").json()["status"] == "completed")
        journal = []
        for one in events(api, thread, after=0):
            journal.append(one)
            if one[1]["type"] == "finish":
                break
    shown = page.locator(".part--text").all_inner_texts()
    assert "".join(shown).strip() == text_of(journal).strip()
    page.reload()
    page.get_by_text(TWENTY).wait_for()
    assert page.locator(".part--text").all_inner_texts() == shown


def test_a_question_is_answered_on_the_page(signed_in):
    page = signed_in
    page.get_by_role("textbox").fill("ask")
    page.keyboard.press("Enter")

    page.get_by_role("button", name="Allow").click()

    page.get_by_text("The command is done.").wait_for()
    expect(page.get_by_role("button", name="Allow")).to_be_hidden()


def test_what_waits_is_the_same_on_every_device_and_can_be_handed_over(signed_in, mesh):
    page = signed_in
    page.get_by_role("textbox").fill("count slowly to 100")
    page.keyboard.press("Enter")
    page.get_by_text("1, 2, 3").wait_for()
    other = page.context.new_page()
    other.goto(page.url)
    for text in ("and the weather?", "and then?"):
        page.get_by_role("textbox", name="Message").fill(text)
        page.keyboard.press("Enter")
    for device in (page, other):
        expect(device.locator(".queue__text")).to_have_text(["and the weather?", "and then?"])

    row = other.locator(".queue__item", has_text="and then?")
    row.get_by_role("button", name="Move up").click()
    for device in (page, other):
        expect(device.locator(".queue__text")).to_have_text(["and then?", "and the weather?"])
    page.locator(".queue__item", has_text="weather").get_by_role("button", name="Send now").click()

    for device in (page, other):
        expect(device.locator(".steer .bubble")).to_have_text("and the weather?")
        device.get_by_text("You say in between: and the weather?").wait_for()
        expect(device.locator(".queue__text")).to_have_text(["and then?"])
    page.get_by_role("button", name="Stop").click()


def test_always_is_asked_once_and_named_in_the_list(signed_in):
    page = signed_in
    page.locator("#level").select_option("readonly")
    for n in (1, 2):
        page.get_by_role("textbox", name="Message").fill("run echo hello")
        page.keyboard.press("Enter")
        if n == 1:
            rule = page.locator(".approval__rule")
            expect(rule).to_contain_text(
                "the command “echo hello” in the working folder, exactly as it stands"
            )
            page.get_by_role("button", name="Always").click()
        expect(page.get_by_text("The command is done.")).to_have_count(n)

    page.get_by_role("button", name="1 rule").click()
    page.get_by_role("button", name="Ask again about").click()
    expect(page.get_by_role("button", name="1 rule")).to_have_count(0)


def test_stop_is_seen_at_once(signed_in):
    page = signed_in
    page.get_by_role("textbox").fill("count slowly to a hundred")
    page.keyboard.press("Enter")
    page.get_by_text("1, 2, 3").wait_for()

    page.get_by_role("button", name="Stop").click()

    page.get_by_text(re.compile("Stopped")).first.wait_for(timeout=5_000)


def test_the_server_goes_away_and_comes_back_under_the_page(breakable, page):
    mesh = breakable
    page.goto(mesh.address)
    page.get_by_role("textbox").fill("count slowly to twenty")
    page.keyboard.press("Enter")
    page.get_by_text("1, 2, 3").wait_for()

    mesh.kill_server()
    page.get_by_text(re.compile("Reconnecting")).first.wait_for()
    mesh.start()

    page.get_by_text(TWENTY).wait_for(timeout=60_000)


def test_a_page_of_nobody_is_the_sign_in(mesh, page):
    page.goto(f"{mesh.url}/home/")

    expect(page.get_by_role("button", name=re.compile("Sign in"))).to_be_visible()
