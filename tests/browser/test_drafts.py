"""What is typed belongs to one tab; what a closed tab has left is found once."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.waiting import until

THREAD = f"/home/threads/{made_up.THREAD}"


@pytest.fixture
def tab(page, server):
    """Return ``tab(path)``: another tab of the same browser, on that page."""

    def opened(path="/home/"):
        new = page.context.new_page()
        new.goto(server.url + path)
        expect(new.locator("body")).to_have_attribute("data-ready", "")
        return new

    return opened


@pytest.mark.parametrize("path", ["/home/", THREAD], ids=["new chat", "thread"])
def test_each_tab_has_its_own_draft(tab, server, path):
    server.add_thread()
    ada, bob = tab(path), tab(path)
    ada.locator("#text").fill("in the first")
    bob.locator("#text").fill("in the second")
    ada.reload()
    bob.reload()

    expect(ada.locator("#text")).to_have_value("in the first")
    expect(bob.locator("#text")).to_have_value("in the second")
    expect(tab(path).locator("#text")).to_have_value("")


def test_sending_in_one_tab_leaves_the_draft_of_another(tab, server):
    first, second = tab(), tab()
    first.locator("#text").fill("half a thought")
    second.locator("#text").fill("a question")
    second.keyboard.press("Enter")
    until(lambda: server.posts)
    first.reload()

    expect(first.locator("#text")).to_have_value("half a thought")
    assert server.posts[0]["messages"][0]["parts"] == [{"type": "text", "text": "a question"}]


def test_the_draft_of_a_closed_tab_is_found_by_one_new_chat(tab):
    closed, heir = tab(), tab()
    closed.locator("#text").fill("precious words")
    close(closed, seen_by=heir)
    heir.reload()

    expect(heir.locator("#text")).to_have_value("precious words")
    expect(tab().locator("#text")).to_have_value("")


def test_what_a_tab_could_not_send_no_other_tab_shows_until_it_is_closed(tab, server):
    server.add_thread()
    sending = tab(THREAD)
    sending.route("**/messages", lambda route: route.abort("failed"))
    sending.locator("#text").fill("precious words")
    sending.keyboard.press("Enter")
    expect(sending.locator(".message--mine .card")).to_be_visible()
    other = tab(THREAD)
    expect(other.locator(".bubble")).to_have_count(0)

    close(sending, seen_by=other)
    other.reload()
    other.get_by_role("button", name="Try again").click()

    until(lambda: len(server.posts) == 1)
    expect(other.locator(".message--mine .card")).to_have_count(0)
    assert other.evaluate("Object.keys(localStorage)") == []


def test_a_copy_of_a_tab_is_a_tab_of_its_own(tab):
    first, copy = tab(), tab()
    first.locator("#text").fill("in the first")
    copy.evaluate("id => sessionStorage.setItem('mesh:tab', id)", remembered(first))
    copy.reload()

    expect(copy.locator("#text")).to_be_visible()
    until(lambda: remembered(copy) != remembered(first))
    expect(copy.locator("#text")).to_have_value("")
    expect(first.locator("#text")).to_have_value("in the first")


def close(page, *, seen_by):
    """Close a tab. Its lock goes with it, which the other tabs hear a moment later."""
    gone = f"mesh:tab:{remembered(page)}"
    page.close()
    held = "async () => (await navigator.locks.query()).held.map(({ name }) => name)"
    until(lambda: gone not in seen_by.evaluate(held), what="the closed tab's lock is free")


def remembered(page):
    return page.evaluate("sessionStorage.getItem('mesh:tab')")


def test_what_an_older_version_kept_is_found(page, server):
    page.goto(f"{server.url}/home/")
    page.evaluate("localStorage.setItem('mesh:draft:home:new', 'from before')")
    page.reload()

    expect(page.locator("#text")).to_have_value("from before")


def test_without_the_browser_s_locks_a_closed_tab_s_draft_is_found(page, tab, server):
    page.context.add_init_script("Object.defineProperty(navigator, 'locks', {value: undefined})")
    closed, open_one = tab(), tab()
    closed.locator("#text").fill("precious words")
    open_one.locator("#text").fill("mine")
    gone = remembered(closed)
    closed.goto("about:blank")
    closed.close()
    # The browser's processes hear from one another what is stored, a moment later.
    until(lambda: has_left(gone, seen_by=open_one), what="it is known to be closed")
    page.context.add_init_script("const now = Date.now; Date.now = () => now() + 6000;")

    expect(tab().locator("#text")).to_have_value("precious words")
    expect(open_one.locator("#text")).to_have_value("mine")


def has_left(tab_id, *, seen_by):
    read = "id => JSON.parse(localStorage.getItem(`mesh:tab:${id}`)).left"
    return seen_by.evaluate(read, tab_id)
