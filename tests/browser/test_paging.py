"""Long conversations and long lists: what is not loaded comes when it is reached."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.browser.moments import shown_once
from tests.waiting import until

CHAT = f"/home/threads/{made_up.THREAD}"
AWAY = (503, {"code": "unavailable", "message": "The database is away.", "hint": ""})
TOP_OF = """text => [...document.querySelectorAll('.bubble')]
  .find(node => node.textContent === text)?.getBoundingClientRect().top"""


def conversation(turns):
    long = "\n\n".join(f"A paragraph of some length, number {n}." for n in range(6))
    found = []
    for number in range(1, turns + 1):
        found.append(made_up.mine(f"question {number}", f"m-{number}"))
        found.append(made_up.answer(made_up.text(f"Answer {number}.\n\n{long}"), id=f"a-{number}"))
    return found


@pytest.fixture
def opened(page, server):
    """Return ``opened(turns, …)``: the page of a thread, connected."""

    def open_it(turns=60, *, fragment="", per_page=10):
        server.turns = per_page
        server.add_thread(messages=conversation(turns))
        page.goto(server.url + CHAT + fragment)
        server.wait_until_followed()
        return page

    return open_it


@pytest.fixture
def listed(page, server):
    """Return ``listed(count)``: a page with as many chats, a few to a page of the list."""

    def open_it(count=60, *, per_page=40, path="/home/"):
        server.per_page = per_page
        for number in range(1, count + 1):
            server.add_thread(f"{number:08d}-0000-4000-8000-000000000000", title=f"Chat {number}")
        page.goto(server.url + path)
        return page

    return open_it


def row(page, title):
    return page.locator(".row").filter(has=page.get_by_text(title, exact=True))


def scroll_up(page, pixels):
    page.locator("#transcript").hover()
    page.mouse.wheel(0, -pixels)


def bubble(page, text):
    return page.locator(".bubble").get_by_text(text, exact=True)


def test_a_thread_opens_with_its_newest_messages(opened):
    page = opened()

    expect(bubble(page, "question 60")).to_be_in_viewport()
    assert (
        page.evaluate(
            "JSON.parse(document.getElementById('page-data').textContent).messages.length"
        )
        == 20
    )


def test_older_messages_come_when_the_reader_goes_up_until_the_first(opened):
    page = opened()

    for _ in range(60):
        if bubble(page, "question 1").count():
            break
        scroll_up(page, 3_000)
        page.wait_for_timeout(0)
    bubble(page, "question 1").wait_for()

    asked = page.locator(".bubble").all_text_contents()
    assert asked == [f"question {n}" for n in range(1, 61)]
    expect(page.locator(".earlier")).to_be_hidden()


def test_what_is_read_stays_where_it_is_when_older_messages_come(opened, server):
    page = opened(per_page=10)
    page.evaluate("document.querySelector('#transcript').scrollTop = 400")
    until(lambda: ("GET", "messages", {"page": "older-50", "short": "true"}) in server.asked)
    bubble(page, "question 41").wait_for(state="attached")

    with page.expect_response("**/messages?page=older-40&*"):
        page.evaluate("document.querySelector('#transcript').scrollTop = 100")
        before = page.evaluate(TOP_OF, "question 41")
    bubble(page, "question 31").wait_for(state="attached")

    until(lambda: abs(page.evaluate(TOP_OF, "question 41") - before) < 2)


def test_older_messages_by_keyboard(opened, server):
    page = opened(25, per_page=10)
    button = page.get_by_role("button", name="Older messages")
    for oldest in (6, 1):  # ten turns to a page
        button.focus()
        page.keyboard.press("Enter")
        expect(bubble(page, f"question {oldest}")).to_have_count(1)


def test_older_messages_that_do_not_come_say_so_and_are_asked_for_again(opened, server):
    server.page_refusal = AWAY
    page = opened()
    page.evaluate("document.querySelector('#transcript').scrollTop = 0")
    again = page.get_by_role("button", name="Could not load older messages: The database is away.")
    expect(again).to_be_visible()

    server.page_refusal = None
    again.click()

    expect(bubble(page, "question 45")).to_have_count(1)


def test_going_up_in_the_moment_of_a_jump_to_the_end_is_going_up(opened, server):
    page = opened(30, per_page=30)
    page.evaluate("document.querySelector('#transcript').scrollTop = 0")
    server.say(made_up.heard("m-new", [{"type": "text", "text": "now"}]))
    page.locator("#newer").wait_for()
    page.evaluate("""() => {
      document.querySelector('#newer').click();
      document.querySelector('#transcript').scrollTop = 0;
    }""")
    server.say(made_up.heard("m-2", [{"type": "text", "text": "and now"}]), run="r-2")
    bubble(page, "and now").wait_for(state="attached")

    expect(bubble(page, "question 1")).to_be_in_viewport()


def test_live_words_arrive_once_while_older_messages_are_loaded(opened, server):
    page = opened()
    server.say(made_up.heard("m-new", [{"type": "text", "text": "now"}]))
    server.say(*(made_up.status(state, prompt="m-new") for state in ("queued", "running")))
    page.evaluate("document.querySelector('#transcript').scrollTop = 0")
    server.say(*made_up.begin()[2:], made_up.delta("Working on it"))
    bubble(page, "question 41").wait_for(state="attached")
    server.cut()
    server.wait_until_followed()
    server.say(made_up.delta(" still."))

    expect(page.get_by_text("Working on it still.", exact=True)).to_have_count(1)
    expect(bubble(page, "now")).to_have_count(1)
    expect(page.locator(".bubble").last).to_have_text("now")


def test_events_of_an_answer_further_up_do_not_appear_at_the_end(opened, server):
    page = opened()
    server.say({"type": "data-carried-out", "data": {"threadId": "x"}}, run="a-3")
    server.say(made_up.status("completed", prompt="m-3", run="a-3"), run="a-3")
    server.say(made_up.heard("m-new", [{"type": "text", "text": "now"}]), run="r-new")
    bubble(page, "now").wait_for()

    assert page.locator(".message--answer").count() == 10
    expect(page.get_by_text("a new chat")).to_have_count(0)


@pytest.mark.parametrize("name", ["m-50", "a-50"])
def test_a_link_to_a_loaded_message_opens_at_it(opened, name):
    page = opened(60, fragment=f"#message-{name}", per_page=30)

    expect(page.locator(f"#message-{name}")).to_be_in_viewport()
    expect(page.locator(f"#message-{name}")).to_be_focused()


def test_a_link_to_a_message_far_up_opens_at_it_and_reads_on_to_the_end(opened):
    page = opened(200, fragment="#message-m-20", per_page=10)
    expect(bubble(page, "question 20")).to_be_in_viewport()
    expect(bubble(page, "question 100")).to_have_count(0)

    scroll = "void document.querySelector('.message + .earlier')?.scrollIntoView()"
    gap = page.locator(".message + .earlier")
    until(lambda: page.evaluate(scroll) or not gap.count())

    asked = page.locator(".bubble").all_text_contents()
    first = int(asked[0].split()[1])
    assert asked == [f"question {n}" for n in range(first, 201)]


def test_from_a_message_far_up_the_way_to_the_end_is_one_click(opened, server):
    page = opened(200, fragment="#message-m-20", per_page=10)
    expect(bubble(page, "question 20")).to_be_in_viewport()

    server.say(made_up.heard("m-new", [{"type": "text", "text": "now"}]))
    page.locator("#newer").click()

    expect(bubble(page, "now")).to_be_in_viewport()
    page.evaluate("document.querySelector('#transcript').scrollTop = 0")
    expect(bubble(page, "question 190")).to_have_count(1)
    expect(bubble(page, "question 20")).to_have_count(0)


@pytest.mark.parametrize("name", ["m-58", "m-20"])
def test_a_link_on_the_page_goes_to_its_message_without_a_reload(opened, name):
    page = opened(60, per_page=10)
    page.evaluate("window.isSame = true")

    page.evaluate(f"location.hash = '#message-{name}'")

    expect(page.locator(f"#message-{name}")).to_be_focused()
    assert page.evaluate("window.isSame")


def test_back_from_a_new_thread_is_another_page(page, server):
    page.goto(f"{server.url}/home/")
    page.locator("#text").fill("hi")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/threads/{made_up.NEW_THREAD}")
    with page.expect_response("**/home/"):
        page.go_back()


def test_a_link_to_no_message_of_the_chat_says_so(opened):
    page = opened(30, fragment="#message-nothing", per_page=10)

    expect(page.locator("#toast")).to_contain_text("not in this chat")
    expect(bubble(page, "question 30")).to_be_in_viewport()


@pytest.fixture
def cut(page, server):
    """The page of a thread with an output of which it has the head, and the row is open."""
    whole = server.whole = "".join(f"line {number}\n" for number in range(3_000))
    url = f"/api/home/decopilot/threads/{made_up.THREAD}/messages/{made_up.RUN}/part?toolCallId=t-1"
    part = made_up.tool("Bash", {"command": "make"}, whole[:8_000])
    part["outputCut"] = {"size": len(whole), "url": url}
    server.add_thread(messages=[made_up.mine("hi"), made_up.answer(part)])
    page.goto(server.url + CHAT)
    page.locator("summary.tool__row").click()
    return page


def test_the_rest_of_a_long_output_is_fetched_when_it_is_asked_for(cut):
    cut.get_by_role("button", name="Show all (29 kB)").click()

    expect(cut.locator(".block").filter(has_text="Output")).to_contain_text("line 2999")
    expect(cut.get_by_role("button", name="Show all")).to_have_count(0)


def test_a_long_output_that_does_not_come_says_so(cut, server):
    server.page_refusal = AWAY
    cut.get_by_role("button", name="Show all (29 kB)").click()
    again = cut.get_by_role("button", name="The database is away. Try again")
    expect(again).to_be_visible()

    server.page_refusal = None
    again.click()

    expect(cut.locator(".block").filter(has_text="Output")).to_contain_text("line 2999")


def test_a_long_output_is_copied_whole(cut, server):
    cut.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with shown_once(cut, ".copies", "Copied"):
        cut.locator(".block").filter(has_text="Output").locator(".copies").click()

    assert cut.evaluate("navigator.clipboard.readText()") == server.whole


# The list


def to_the_end(page):
    page.locator("#chats").evaluate("list => list.scrollTo(0, list.scrollHeight)")


def test_older_chats_come_when_the_list_is_scrolled_to_its_end(listed):
    page = listed(100)
    expect(page.locator(".row")).to_have_count(40)

    to_the_end(page)
    expect(page.locator(".row")).to_have_count(80)
    to_the_end(page)

    expect(page.locator(".row")).to_have_count(100)
    expect(page.get_by_role("link", name="Older chats")).to_have_count(0)


def test_older_chats_by_keyboard(listed):
    page = listed(60)
    page.get_by_role("link", name="Older chats").focus()
    until(lambda: page.evaluate("document.getElementById('chats').scrollTop > 0"))
    page.keyboard.press("Enter")

    expect(page.locator(".row")).to_have_count(60)
    expect(row(page, "Chat 20").locator("a")).to_be_focused()


def test_older_chats_that_do_not_come_say_so(listed, server):
    page = listed(60)
    server.page_refusal = AWAY
    to_the_end(page)
    again = page.get_by_role("link", name="Older chats could not be loaded. Try again")
    expect(again).to_be_visible()

    server.page_refusal = None
    again.click()

    expect(page.locator(".row")).to_have_count(60)


def test_older_chats_stay_when_the_list_is_refreshed(listed, server):
    page = listed(60)
    to_the_end(page)
    expect(page.locator(".row")).to_have_count(60)
    moved = "00000001-0000-4000-8000-000000000000"
    server.touch(moved)

    with page.expect_response("**/live?*"):
        server.change(moved, status="running")

    expect(row(page, "Chat 1")).to_have_count(1)
    expect(page.locator("#group-running .row")).to_have_text([re.compile("Chat 1")])
    expect(page.locator(".row")).to_have_count(60)


def test_an_older_chat_renamed_elsewhere_has_its_new_name(listed, server):
    page = listed(60)
    to_the_end(page)
    expect(page.locator(".row")).to_have_count(60)

    server.change("00000001-0000-4000-8000-000000000000", title="Renamed")

    expect(row(page, "Renamed")).to_have_count(1)


def test_a_search_asks_the_server_for_all_chats(listed, server):
    server.add_thread("99999999-0000-4000-8000-000000000000", title="The needle")
    page = listed(200)
    page.keyboard.press("Control+k")
    page.keyboard.type("needle")

    expect(page.locator(".row:visible")).to_have_text(["The needle"])
    page.keyboard.press("Escape")
    expect(page.locator(".row:visible")).to_have_count(40)


def test_older_chats_are_not_loaded_while_the_server_searches(listed, page):
    listed(200)
    page.route("**/live?*search=*", lambda route: None)  # an answer that does not come
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.press("Control+k")
    page.keyboard.type("nothing of the kind")
    expect(page.locator(".row:visible")).to_have_count(0)
    page.keyboard.press("Escape")

    expect(page.locator(".row:visible")).to_have_count(40)
    assert not [url for url in asked if "/older" in url]


def test_a_search_has_older_chats_too(listed):
    page = listed(150, per_page=40)
    page.keyboard.press("Control+k")
    page.keyboard.type("chat 1")
    expect(page.locator(".row:visible")).to_have_count(40)
    expect(row(page, "Chat 2")).to_have_count(0)

    to_the_end(page)

    expect(page.locator(".row:visible")).to_have_count(70)


def test_a_search_without_the_server_says_what_was_searched(listed, page):
    listed(60)
    page.route("**/live?*", lambda route: route.abort())
    page.keyboard.press("Control+k")
    page.keyboard.type("chat 59")

    expect(page.get_by_text("not all chats were searched")).to_be_visible()
    expect(page.locator(".row:visible")).to_have_text(["Chat 59"])


def test_the_title_counts_chats_that_need_the_person_during_a_search(listed, server):
    server.add_thread(title="Waiting", status="requires_action")
    page = listed(3)
    expect(page).to_have_title(re.compile(r"^\(1\)"))

    page.keyboard.press("Control+k")
    page.keyboard.type("chat 2")
    expect(page.locator(".row:visible")).to_have_text(["Chat 2"])

    expect(page).to_have_title(re.compile(r"^\(1\)"))
