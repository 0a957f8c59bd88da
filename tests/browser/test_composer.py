"""Writing, sending, choosing who answers."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.waiting import until

CHAT = f"/home/threads/{made_up.THREAD}"


def test_a_new_chat_opens_in_place_and_no_keystroke_is_lost(page, server):
    page.goto(f"{server.url}/home/")
    page.evaluate("window.same = true")
    page.locator("#text").fill("count slowly to twenty")
    page.keyboard.press("Enter")
    page.keyboard.type("and then")

    expect(page).to_have_url(re.compile(made_up.NEW_THREAD))
    expect(page.locator(".bubble")).to_have_text("count slowly to twenty")
    expect(page.locator("#text")).to_have_value("and then")
    assert page.evaluate("window.same")  # nothing was reloaded
    until(lambda: server.posts)
    post = server.posts[0]
    assert post["messages"][0]["parts"] == [{"type": "text", "text": "count slowly to twenty"}]
    assert (
        post["harnessId"],
        post["tier"],
        post["sandboxProviderKind"],
        post["toolApprovalLevel"],
    ) == (
        "claude-code",
        "smart",
        "remote-user",
        "auto",
    )


def test_a_locked_thread_sends_no_pins(page, server):
    server.add_thread(locked=True)
    page.goto(server.url + CHAT)
    page.locator("#text").fill("hi")
    page.keyboard.press("Enter")

    until(lambda: server.posts)
    assert not {"harnessId", "sandboxProviderKind"} & server.posts[0].keys()
    assert server.posts[0]["tier"] == "smart"


def test_shift_enter_makes_a_line_and_enter_sends(page, server):
    server.add_thread()
    page.goto(server.url + CHAT)
    page.locator("#text").press_sequentially("one")
    page.keyboard.press("Shift+Enter")
    page.locator("#text").press_sequentially("two")
    expect(page.locator("#text")).to_have_value("one\ntwo")
    page.keyboard.press("Enter")

    expect(page.locator(".bubble")).to_have_text("one\ntwo")
    expect(page.locator("#text")).to_have_value("")


def test_a_draft_survives_a_reload_and_belongs_to_its_thread(page, server):
    server.add_thread()
    page.goto(server.url + CHAT)
    page.locator("#text").fill("half a thought")
    page.goto(f"{server.url}/home/")
    expect(page.locator("#text")).to_have_value("")

    page.goto(server.url + CHAT)

    expect(page.locator("#text")).to_have_value("half a thought")
    expect(page.get_by_role("button", name="Send message")).to_be_enabled()


def test_what_could_not_be_sent_stays_and_is_sent_again_under_its_id(page, server):
    server.add_thread()
    error = {"code": "link_offline", "message": "mbp is offline.", "hint": "Run deco_link there."}
    server.refusal = (409, error)
    page.goto(server.url + CHAT)
    page.locator("#text").fill("precious words")
    page.keyboard.press("Enter")
    expect(page.locator(".message--mine .card")).to_contain_text("mbp is offline. Run deco_link")
    expect(page.locator(".bubble")).to_have_text("precious words")

    server.refusal = None
    page.get_by_role("button", name="Try again").click()

    expect(page.locator(".message--mine .card")).to_have_count(0)
    expect(page.locator(".bubble")).to_have_count(1)
    until(lambda: len(server.posts) == 1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(
            {"status": 502, "body": "<html>cloudflare: 502 Bad gateway</html>"},
            "Something unexpected came back from the server. Try again in a moment.",
            id="U-K6, U-K8 a page of somebody else's",
        ),
        pytest.param(None, "The server could not be reached. Check that", id="U-K7 no network"),
    ],
)
def test_what_our_server_did_not_say_is_put_into_words(page, server, answer, words):
    server.add_thread()
    page.goto(server.url + CHAT)
    page.route(
        "**/messages", lambda route: route.fulfill(**answer) if answer else route.abort("failed")
    )
    page.locator("#text").fill("hi")
    page.keyboard.press("Enter")

    expect(page.locator(".message--mine .card")).to_contain_text(words)


def test_what_could_not_be_sent_can_go_back_into_the_box(page, server):
    server.add_thread()
    server.refusal = (500, {"code": "internal_error", "message": "It broke.", "hint": ""})
    page.goto(server.url + CHAT)
    page.locator("#text").fill("first")
    page.keyboard.press("Enter")
    page.locator("#text").fill("second")
    page.get_by_role("button", name="Edit").click()

    expect(page.locator("#text")).to_have_value("first\n\nsecond")
    expect(page.locator(".bubble")).to_have_count(0)


def test_what_no_server_has_survives_a_reload(page, server):
    server.add_thread()
    page.goto(server.url + CHAT)
    page.route("**/messages", lambda route: None)  # the request never gets there
    page.locator("#text").fill("precious words")
    page.keyboard.press("Enter")
    expect(page.locator(".message--sending")).to_have_text("precious words")

    page.reload()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()

    until(lambda: len(server.posts) == 1)
    expect(page.locator(".message--mine .card")).to_have_count(0)
    expect(page.locator(".bubble")).to_have_text("precious words")
    assert page.evaluate("Object.keys(localStorage)") == []


def test_what_the_server_has_after_all_stands_once_after_a_reload(page, server):
    server.add_thread()
    page.goto(server.url + CHAT)
    page.route("**/messages", lambda route: (route.fetch(), None)[1])  # its answer is lost
    page.locator("#text").fill("heard")
    page.keyboard.press("Enter")
    until(lambda: page.evaluate("0") or server.posts)  # Playwright handles routes in its own calls
    page.unroute_all()
    expect(page.locator(".status")).to_contain_text("Waiting")

    page.reload()

    expect(page.locator(".status")).to_contain_text("Waiting")
    expect(page.locator(".bubble")).to_have_text("heard")
    expect(page.locator(".message--mine .card")).to_have_count(0)


def test_what_no_thread_was_opened_for_comes_back_into_the_box(page, server):
    page.goto(f"{server.url}/home/")
    page.route("**/decopilot/threads", lambda route: None)
    page.locator("#text").fill("first words")
    page.keyboard.press("Enter")
    expect(page.locator(".message--sending")).to_have_text("first words")

    page.reload()

    expect(page.locator("#text")).to_have_value("first words")


def test_two_messages_at_once_open_one_thread(page, server):
    page.goto(f"{server.url}/home/")
    page.evaluate("""() => {
      for (const words of ["one", "two"]) {
        document.querySelector("#text").value = words;
        document.querySelector("#composer").requestSubmit();
      }
    }""")

    until(lambda: len(server.posts) == 2)
    assert len(server.threads) == 1


def test_a_run_can_be_stopped_also_with_a_draft_in_the_box(page, server):
    server.add_thread(messages=[made_up.mine("hi")], status="running")
    page.goto(server.url + CHAT)
    server.wait_until_followed()
    server.say(*made_up.begin(), made_up.delta("one, two"))
    page.locator("#text").fill("wait")
    page.get_by_role("button", name="Stop the agent").click()
    until(lambda: server.cancelled == [made_up.THREAD])
    expect(page.locator(".status")).to_have_text(re.compile("Stopping"))

    server.say({"type": "abort"}, *made_up.end("cancelled"))

    expect(page.get_by_text("Stopped by you")).to_be_visible()
    expect(page.get_by_role("button", name="Stop the agent")).to_be_hidden()
    expect(page.locator(".prose")).to_have_text("one, two")


def test_the_popover_by_keyboard(page, server):
    page.goto(f"{server.url}/home/")
    page.locator("#agent-pill").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[value='claude-code:smart']")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#agent-menu")).to_be_visible()
    page.keyboard.press("Enter")

    expect(page.locator("#agent-menu")).to_be_hidden()
    expect(page.locator("#agent-pill")).to_have_text("Demo · Fast")
    expect(page.locator("#agent-pill")).to_be_focused()
    expect(page.locator("#agent-pill")).to_have_attribute("aria-label", "Agent: Demo · Fast on mbp")


def test_one_click_chooses_and_closes_and_is_what_is_sent(page, server):
    page.goto(f"{server.url}/home/")
    page.locator("#agent-pill").click()
    page.get_by_text("Thinking", exact=True).click()
    expect(page.locator("#agent-menu")).to_be_hidden()
    page.locator("#text").fill("hi")
    page.keyboard.press("Enter")

    until(lambda: server.posts)
    assert (server.posts[0]["harnessId"], server.posts[0]["tier"]) == ("demo", "thinking")


def test_escape_closes_the_popover_and_changes_nothing(page, server):
    page.goto(f"{server.url}/home/")
    page.locator("#agent-pill").click()
    page.keyboard.press("Escape")

    expect(page.locator("#agent-menu")).to_be_hidden()
    expect(page.locator("#agent-pill")).to_have_text("Claude Code · Sonnet")


def test_a_locked_section_fires_nothing(page, server):
    server.chat = made_up.chat(
        made_up.section("claude-code", "Claude Code", ("Haiku", "Sonnet", "Opus")),
        made_up.section("demo", "Demo", ("A", "B", "C"), state="locked", reason="Fixed here."),
    )
    server.add_thread()
    page.goto(server.url + CHAT)
    page.locator("#agent-pill").click()
    page.locator("#agent-demo legend").click()

    expect(page.locator("#agent-menu")).to_be_visible()
    expect(page.locator("#agent-pill")).to_have_text("Claude Code · Sonnet")


def send(page, text="hi"):
    page.locator("#text").fill(text)
    page.keyboard.press("Enter")


def test_the_level_of_a_new_chat_is_sent_and_remembered(page, server):
    page.goto(server.url + "/home/")
    page.get_by_label("Approval").select_option("Ask before edit")
    page.reload()
    expect(page.get_by_label("Approval")).to_have_value("readonly")
    send(page)

    until(lambda: server.posts)
    assert server.posts[0]["toolApprovalLevel"] == "readonly"


def test_a_page_that_was_left_open_does_not_set_the_level_back(page, server):
    server.add_thread()
    page.goto(server.url + CHAT)
    server.wait_until_followed()
    server.change(level="readonly")  # by another page
    expect(page.get_by_label("Approval")).to_have_value("readonly")
    send(page)

    until(lambda: server.posts)
    assert "toolApprovalLevel" not in server.posts[0]


def test_a_switch_of_the_level_that_did_not_arrive_goes_with_the_next_message(page, server):
    server.add_thread()
    page.goto(server.url + CHAT)
    page.route("**/level", lambda route: route.fulfill(status=503))
    page.get_by_label("Approval").select_option("Ask before edit")
    expect(page.get_by_text("The approval level could not be changed.").first).to_be_attached()
    send(page)

    until(lambda: server.posts)
    assert server.posts[0]["toolApprovalLevel"] == "readonly"


def test_to_a_machine_that_is_away_the_message_waits_and_the_page_says_so(page, server):
    machine = {"id": made_up.LINK, "name": "mbp", "state": "offline", "cause": "network"}
    server.add_thread(machine=machine)
    page.goto(server.url + CHAT)
    expect(page.locator("#notice")).to_contain_text("mbp is offline.")
    page.locator("#text").fill("hi")
    page.keyboard.press("Enter")

    until(lambda: server.posts)
    assert server.posts[0]["whenOffline"] == "queue"
    expect(page.locator(".status")).to_contain_text("Waiting for mbp, which is offline.")


AWAY = {
    "status": 503,
    "headers": {"Retry-After": "1"},
    "json": {
        "error": {
            "code": "store_not_ready",
            "message": "The server's database can't be reached.",
            "hint": "Try again in a few seconds.",
        }
    },
}


def test_a_message_is_sent_again_while_the_database_is_away(page, server):
    server.add_thread()
    page.goto(server.url + CHAT)
    is_away, ids = [True], []

    def answer(route):
        ids.append(route.request.post_data_json["messages"][0]["id"])
        route.fulfill(**AWAY) if is_away[0] else route.continue_()

    page.route("**/messages", answer)
    page.locator("#text").fill("precious words")
    page.keyboard.press("Enter")
    own = page.locator(".message--mine").last
    expect(own.get_by_role("status")).to_have_text(
        "The server's database can't be reached. Sending again…"
    )
    is_away[0] = False

    expect(own.get_by_role("status")).to_have_count(0)
    assert len(server.posts) == 1
    assert len(set(ids)) == 1


def test_an_answer_is_given_again_while_the_database_is_away(page, server):
    server.add_thread(status="requires_action")
    page.goto(server.url + CHAT)
    server.say(*made_up.ask("ls"))
    tries = []

    def answer(route):
        tries.append(route.request.post_data_json)
        route.fulfill(**AWAY) if len(tries) == 1 else route.continue_()

    page.route("**/approvals/*", answer)
    with page.expect_response(lambda answer: "/approvals/" in answer.url and answer.ok):
        page.get_by_role("button", name="Allow", exact=True).click()

    assert len(tries) == 2
    assert tries[0] == tries[1]
    expect(page.locator(".approval [role=alert]")).to_have_count(0)
