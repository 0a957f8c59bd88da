"""What waits stands above the composer, the same on every page, until it goes out."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import made_up
from tests.waiting import until

RUNS = [f"{n}0000000-3333-4333-8333-333333333333" for n in range(1, 5)]
WORDS = ["first", "second", "third"]


def waits(text, n):
    heard = made_up.heard(f"q-{n}", [{"type": "text", "text": text}])
    return [heard, made_up.status("queued", prompt=f"q-{n}", run=RUNS[n])]


@pytest.fixture
def queue(page, server):
    """A page on which an agent works and three messages wait."""
    server.add_thread(messages=[made_up.mine("go")], title="Go", status="running")
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")
    server.wait_until_followed()
    server.say(*made_up.begin(), made_up.delta("working"))
    for n, text in enumerate(WORDS):
        server.say(*waits(text, n), run=RUNS[n])
    expect(page.locator(".queue__text")).to_have_text(WORDS)
    return page


def item(page, text):
    return page.locator(".queue__item", has_text=text)


def test_what_waits_is_not_part_of_the_conversation_yet(queue, server):
    expect(queue.locator(".message--mine")).to_have_text(["go"])
    server.say(*made_up.end())
    server.say(made_up.status("dispatched", prompt="q-0", run=RUNS[0]), run=RUNS[0])

    expect(queue.locator(".message--mine")).to_have_text(["go", "first"])
    expect(queue.locator(".queue__text")).to_have_text(["second", "third"])


def test_a_page_that_comes_later_shows_the_same(page, server):
    said = [made_up.mine("go"), made_up.mine("b", "q-1"), made_up.mine("a", "q-0")]
    server.add_thread(messages=said, status="running")
    server.messages[made_up.THREAD].insert(1, made_up.answer(made_up.text("x"), state="running"))
    server.queue = [
        {"runId": RUNS[1], "messageId": "q-1"},
        {"runId": RUNS[0], "messageId": "q-0"},
    ]
    page.goto(f"{server.url}/home/threads/{made_up.THREAD}")

    expect(page.locator(".queue__text")).to_have_text(["b", "a"])
    expect(page.locator(".message--mine")).to_have_text(["go"])


def test_it_is_edited_in_place(queue, server):
    item(queue, "second").get_by_role("button", name="Edit").click()
    expect(queue.get_by_role("textbox", name="Edit the message")).to_be_focused()
    queue.keyboard.type(", but better")
    queue.keyboard.press("Enter")

    until(lambda: server.asked)
    parts = [{"type": "text", "text": "second, but better"}]
    assert server.asked == [("PATCH", f"queue/{RUNS[1]}", {"parts": parts})]
    expect(queue.locator(".queue__text").nth(1)).to_have_text("second, but better")


def test_an_edit_elsewhere_is_seen_here(queue, server):
    server.say(made_up.heard("q-1", [{"type": "text", "text": "changed"}]), run=RUNS[1])

    expect(queue.locator(".queue__text")).to_have_text(["first", "changed", "third"])


def test_escape_leaves_it_as_it_was(queue, server):
    item(queue, "second").get_by_role("button", name="Edit").click()
    queue.keyboard.type("nonsense")
    queue.keyboard.press("Escape")

    expect(queue.locator(".queue__text")).to_have_text(WORDS)
    assert server.asked == []


def test_what_goes_out_while_it_is_edited_loses_no_word(queue, server):
    item(queue, "first").get_by_role("button", name="Edit").click()
    queue.keyboard.type(" and more")
    server.say(*made_up.end())
    server.say(made_up.status("dispatched", prompt="q-0", run=RUNS[0]), run=RUNS[0])

    expect(queue.locator("#text")).to_have_value("first and more")


def test_it_is_moved_by_button_and_by_keyboard(queue, server):
    item(queue, "third").get_by_role("button", name="Move up").click()
    until(lambda: len(server.asked) == 1)
    item(queue, "first").get_by_role("button", name="Move down").focus()
    queue.keyboard.press("Alt+ArrowDown")

    until(lambda: len(server.asked) == 2)
    assert server.asked == [
        ("PATCH", f"queue/{RUNS[2]}", {"before": RUNS[1]}),
        ("PATCH", f"queue/{RUNS[0]}", {"before": RUNS[2]}),
    ]
    order = {"type": "data-queue", "data": {"order": ["q-2", "q-0", "q-1"]}, "transient": True}
    server.say(order, run=None)
    expect(queue.locator(".queue__text")).to_have_text(["third", "first", "second"])
    expect(item(queue, "first").get_by_role("button", name="Move down")).to_be_focused()


def test_a_message_is_withdrawn_and_that_can_be_undone(queue, server):
    item(queue, "first").get_by_role("button", name="Take back").click()
    until(lambda: server.asked)
    assert server.asked.pop() == ("DELETE", f"queue/{RUNS[0]}", None)
    gone = made_up.status("cancelled", prompt="q-0", run=RUNS[0], code="withdrawn")
    ending = [{"type": "start", "messageId": RUNS[0]}, {"type": "abort"}, gone]
    server.say(*ending, {"type": "finish"}, run=RUNS[0])
    expect(queue.locator(".queue__text")).to_have_text(["second", "third"])
    expect(queue.get_by_text("Stopped by you")).to_have_count(0)

    queue.get_by_role("button", name="Undo").click()

    until(lambda: server.posts)
    assert server.posts[-1]["messages"][0]["parts"] == [{"type": "text", "text": "first"}]
    until(lambda: server.asked)
    assert server.asked[-1][2] == {"before": RUNS[1]}


def test_a_message_sent_in_the_meantime_says_so_at_its_row(queue, server):
    refusal = {"code": "already_dispatched", "message": "It has gone out.", "hint": "Stop it."}
    server.refusal = (409, refusal)
    item(queue, "second").get_by_role("button", name="Take back").click()

    expect(item(queue, "second").get_by_role("alert")).to_have_text("It has gone out. Stop it.")


def test_it_is_handed_over_and_then_stands_in_the_answer(queue, server):
    item(queue, "first").get_by_role("button", name="Send now").click()
    until(lambda: server.asked)
    assert server.asked == [("POST", f"queue/{RUNS[0]}/steer", None)]
    state = {"runId": RUNS[0], "messageId": "q-0", "state": "asked"}
    steering = {"type": "data-steering", "data": state, "transient": True}
    server.say(steering, run=RUNS[0])
    expect(item(queue, "first")).to_contain_text("Handing it to the agent")

    message = {"id": "q-0", "role": "user", "parts": [{"type": "text", "text": "first"}]}
    server.say({"type": "data-steer", "id": "s", "data": {"message": message}})
    server.say(made_up.status("steered", prompt="q-0", run=RUNS[0]), run=RUNS[0])
    expect(queue.locator(".queue__text")).to_have_text(["second", "third"])
    expect(queue.locator(".message--answer .steer .bubble")).to_have_text("first")


def test_a_refused_hand_over_says_next_turn(queue, server):
    state = {"runId": RUNS[0], "messageId": "q-0", "state": "refused"}
    server.say({"type": "data-steering", "data": state, "transient": True}, run=RUNS[0])

    expect(item(queue, "first")).to_contain_text("It is sent when the answer is done.")


def test_an_agent_that_takes_nothing_in_between_is_not_offered_it(queue, server):
    server.change(steer="next")

    expect(queue.get_by_role("button", name="Send now")).to_have_count(0)
    expect(queue.locator(".queue__head")).to_contain_text(
        "They are sent one by one when the answer is done."
    )


def unsent(n, **why):
    ended = made_up.status("cancelled", prompt=f"q-{n}", run=RUNS[n], neverSent=True, **why)
    own = [{"type": "start", "messageId": RUNS[n]}, {"type": "abort"}, {"type": "finish"}]
    return [ended, *own]


def stop(server):
    """What the server tells when Stop is pressed while messages wait."""
    for n in range(len(WORDS)):
        server.say(*unsent(n), run=RUNS[n])
    server.say({"type": "abort"}, made_up.status("cancelled"), {"type": "finish"})


def messages(page):
    """Return the conversation's messages as a person reads them, without how long they took."""
    read = [" ".join(text.split()) for text in page.locator(".message").all_inner_texts()]
    return [re.sub(r" Copy( \d+ s)?$", "", text) for text in read]


