"""The socket goes and comes back; nothing is missed and nothing stands twice."""

import re
from datetime import datetime, timedelta

from playwright.sync_api import expect

from tests.browser import made_up

CHAT = f"/home/threads/{made_up.THREAD}"


def opened(page, server, **fields):
    server.add_thread(messages=[made_up.mine("hi")], **fields)
    page.goto(server.url + CHAT)
    server.wait_until_followed()
    server.say(*made_up.begin(), made_up.delta("one "))
    page.get_by_text("one", exact=True).wait_for()


def test_what_was_said_while_the_line_was_cut_comes_once(page, server):
    opened(page, server)
    server.cut(away=True)
    server.say(made_up.delta("two "), made_up.delta("three "))
    expect(page.locator("#away")).to_have_text("Reconnecting…")
    server.come_back()

    expect(page.locator(".prose")).to_have_text("one two three", timeout=20_000)
    expect(page.locator("#away")).to_be_hidden()
    server.say(made_up.delta("four"), *made_up.end())
    expect(page.locator(".prose")).to_have_text("one two three four")


def test_a_message_that_comes_in_pieces_is_put_together(page, server):
    server.in_pieces = 10
    opened(page, server)

    server.say(made_up.delta("äöü 😀 "), made_up.delta("end"), *made_up.end())

    expect(page.locator(".prose")).to_have_text("one äöü 😀 end")
    assert server.takes_pieces  # as the page said


def test_a_blink_of_the_line_is_not_worth_a_word(page, server):
    opened(page, server)
    page.evaluate("""() => {
      window.said = [];
      new MutationObserver(() => window.said.push(document.querySelector('#away').hidden))
        .observe(document.querySelector('#away'), { attributes: true });
    }""")
    server.cut()
    server.say(made_up.delta("two"))

    expect(page.locator(".prose")).to_have_text("one two")
    assert False not in page.evaluate("window.said")


def test_a_socket_that_opens_and_says_nothing_is_given_up(page, server):
    page.clock.install()
    opened(page, server)
    server.is_silent = True
    server.cut()
    page.clock.run_for(1_000)  # it comes back, to silence
    server.say(made_up.delta("two"))
    server.is_silent = False
    page.clock.run_for(10_000)

    expect(page.locator(".prose")).to_have_text("one two")


def test_a_network_that_is_back_ends_the_pause_although_the_old_socket_never_closed(page, server):
    # Where nothing answers, a socket that was given up stays in its closing handshake.
    page.add_init_script("""
        window.given_up = 0;
        WebSocket.prototype.close = () => { window.given_up += 1; };
        window.made = 0;
        window.WebSocket = class extends WebSocket {
          constructor(url) { super(url); window.made += 1; }
        };
    """)
    page.clock.install()
    opened(page, server)
    server.is_silent = True
    server.cut()  # it comes back, to silence
    page.clock.pause_at(datetime.now() + timedelta(seconds=1))
    for _ in range(200):
        page.clock.run_for(100)
        if page.evaluate("window.given_up"):
            break  # now the pause before the third attempt has begun

    page.evaluate("dispatchEvent(new Event('online'))")

    assert page.evaluate("[window.given_up, window.made]") == [1, 3]


def test_an_older_list_that_comes_late_does_not_replace_a_newer_one(page, server):
    opened(page, server, title="Name")
    held = []
    page.route("**/live?*", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/live?*"):
        server.change(status="in_progress")
    server.change(title="New name")
    expect(page.locator("#threads")).to_contain_text("New name")

    with page.expect_response("**/live?*"):
        held[0].fulfill(body='<nav id="threads">Old name</nav>', content_type="text/html")

    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(page.locator("#threads")).to_contain_text("New name")


def test_the_list_follows_without_moving_the_focus(page, server):
    server.add_thread("55555555-1111-4111-8111-111111111111", title="Another one")
    opened(page, server, title="This one")
    page.locator("#row-55555555-1111-4111-8111-111111111111 a").focus()

    server.change("55555555-1111-4111-8111-111111111111", status="requires_action")

    expect(page.locator("#group-needs")).to_contain_text("Another one")
    expect(page.locator("#row-55555555-1111-4111-8111-111111111111 a")).to_be_focused()
    expect(page).to_have_title(re.compile(r"^\(1\) "))


def test_an_open_popover_stays_open_with_fresh_rows(page, server):
    opened(page, server)
    page.locator("#agent-pill").click()
    server.chat = made_up.chat(made_up.section("demo", "Demo", ("A", "B", "C")))
    server.change(title="Renamed")

    expect(page.locator("#threads")).to_contain_text("Renamed")
    expect(page.get_by_role("group", name="Demo")).to_be_visible()


def test_a_machine_that_goes_away_is_named(page, server):
    opened(page, server)
    server.say(*made_up.end())
    server.change_link(state="offline", cause="network")

    expect(page.locator("#machines")).to_contain_text("offline · asleep or no network")
    expect(page.locator("#notice")).to_contain_text("mbp is offline.")


def test_a_page_that_was_offline_for_too_long_reloads(page, server):
    opened(page, server)
    page.evaluate("window.isOld = true")

    with page.expect_navigation():
        server.tell({"type": "error", "thread": made_up.THREAD, "code": "cursor_too_old"})

    assert not page.evaluate("window.isOld")
    expect(page.get_by_text("hi", exact=True)).to_be_visible()
