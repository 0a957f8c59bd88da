"""A page that stays open while the server is upgraded."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser import made_up

CHAT = f"/home/threads/{made_up.THREAD}"
UPGRADED = "Mesh has been upgraded."
MISSING = "A part of this page could not be loaded."


def test_a_page_of_the_server_s_own_version_says_nothing(page, server):
    server.add_thread(messages=[made_up.mine("go")], title="Go")
    server.open(page, CHAT)
    server.wait_until_followed(made_up.THREAD)

    expect(page.locator("#stale")).to_be_hidden()


def test_a_server_of_another_version_is_told_and_what_was_written_stays(page, server):
    server.add_thread(messages=[made_up.mine("go")], title="Go")
    server.open(page, CHAT)
    server.wait_until_followed(made_up.THREAD)
    page.locator("#text").fill("half a thought")

    server.version = "2"
    server.cut()

    expect(page.locator("#stale")).to_contain_text(UPGRADED)
    page.get_by_role("button", name="Reload").click()
    expect(page.locator("#stale")).to_be_hidden()
    expect(page.locator("#text")).to_have_value("half a thought")


def test_where_a_script_of_the_page_is_gone_it_says_so_and_a_reload_shows_the_buttons(page, server):
    server.add_thread(messages=[made_up.mine("go")], title="Go")
    server.open(page, CHAT)
    server.wait_until_followed(made_up.THREAD)
    page.route("**/approvals*.js", lambda route: route.fulfill(status=404))

    server.say(*made_up.begin(), *made_up.ask("rm -rf build"))

    expect(page.locator("#stale")).to_contain_text(MISSING)
    page.unroute("**/approvals*.js")
    page.get_by_role("button", name="Reload").click()
    expect(page.get_by_role("button", name="Allow", exact=True)).to_be_visible()
