"""The conversation while it grows: where the reader stands, and how much is kept."""

import re

import pytest
from playwright.sync_api import expect

from agents.harness.unfinished_calls import unfinished
from tests.browser import made_up
from tests.waiting import until

CHAT = f"/home/threads/{made_up.THREAD}"
GAP = """(() => {
  const { scrollHeight, scrollTop, clientHeight } = document.querySelector("#transcript");
  return scrollHeight - scrollTop - clientHeight;
})()"""


@pytest.fixture
def opened(page, server):
    """Return ``opened(messages)``: the page of a thread, connected."""

    def open_it(messages=(), **fields):
        server.add_thread(messages=messages, **fields)
        page.goto(server.url + CHAT)
        server.wait_until_followed()
        return page

    return open_it


def paragraphs(count, word="line"):
    return "".join(f"{word} {number}\n\n" for number in range(count))


def test_an_answer_is_followed_at_the_end(opened, server):
    page = opened([made_up.mine("hi")])
    server.say(*made_up.begin(), made_up.delta(paragraphs(60)))
    page.get_by_text("line 59", exact=True).wait_for()

    until(lambda: page.evaluate(f"{GAP} < 2"))
    expect(page.locator("#newer")).to_be_hidden()


def test_a_lost_attempt_goes_and_the_next_one_says_why(opened, server):
    page = opened([made_up.mine("hi")])
    server.say(*made_up.begin(), made_up.delta("half an ans"))
    page.get_by_text("half an ans", exact=True).wait_for()

    again = {"type": "data-run-restarted", "data": {"attempt": 2}}
    server.say(again, *made_up.begin()[-2:], made_up.delta("a whole answer"))

    page.get_by_text("a whole answer", exact=True).wait_for()
    expect(page.get_by_text("half an ans", exact=True)).to_have_count(0)
    expect(page.get_by_text("so the answer was started again")).to_be_visible()


def test_a_reader_above_the_end_is_not_moved(opened, server):
    page = opened([made_up.mine("hi")])
    server.say(*made_up.begin(), made_up.delta(paragraphs(60)))
    page.get_by_text("line 59", exact=True).wait_for()
    page.locator("#transcript").hover()
    page.mouse.wheel(0, -600)
    until(lambda: page.evaluate(f"{GAP} > 300"))
    place = page.get_by_text("line 40", exact=True).bounding_box()["y"]

    server.say(made_up.delta(paragraphs(40, "more")))

    expect(page.locator("#newer")).to_be_visible()
    assert page.get_by_text("line 40", exact=True).bounding_box()["y"] == pytest.approx(
        place, abs=1
    )
    page.locator("#newer").click()
    until(lambda: page.evaluate(f"{GAP} < 2"))
    expect(page.locator("#newer")).to_be_hidden()


def test_a_card_that_comes_up_does_not_push_the_reader_from_the_end(opened, server):
    page = opened([made_up.mine("hi")])
    server.say(*made_up.begin(), made_up.delta(paragraphs(60)), *made_up.ask("ls"))
    page.locator(".approval").wait_for()

    until(lambda: page.evaluate(f"{GAP} < 2"))


def test_older_messages_come_when_scrolled_to_without_a_jump(opened):
    said = [
        message
        for number in range(300)
        for message in (
            made_up.mine(f"question {number}", f"q{number}"),
            made_up.answer(made_up.text(f"answer {number}"), id=f"a{number}"),
        )
    ]
    page = opened(said)
    page.get_by_text("answer 299", exact=True).wait_for()
    assert page.locator(".message").count() < 120
    page.evaluate("document.querySelector('#transcript').scrollTop = 700")
    until(lambda: page.evaluate("document.querySelectorAll('.message').length > 120"))

    page.evaluate("document.querySelector('#transcript').scrollTop = 0")
    until(lambda: page.evaluate("document.querySelector('#transcript').scrollTop > 400"))


def test_of_twenty_thousand_parts_only_the_newest_are_painted(opened):
    parts = [
        made_up.tool("Read", {"file_path": f"src/file_{number}.py"}, "ok", id=f"t{number}")
        if number % 2
        else made_up.text(f"Looking at file **{number}**.")
        for number in range(20_000)
    ]
    page = opened([made_up.mine("read it all"), made_up.answer(*parts)])
    page.get_by_text("Looking at file 19998.").wait_for()

    assert page.locator(".part").count() < 500


