"""What a person does while the page is still coming is neither lost nor taken from them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.browser.searching import search_in_vain_and_leave
from tests.waiting import until

CHAT = f"/home/threads/{made_up.THREAD}"
SCRIPT = re.compile(r"/page[.\w]*\.js")
# The browser grants a tab its lock when ``grant`` is called.
SLOW_LOCKS = """
  const request = navigator.locks.request.bind(navigator.locks);
  const granted = new Promise((resolve) => { window.grant = resolve; });
  navigator.locks.request = (...given) => granted.then(() => request(...given));
"""


@pytest.fixture
def coming(page, server):
    """Return ``coming(path)``: the page of that path, without its script, and what lets it in."""

    def go(path="/home/"):
        held, is_in = [], []
        page.unroute_all()
        page.route(SCRIPT, lambda route: route.continue_() if is_in else held.append(route))
        page.goto(server.url + path, wait_until="commit")
        expect(page.locator("#text")).to_be_visible()

        def arrive():
            is_in.append(True)
            for route in held:
                route.continue_()

        return arrive

    return go


def test_a_person_who_types_in_the_search_keeps_the_focus(page, server, coming):
    server.add_thread(title="Fix the login")
    arrive = coming()
    page.locator("#search").click()
    page.keyboard.type("zz")
    arrive()

    expect(page.get_by_text("No chat has these words")).to_be_visible()
    page.keyboard.type("z")
    expect(page.locator("#search")).to_have_value("zzz")
    expect(page.locator("#search")).to_be_focused()


def test_what_is_written_meanwhile_is_kept(page, server, coming):
    arrive = coming()
    page.locator("#text").fill("precious words")
    arrive()

    expect(page.locator("#send")).to_be_enabled()
    expect(page.locator("#text")).to_have_value("precious words")


def test_what_is_written_meanwhile_stands_behind_the_draft(page, server, coming):
    arrive = coming()
    arrive()
    page.locator("#text").fill("from before")
    expect(page.locator("#send")).to_be_enabled()  # the script is there
    arrive = coming()
    page.locator("#text").fill("and more")
    arrive()

    expect(page.locator("#text")).to_have_value("from before\n\nand more")


def test_the_keys_work_while_the_tab_has_no_name_yet(page, server):
    page.add_init_script(SLOW_LOCKS)
    server.add_thread(title="Fix the login")
    page.goto(f"{server.url}/home/")
    search_in_vain_and_leave(page)


def test_a_message_goes_out_as_soon_as_the_tab_has_its_name(page, server):
    page.add_init_script(SLOW_LOCKS)
    server.add_thread()
    page.goto(server.url + CHAT)
    page.locator("#text").fill("hi")
    page.keyboard.press("Enter")
    page.keyboard.type("and then")
    expect(page.locator(".bubble")).to_have_text("hi")
    assert server.posts == []

    page.evaluate("grant()")

    until(lambda: server.posts)
    expect(page.locator("#text")).to_have_value("and then")
    page.reload()
    page.evaluate("grant()")
    expect(page.locator("#text")).to_have_value("and then")


def test_a_draft_survives_leaving_before_the_tab_has_its_id(page, server):
    page.add_init_script(SLOW_LOCKS)
    page.goto(f"{server.url}/home/")
    page.locator("#text").fill("precious words")
    page.goto(f"{server.url}/home/")
    page.evaluate("grant()")

    expect(page.locator("#text")).to_have_value("precious words")
