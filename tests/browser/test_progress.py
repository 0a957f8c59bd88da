"""What an agent shows beside its words: lists, plans, diffs, helpers, times."""

import pytest
from playwright.sync_api import expect

from tests.browser import made_up

CHAT = f"/home/threads/{made_up.THREAD}"
DIFF = """\
diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -1,2 +1,2 @@
 same
-old
+new
+newer
"""


@pytest.fixture
def opened(page, server):
    """Return ``opened(*messages)``: the page of a thread, connected."""

    def open_it(*messages):
        server.add_thread(messages=messages or [made_up.mine("hi")])
        page.goto(server.url + CHAT)
        server.wait_until_followed()
        return page

    return open_it


def todos(*statuses):
    listed = [{"text": f"step {n}", "status": status} for n, status in enumerate(statuses)]
    return {"type": "data-todos", "id": "todos", "data": {"todos": listed}}


def call(id, name="Bash", input=None, parent=None):
    metadata = {"providerMetadata": {"mesh": {"parentToolCallId": parent}}} if parent else {}
    named = {"toolCallId": id, "toolName": name, "dynamic": True}
    return {"type": "tool-input-available", **named, "input": input or {}, **metadata}


def result(id, took=None):
    metadata = {"providerMetadata": {"mesh": {"tookMs": took}}} if took else {}
    chunk = {"type": "tool-output-available", "toolCallId": id, "output": "ok", "dynamic": True}
    return chunk | metadata


def test_the_list_of_what_is_to_be_done_is_one_and_the_newest(opened, server):
    page = opened()
    server.say(*made_up.begin(), todos("in_progress", "pending"))
    server.say(todos("completed", "in_progress"))

    expect(page.locator(".part--todos")).to_have_count(1)
    expect(page.locator(".todos__count")).to_have_text("1 of 2 done")
    expect(page.locator(".todo").first).to_have_text("Done: step 0")


def test_a_plan_is_read_as_markdown(opened, server):
    page = opened()
    plan = {"type": "data-plan", "id": "plan", "data": {"plan": "1. Do **it**\n<b>x</b>"}}
    server.say(*made_up.begin(), plan)

    expect(page.locator(".part--plan ol strong")).to_have_text("it")
    expect(page.locator(".part--plan .plan__text b")).to_have_count(0)


def test_a_diff_is_counted_and_opened(opened, server):
    page = opened()
    server.say(*made_up.begin(), {"type": "data-diff", "id": "diff", "data": {"diff": DIFF}})
    row = page.locator(".part--diff summary")

    expect(row).to_contain_text("Changed 1 file")
    expect(row).to_contain_text("+2")
    row.click()
    expect(page.locator(".diff__plus")).to_have_count(2)
    server.say({"type": "data-diff", "id": "diff", "data": {"diff": DIFF + "+newest\n"}})
    expect(page.locator(".diff__plus")).to_have_count(3)  # and it stays open


def test_a_lost_session_is_shown_as_a_notice(opened, server):
    page = opened()
    lost = {"source": "codex", "code": "session_lost", "text": "It starts afresh."}
    server.say(*made_up.begin(), {"type": "data-notice", "data": lost})

    expect(page.locator(".part--notice")).to_have_text("It starts afresh.")


def test_a_notice_shows_markup_and_characters_that_reverse_text_as_what_they_are(opened, server):
    page = opened()
    text = "From “<b>x</b>\u202e”: it is behind."
    odd = {"source": "mesh", "code": "starts_behind", "text": text}
    server.say(*made_up.begin(), {"type": "data-notice", "data": odd})

    expect(page.locator(".note")).to_have_text("From “<b>x</b>⟨U+202E⟩”: it is behind.")


LACKS = {
    "source": "mesh",
    "code": "starts_without_changes",
    "text": "Starts from 1a2b3c4 “first”: 2 uncommitted changes of yours are not in it.",
}
SPLIT = {"source": "mesh", "code": "shared_folder", "text": "Another chat works in it, too."}


def test_what_a_copy_lacks_can_be_taken_along_from_its_notice(opened, server):
    page = opened()
    refusal = {"code": "changes_conflict", "message": "Some files differ.", "hint": "Commit."}
    answers = [(409, {"error": refusal}), (200, {"ok": True, "taken": ["a.txt", "b.txt"]})]
    asked = []

    def answer(route):
        asked.append(route.request.url.removeprefix(server.url))
        status, body = answers.pop(0)
        route.fulfill(status=status, json=body)

    page.route("**/sandbox/take-along", answer)
    server.say(*made_up.begin(), {"type": "data-notice", "data": LACKS})
    button = page.get_by_role("button", name="Take them along")
    button.click()
    expect(page.locator(".note__outcome")).to_have_text("Some files differ. Commit.")
    button.click()

    expect(page.locator(".note__outcome")).to_have_text("Taken along: 2 files.")
    expect(button).to_be_hidden()
    assert asked == [f"/api/home/decopilot/threads/{made_up.THREAD}/sandbox/take-along"] * 2


def test_each_notice_of_mesh_is_a_line_and_only_the_one_offers_to_act(opened, server):
    page = opened()
    server.say(
        *made_up.begin(), *({"type": "data-notice", "data": each} for each in (SPLIT, LACKS))
    )

    expect(page.locator(".note")).to_have_count(2)
    expect(page.locator(".note").first).to_have_text(SPLIT["text"])
    expect(page.locator(".note button")).to_have_count(1)