def test_what_is_far_above_leaves_the_page_while_it_grows(opened, server):
    page = opened([made_up.mine("go")])
    server.say(*made_up.begin())
    for batch in range(5):
        names = range(batch * 400, batch * 400 + 400)
        calls = [chunk for name in names for chunk in made_up.read_a_file(f"{name}.py")]
        server.say(*calls)
    page.get_by_text("1999.py", exact=True).wait_for()

    kept = page.locator(".part").count()
    assert kept <= 700
    page.evaluate("document.querySelector('#transcript').scrollTop = 0")
    until(lambda: page.locator(".part").count() > kept)


def test_a_tool_row_says_what_where_and_how_it_went(opened, server):
    page = opened([made_up.mine("hi")])
    call = {"toolCallId": "c", "toolName": "Bash", "dynamic": True}
    server.say(
        *made_up.begin(),
        {"type": "tool-input-available", **call, "input": {"command": "pytest -q"}},
    )
    row = page.locator(".tool")
    expect(row).to_contain_text("Running")
    expect(row).to_contain_text("pytest -q")

    server.say({"type": "tool-output-error", **call, "errorText": "exit code 1"})

    expect(row).to_contain_text("Failed")
    row.locator("summary").click()
    expect(row.locator("pre").last).to_have_text("exit code 1")


@pytest.mark.parametrize(("has_begun", "word"), [(True, "Interrupted"), (False, "Not run")])
def test_a_call_without_a_reported_end_shows_what_is_known(opened, server, has_begun, word):
    page = opened([made_up.mine("hi")])
    call = {"toolCallId": "c", "toolName": "Bash", "dynamic": True}
    server.say(
        *made_up.begin(),
        {"type": "tool-input-available", **call, "input": {"command": "make"}},
        unfinished("c", has_begun=has_begun),
    )

    expect(page.locator(".tool")).to_contain_text(word)
    page.locator(".tool summary").click()
    expect(page.locator(".tool pre").last).to_contain_text(f"{word}: ")


def test_a_long_output_is_cut_until_all_is_asked_for(opened):
    output = "\n".join(f"line {number}" for number in range(500))
    page = opened(
        [made_up.mine("hi"), made_up.answer(made_up.tool("Bash", {"command": "seq"}, output))]
    )
    page.locator(".tool summary").click()
    expect(page.locator(".block").last).not_to_contain_text("line 499")

    page.get_by_role("button", name="Show all (500 lines").click()

    expect(page.locator(".block").last).to_contain_text("line 499")


def test_a_failed_run_says_what_happened_and_what_to_do(opened, server):
    page = opened([made_up.mine("say hello")])
    failure = {"code": "not_signed_in", "message": "Claude is not signed in.", "hint": "Sign in."}
    server.say(*made_up.begin(), made_up.delta("Hel"), *made_up.end("failed", **failure))

    card = page.locator(".card--bad")
    expect(card).to_contain_text("Claude is not signed in.")
    expect(card).to_contain_text("Sign in. Everything above is kept.")
    card.get_by_text("Show details").click()
    expect(card.locator("pre")).to_contain_text("code: not_signed_in")
    card.get_by_role("button", name="Try again").click()
    expect(page.locator(".bubble")).to_have_text(["say hello", "say hello"])


def test_a_missing_sign_in_has_its_command_to_copy(opened, context):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    words = "Mine is not signed in on this machine. Run `mine login` in a terminal there."
    error = {"code": "not_signed_in", "message": words, "hint": "Sign in."}
    page = opened([made_up.mine("hi"), made_up.answer(state="failed", error=error)])

    card = page.locator(".card--bad")
    expect(card.locator(".card__title code")).to_have_text("mine login")
    card.get_by_role("button", name="Copy the command").click()

    until(lambda: page.evaluate("navigator.clipboard.readText()") == "mine login")


def test_a_stored_failure_looks_the_same(opened):
    error = {"code": "sandbox_died", "message": "The sandbox was ended.", "hint": "Send it again."}
    page = opened([made_up.mine("hi"), made_up.answer(state="failed", error=error)])

    expect(page.locator(".card--bad")).to_contain_text("The sandbox was ended.")