STOPPED = [
    "go",
    "working Stopped by you",
    *[f"{text} Not sent. You pressed Stop before it was sent. Edit Send" for text in WORDS],
]


def test_what_waited_when_stop_was_pressed_is_marked_as_not_sent_in_its_order(queue, server):
    stop(server)

    expect(queue.locator(".queue")).to_have_count(0)
    until(lambda: messages(queue) == STOPPED, what=messages(queue))
    expect(queue.locator("#say")).to_have_text("Stopped. 3 messages were not sent.")


def test_a_second_tab_and_a_page_that_is_opened_later_show_the_same(queue, server, context):
    other = context.new_page()
    other.goto(queue.url)
    expect(other.locator(".message").last).to_be_visible()
    stop(server)
    until(lambda: messages(other) == STOPPED)
    queue.bring_to_front()  # browsers don't paint pages in the background
    until(lambda: messages(queue) == STOPPED)
    other.bring_to_front()

    said = [
        made_up.mine("go"),
        made_up.answer(made_up.text("working"), state="cancelled"),
    ]
    for n, text in enumerate(WORDS):
        message = made_up.mine(text, f"q-{n}")
        said.append(message | {"metadata": {"neverSent": {"runId": RUNS[n]}}})
    server.messages[made_up.THREAD] = said
    server.journal[made_up.THREAD] = []
    other.reload()

    until(lambda: messages(other) == STOPPED, what=messages(other))