def test_a_helpers_calls_are_under_its_own(opened, server):
    page = opened()
    server.say(*made_up.begin(), call("p", "Task", {"description": "Look around"}))
    server.say(call("n1", "Grep", {"pattern": "x"}, "p"), result("n1"), call("n2", parent="p"))
    helper = page.locator(".message__parts > .tool")

    expect(helper).to_have_count(1)
    expect(helper.locator("> .tool__row")).to_contain_text("2 steps")
    expect(helper.locator(".steps__rows .tool")).to_have_count(2)
    expect(helper.locator("> .steps__rows")).to_be_visible()


def test_a_stored_helper_is_closed_and_holds_its_calls(opened):
    parent = made_up.tool("Task", {"description": "Look around"}, "found", id="p")
    child = made_up.tool("Grep", {"pattern": "x"}, "a", id="n")
    child["callProviderMetadata"] = {"mesh": {"parentToolCallId": "p"}}
    page = opened(made_up.mine("hi"), made_up.answer(parent, child, made_up.text("Done.")))
    page.get_by_text("Done.").wait_for()

    expect(page.locator(".message__parts > .tool")).to_have_count(1)
    expect(page.locator(".steps__rows").first).to_be_hidden()


def test_how_long_it_took_is_known_of_what_was_not_watched(opened):
    ran = made_up.tool("Bash", {"command": "make"}, "ok", id="1")
    ran["resultProviderMetadata"] = {"mesh": {"tookMs": 12_400}}
    thought = {"type": "reasoning", "text": "Hm.", "state": "done"}
    thought["providerMetadata"] = {"mesh": {"tookMs": 65_000}}
    page = opened(made_up.mine("hi"), made_up.answer(thought, ran, made_up.text("Done.")))

    expect(page.locator(".tool[data-state=ok] .tool__time")).to_have_text("12 s")
    expect(page.locator(".reasoning .tool__what")).to_have_text("Thought for 1 min 5 s")


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        pytest.param([" same\r", "-old\r", "+new\r"], [" same", "-old", "+new"], id="CRLF"),
        pytest.param([" same", "-old", "+old\r"], [" same", "-old", "+old⟨U+000D⟩"], id="changed"),
    ],
)
def test_line_ends_are_shown_in_a_diff_where_they_are_what_has_changed(
    opened, server, lines, shown
):
    page = opened()
    diff = "\n".join(["--- a/x", "+++ b/x", "@@ -1,2 +1,2 @@", *lines, ""])
    server.say(*made_up.begin(), {"type": "data-diff", "id": "diff", "data": {"diff": diff}})
    page.locator(".part--diff summary").click()

    expect(page.locator(".diff__line")).to_have_text(
        ["--- a/x", "+++ b/x", "@@ -1,2 +1,2 @@", *shown]
    )


def test_that_the_provider_is_asked_again_is_the_status_until_it_answers(opened, server):
    page = opened()
    retry = {"attempt": 2, "of": 10, "status": 529}
    server.say(*made_up.begin(), {"type": "data-retry", "id": "retry", "data": retry})
    status = page.locator(".status")
    expect(status).to_contain_text("Trying again (attempt 2 of 10): the provider said 529")

    server.say(made_up.delta("Here"))

    expect(status).to_contain_text("Working on mbp")


def test_the_servers_that_it_waits_for_are_the_status_until_it_goes_on(opened, server):
    page = opened()
    waiting = {"type": "data-waiting", "data": {"servers": ["mail", "files"]}, "transient": True}
    server.say(*made_up.begin(), waiting)
    status = page.locator(".status")
    expect(status).to_contain_text("Waiting for the MCP servers mail, files…")

    server.say(waiting | {"data": {"servers": []}})

    expect(status).to_contain_text("Working on mbp")


def test_why_a_run_can_not_be_reached_is_the_status_until_it_can(opened, server):
    page = opened()
    server.say(*made_up.begin())
    status = page.locator(".status")
    expect(status).to_contain_text("Working on mbp")
    why = {"code": "timestamp_drift", "message": "The clock of your machine is wrong."}

    server.change(status="running", resting=why)
    expect(status).to_contain_text("The clock of your machine is wrong.")

    server.change(status="running", resting=None)
    expect(status).to_contain_text("Working on mbp")


def test_while_its_machine_is_offline_a_run_says_so(opened, server):
    page = opened()
    server.say(*made_up.begin())
    server.change_link(state="offline")

    expect(page.locator(".status")).to_contain_text("mbp is offline. The answer arrives when it")


def test_a_stop_that_its_machine_has_not_heard_of_is_not_over(opened, server):
    page = opened()
    server.say(*made_up.begin())
    server.say(*made_up.end("cancelled"))
    server.change(status="cancelled", stopDue=True)
    server.change_link(state="offline")
    status = page.locator(".status")

    expect(status).to_contain_text("mbp is offline: what the agent does there goes on until")
    server.change_link(state="online")
    expect(status).to_contain_text("Stopping the agent on mbp…")
    server.change(status="cancelled", stopDue=False)
    expect(status).to_be_hidden()