def test_a_reload_in_the_middle_shows_the_same_text(opened, server):
    page = opened([made_up.mine("hi")])
    server.say(*made_up.begin(), made_up.delta("one, two, "))
    expect(page.locator(".prose")).to_have_text("one, two,")
    page.reload()
    expect(page.locator(".prose")).to_have_text("one, two,")

    server.say(made_up.delta("three"), *made_up.end())

    expect(page.locator(".prose")).to_have_text("one, two, three")
    expect(page.locator(".status")).to_be_hidden()


def test_an_unfinished_answer_continues_where_it_was_stored(opened, server):
    part = {"type": "text", "text": "one, two, ", "state": "streaming"}
    stored = made_up.answer(part, id=made_up.RUN, state="running")
    page = opened([made_up.mine("hi"), stored], status="running")
    expect(page.locator(".status")).to_contain_text("Working on mbp")

    server.say(made_up.delta("three"), *made_up.end())

    expect(page.locator(".prose")).to_have_text("one, two, three")


def test_states_are_said_in_words(opened, server):
    page = opened([made_up.mine("hi")])
    for state, words in [
        ("queued", "Waiting for mbp…"),
        ("dispatched", "Starting the agent on mbp…"),
        ("running", "Working on mbp"),
        ("waiting", "Waiting for your answer"),
    ]:
        server.say(made_up.status(state))
        expect(page.locator(".status")).to_contain_text(words)
        expect(page.locator("#say")).to_have_text(words)


NOBODY = "No worker of this server has taken the message yet."


def test_a_message_without_a_worker_says_so_until_one_takes_it(opened, server):
    page = opened([made_up.mine("hi")], status="queued")
    server.say(made_up.status("queued", code="waits_for_worker", message=NOBODY, hint="…"))
    expect(page.locator(".status")).to_contain_text(NOBODY)

    server.queue = [{"runId": made_up.RUN, "messageId": "m-1", "message": NOBODY}]
    page.reload()
    expect(page.locator(".status")).to_contain_text(NOBODY)  # also to who comes later

    server.say(made_up.status("dispatched"))
    expect(page.locator(".status")).to_contain_text("Starting the agent on mbp…")


def test_a_second_message_waits_behind_the_first_answer(opened, server):
    page = opened([made_up.mine("one", "m-1")])
    server.say(*made_up.begin(), made_up.delta("answer"))
    later = "99999999-3333-4333-8333-333333333333"
    server.say(
        made_up.heard("m-2", [{"type": "text", "text": "two"}]),
        made_up.status("queued", prompt="m-2", run=later),
        run=later,
    )

    expect(page.locator(".queue")).to_contain_text("1 message waits")
    expect(page.locator(".message--mine")).to_have_text("one")
    server.say(*made_up.end())
    server.say(made_up.status("running", prompt="m-2", run=later), run=later)
    expect(page.locator(".queue")).to_have_count(0)
    expect(page.locator(".message--mine").last).to_have_text("two")


def test_finished_steps_fold_into_one_line(opened):
    calls = [made_up.tool("Read", {"file_path": f"{n}.py"}, "ok", id=f"t{n}") for n in range(4)]
    page = opened([made_up.mine("hi"), made_up.answer(*calls, made_up.text("Done."))])

    expect(page.locator(".steps > summary")).to_have_text("Read 4 files")
    expect(page.get_by_text("2.py", exact=True)).to_be_hidden()
    page.locator(".steps > summary").click()
    expect(page.get_by_text("2.py", exact=True)).to_be_visible()


def test_the_title_comes_from_the_thread(opened, server):
    page = opened([made_up.mine("hi")])
    server.say({"type": "data-thread-title", "data": {"title": "Say hello"}, "transient": True})

    expect(page.locator("h1")).to_have_text("Say hello")
    expect(page).to_have_title(re.compile("^Say hello"))


def test_durations_are_what_a_person_says(page, server):
    page.goto(f"{server.url}/home/")

    said = page.evaluate("""async () => {
      const { duration } = await import("/static/mesh/dom.js");
      return [-5, 0, 42_000, 75_000, 600_000, 3_600_000, 3_900_000].map(duration);
    }""")

    assert said == ["0 s", "0 s", "42 s", "1 min 15 s", "10 min", "1 h", "1 h 5 min"]