def not_sent(page, text):
    return page.locator(".message--unsent", has_text=text)


def test_what_was_not_sent_is_sent_by_a_button(queue, server):
    stop(server)
    not_sent(queue, "first").get_by_role("button", name="Send").click()
    until(lambda: server.asked)
    assert server.asked == [("POST", f"queue/{RUNS[0]}/send", {"whenOffline": "refuse"})]
    server.say(made_up.status("cancelled", prompt="q-0", run=RUNS[0], code="withdrawn"), run=None)
    server.say(*waits("first", 3), run=RUNS[3])
    server.say(made_up.status("dispatched", prompt="q-3", run=RUNS[3]), run=RUNS[3])

    expect(queue.locator(".message--unsent .bubble")).to_have_text(["second", "third"])
    expect(queue.locator(".message--mine").last).to_have_text("first")
    expect(queue.locator("#text")).to_be_focused()


def test_a_refusal_stands_at_the_message(queue, server):
    stop(server)
    refusal = {"code": "link_offline", "message": "mbp is offline.", "hint": "Wake it up."}
    server.refusal = (409, refusal)
    not_sent(queue, "second").get_by_role("button", name="Send").click()

    row = not_sent(queue, "second")
    expect(row.get_by_role("alert")).to_have_text("mbp is offline. Wake it up.")
    expect(row.get_by_role("button", name="Send")).to_be_enabled()


def test_edit_puts_it_and_its_files_back_into_the_box(queue, server):
    url = "/api/home/decopilot/files/" + "0" * 32
    file = {"type": "file", "mediaType": "text/plain", "filename": "notes.txt", "url": url}
    edited = made_up.heard("q-1", [{"type": "text", "text": "second"}, file])
    server.say(edited, run=RUNS[1])
    stop(server)
    not_sent(queue, "second").get_by_role("button", name="Edit").click()

    expect(queue.locator("#text")).to_have_value("second")
    expect(queue.locator("#files")).to_contain_text("notes.txt")
    until(lambda: server.asked)
    assert server.asked == [("DELETE", f"queue/{RUNS[1]}", None)]
    server.say(made_up.status("cancelled", prompt="q-1", run=RUNS[1], code="withdrawn"), run=None)
    expect(queue.locator(".message--unsent .bubble")).to_have_text(["first", "third"])


def test_a_machine_that_was_removed_says_why_the_rest_was_not_sent(queue, server):
    why = {"code": "link_removed", "message": "The machine is gone.", "hint": "Link it again."}
    failed = made_up.status("failed", **why)
    server.say({"type": "error", "errorText": "The machine is gone."}, failed, {"type": "finish"})
    for n in range(len(WORDS)):
        server.say(*unsent(n, **why), run=RUNS[n])

    expect(queue.locator(".message--mine .bubble")).to_have_text(["go", *WORDS])
    expect(queue.locator(".message--unsent .message__foot").first).to_contain_text(
        "Not sent. The machine is gone. Link it again."
    )
    expect(queue.locator(".message--answer")).to_have_count(1)


def test_when_a_run_fails_the_next_message_goes_out_behind_the_failure(queue, server):
    server.say({"type": "error", "errorText": "It broke."}, made_up.status("failed"))
    server.say({"type": "finish"})
    server.say(made_up.status("dispatched", prompt="q-0", run=RUNS[0]), run=RUNS[0])
    server.say(*made_up.begin(RUNS[0])[2:], made_up.delta("better"), run=RUNS[0])

    expect(queue.locator(".queue__text")).to_have_text(WORDS[1:])
    expect(queue.locator(".message").last).to_contain_text("better")
    expect(queue.locator(".message--mine .bubble")).to_have_text(["go", "first"])
    order = queue.locator(".message").evaluate_all("all => all.map(each => each.ariaLabel)")
    assert order == ["You", "Agent", "You", "Agent"]
