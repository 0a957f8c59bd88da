"""Version 2 of the protocol: what it tells in another way, and what only it tells."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.harness.acp import version2
from agents.harness.base import Ask, Background, Done, Unasked, Withdrawn
from agents.harness.unfinished_calls import WITHDRAWN
from tests.examples import up_to
from tests.harness.acp.scripted import (
    Scripted,
    line,
    output,
    question,
    state,
    text,
    update,
    written,
)
from tests.harness.driver import chunks_of, one, text_of, turn, types_of
from tests.harness.shapes import check_turn

NEW = {"protocolVersion": 2, "info": {"name": "x", "version": "1"}}


@pytest.fixture(autouse=True)
def _speaks_version_2(monkeypatch):
    monkeypatch.setattr(Scripted, "version", 2)


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def change(call_id: str = "c", **fields: Any) -> bytes:
    return update("tool_call_update", toolCallId=call_id, **fields)


def terminal(**fields: Any) -> bytes:
    return update("terminal_update", terminalId="t", **fields)


def printed(data: str | bytes) -> bytes:
    return update("terminal_output_chunk", terminalId="t", data=encoded(data))


def command(**fields: Any) -> bytes:
    shown = [{"type": "terminal", "terminalId": "t"}]
    given = {"kind": "execute", "title": "make", "rawInput": {"command": "make"}, "content": shown}
    return change(**given, **fields)


def outputs(outs):
    shown = (c for c in chunks_of(outs) if c["type"] == "tool-output-available")
    return [(c["output"], c.get("preliminary", False)) for c in shown]


def notices(outs):
    return [c["data"]["code"] for c in chunks_of(outs) if c["type"] == "data-notice"]


# Negotiation


def hello(given=None, **answer):
    """Return our ``initialize``, and what we write after it was answered so."""
    agent = Scripted()
    (first,) = written(agent.adapter.begin(given or turn("hi", takesUnasked=True)))
    return first, written(agent.say(line(id=first["id"], **answer)))


def test_it_is_asked_for_in_the_shapes_of_both_versions():
    params = hello(result=NEW)[0]["params"]

    assert params["protocolVersion"] == 2
    assert params["info"] == params["clientInfo"]
    assert params["capabilities"]["elicitation"] == params["clientCapabilities"]["elicitation"]


def test_a_server_that_takes_no_unasked_turns_has_version_1():
    params = hello(turn("hi"), result=NEW)[0]["params"]

    assert params["protocolVersion"] == 1
    assert "info" not in params


def test_an_agent_that_refuses_the_newer_version_is_asked_for_the_older():
    (again,) = hello(error={"code": -32602, "message": "unsupported"})[1]

    assert (again["method"], again["params"]["protocolVersion"]) == ("initialize", 1)


@pytest.mark.parametrize(
    ("result", "is_new"),
    [
        pytest.param(NEW, True, id="version 2"),
        pytest.param({"protocolVersion": 1}, False, id="version 1"),
        pytest.param({"protocolVersion": 2, "agentInfo": {}}, False, id="the number repeated"),
        pytest.param({"protocolVersion": True, "info": {}}, False, id="no number"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_the_version_is_the_one_whose_shape_the_answer_has(result, is_new):
    assert version2.is_spoken(result) is is_new


@pytest.mark.parametrize(
    ("session", "changes", "method"),
    [
        pytest.param({}, {"resumeSessionRef": "old"}, "session/resume", id="resume"),
        pytest.param(
            {"fork": {}},
            {"resumeSessionRef": "old", "forkSession": True},
            "session/fork",
            id="fork",
        ),
        pytest.param(
            {}, {"resumeSessionRef": "old", "forkSession": True}, "session/new", id="can't fork"
        ),
        pytest.param({}, {}, "session/new", id="new"),
    ],
)
def test_a_session_is_opened_as_the_capabilities_say(session, changes, method):
    given = turn("hi", takesUnasked=True, **changes)

    (request,) = hello(given, result=NEW | {"capabilities": {"session": session}})[1]

    assert request["method"] == method


def test_the_level_is_set_by_an_option_and_read_back():
    option = {
        "configId": "m",
        "name": "Mode",
        "category": "mode",
        "type": "select",
        "currentValue": "auto",
        "options": [{"value": "auto", "name": "Auto"}, {"value": "ask", "name": "Ask"}],
    }
    agent = Scripted("acp:vibe", configOptions=[option])

    agent.begin(turn("hi", toolApprovalLevel="readonly"))

    (request,) = (each for each in agent.asked if "config" in each["method"])
    assert request["params"] == {"sessionId": "s", "configId": "m", "type": "id", "value": "ask"}
    assert agent.prompt


# The course of a turn


def sent(agent=None):
    """Return an agent that has our message and says nothing to it, and the outputs of that."""
    agent = agent or Scripted()
    outs = agent.adapter.begin(turn("hi", takesUnasked=True))
    return agent, outs + agent.respond(outs)


def test_the_answer_ends_when_the_session_is_idle():
    agent = Scripted()
    agent.begin()
    usage = {"inputTokens": 10, "outputTokens": 5}

    outs = agent.say(text("one", messageId="m")) + agent.end("max_tokens", usage=usage)

    assert isinstance(outs[-1], Done)
    assert chunks_of(outs)[-1]["finishReason"] == "length"
    assert chunks_of(outs)[-1]["messageMetadata"]["usage"]["inputTokens"] == 10


@pytest.mark.parametrize(
    ("lines", "is_over"),
    [
        pytest.param([state("idle", stopReason="end_turn")], False, id="before it is at work"),
        pytest.param([state("running"), state("idle")], True, id="without a reason"),
        pytest.param([state("running"), state("_new")], False, id="an unknown state"),
        pytest.param([state("running"), state("requires_action")], False, id="waiting"),
        pytest.param([state("running"), update("state_update")], False, id="no state"),
    ],
)
def test_only_an_idle_state_after_work_ends_it(lines, is_over):
    outs = sent()[0].say(*lines)

    assert any(isinstance(out, Done) for out in outs) is is_over


def test_a_message_that_was_taken_without_a_sign_of_work_can_end():
    agent, _ = sent()

    outs = agent.say(agent.taken()) + agent.end()

    assert isinstance(outs[-1], Done)


def test_an_agent_that_ends_its_answer_as_in_version_1_is_believed():
    agent, outs = sent()

    outs += agent.say(line(id=agent.prompt, result={"stopReason": "end_turn"}))

    check_turn(outs)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        pytest.param(
            [state("idle", stopReason="error", error={"code": -32603, "message": "Overloaded"})],
            "provider_overloaded",
            id="at its end",
        ),
        pytest.param([state("idle", stopReason="error")], "harness_failed", id="without details"),
    ],
)
def test_a_failure_is_told_by_the_state(lines, code):
    agent = Scripted()
    outs = agent.begin() + agent.say(*lines)

    check_turn(outs)
    assert [out.code for out in outs if hasattr(out, "code")] == [code]


def test_a_message_that_was_dropped_after_a_stop_is_no_failure():
    agent, outs = sent()

    outs += agent.adapter.interrupt()
    outs += agent.say(line(id=agent.prompt, error={"code": -32800, "message": "cancelled"}))

    check_turn(outs)
    assert "abort" in types_of(chunks_of(outs))


# Messages


def whole(words, **fields):
    content = [{"type": "text", "text": words}]
    return update("agent_message", messageId="m", content=content, **fields)


@pytest.mark.parametrize(
    ("lines", "said", "is_replaced"),
    [
        pytest.param([whole("one two")], "one two", False, id="whole"),
        pytest.param(
            [text("one ", messageId="m"), text("two", messageId="m"), whole("one two")],
            "one two",
            False,
            id="whole after its pieces",
        ),
        pytest.param(
            [text("one ", messageId="m"), whole("one two")], "one two", False, id="its rest"
        ),
        pytest.param([whole("one"), whole("two")], "onetwo", True, id="replaced"),
        pytest.param([whole("one"), text(" two", messageId="m")], "one two", False, id="grown"),
        pytest.param([whole("one"), whole("")], "one", False, id="cleared"),
        pytest.param([update("agent_message", messageId="m", content=None)], "", False, id="null"),
        pytest.param([update("agent_message")], "", False, id="nothing"),
    ],
)
def test_a_whole_message_adds_what_was_not_said(lines, said, is_replaced):
    outs = Scripted().play(*lines)

    check_turn(outs)
    assert text_of(chunks_of(outs)) == said
    assert ("replaced" in notices(outs)) is is_replaced


def test_a_whole_thought_is_reasoning():
    content = [{"type": "text", "text": "hm"}]

    outs = Scripted().play(update("agent_thought", messageId="m", content=content))

    assert text_of(chunks_of(outs), "reasoning") == "hm"


# Calls and terminals


def test_output_of_a_terminal_is_published_and_kept():
    outs = Scripted().play(
        command(status="in_progress"),
        printed("one "),
        printed("two"),
        terminal(exitStatus={"exitCode": 0}),
        change(status="completed"),
    )

    check_turn(outs)
    assert outputs(outs) == [("one ", True), ("one two", True), ("one two", False)]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        pytest.param([printed("x"), command(status="completed")], "x", id="before its call"),
        pytest.param(
            [command(), *(printed(bytes([byte])) for byte in "é".encode())],
            "é",
            id="a character in two pieces",
        ),
        pytest.param([command(), printed(b"\xff")], "�", id="no text"),
        pytest.param(
            [command(), update("terminal_output_chunk", terminalId="t", data="%%%"), printed("x")],
            "x",
            id="no Base64",
        ),
        pytest.param(
            [command(), printed("abc"), terminal(output={"data": encoded("ABC")}), printed("D")],
            "ABCD",
            id="replaced",
        ),
    ],
)
def test_output_comes_in_bytes(lines, text):
    outs = Scripted().play(*lines)

    check_turn(outs)
    assert outputs(outs)[-1][0] == text


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        pytest.param({"exitCode": 2}, "Exit code 2\nx", id="an exit code"),
        pytest.param({"signal": "SIGKILL"}, "Ended by SIGKILL\nx", id="a signal"),
        pytest.param({"exitCode": None, "signal": None}, "", id="nothing known"),
    ],
)
def test_the_end_of_a_terminal_is_the_end_of_its_command(ended, told):
    outs = Scripted().play(
        command(), printed("x"), terminal(exitStatus=ended), change(status="completed")
    )

    check_turn(outs)
    errors = [c["errorText"] for c in chunks_of(outs) if c["type"] == "tool-output-error"]
    assert errors == ([told] if told else [])


def test_content_of_a_call_comes_in_pieces():
    def piece(words):
        return update("tool_call_content_chunk", toolCallId="c", content=output(words)[0])

    outs = Scripted().play(
        change(kind="fetch", name="web", title="x", status="in_progress"),
        piece("one"),
        piece("two"),
        change(status="completed"),
    )

    check_turn(outs)
    assert outputs(outs)[-1] == ("one\ntwo", False)


def test_a_null_clears_a_field_of_a_call():
    outs = Scripted().play(
        change(kind="execute", title="ls", rawInput={"command": "ls"}, content=output("old")),
        change(content=None, status="completed"),
    )

    check_turn(outs)
    assert outputs(outs)[-1] == ("", False)


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_call_that_was_cancelled_is_not_done(status):
    outs = Scripted().play(command(status="in_progress"), change(status=status))

    check_turn(outs)
    assert one(chunks_of(outs), "tool-output-error")["errorText"] == f"{status.title()}."


PATCH = """\
diff --git /w/a.txt /w/a.txt
index 1..2 100644
--- /w/a.txt
+++ /w/a.txt
@@ -1 +1 @@
--- old
+new
\\ No newline at end of file
diff --git a/b.txt b/c.txt
similarity index 100%
rename from b.txt
rename to c.txt
"""


@pytest.mark.parametrize(
    ("diff", "shown", "paths"),
    [
        pytest.param(
            {
                "changes": [
                    {"operation": "modify", "path": "/w/a.txt"},
                    {"operation": "move", "oldPath": "/w/b.txt", "path": "/w/c.txt"},
                ],
                "patch": {"format": "git_patch", "text": PATCH},
            },
            "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n--- old\n+new\n"
            "rename from b.txt\nrename to c.txt\n",
            "a.txt, b.txt, c.txt",
            id="a patch of git",
        ),
        pytest.param(
            {"changes": [{"operation": "delete", "path": "/w/a"}]},
            "--- a/a\n+++ /dev/null\n",
            "a",
            id="no patch",
        ),
        pytest.param(
            {
                "changes": [{"operation": "add", "path": "/w/a"}],
                "patch": {"format": "_own", "text": "?"},
            },
            "--- /dev/null\n+++ b/a\n",
            "a",
            id="a patch of another format",
        ),
    ],
)
def test_an_edit_is_a_diff(diff, shown, paths):
    agent = Scripted()
    agent.begin(turn("hi", toolApprovalLevel="readonly"))
    agent.adapter._stream._folder = "/w"

    outs = agent.say(question(9, toolCallId="c", kind="edit", content=[{"type": "diff", **diff}]))

    (ask,) = (out for out in outs if isinstance(out, Ask))
    assert ask.input == {"file_path": paths, "diff": shown}


# Questions


@pytest.mark.parametrize(
    ("subject", "tool", "given", "is_known"),
    [
        pytest.param(
            {"type": "command", "command": "ls", "cwd": "/x"},
            "Bash",
            {"command": "ls", "cwd": "/x"},
            True,
            id="a command",
        ),
        pytest.param({"type": "_own"}, "Tool", {"title": "May I?"}, False, id="of another kind"),
        pytest.param(None, "Tool", {"title": "May I?"}, False, id="none"),
    ],
)
def test_a_question_has_a_subject(subject, tool, given, is_known):
    agent = Scripted()
    agent.begin(turn("hi", toolApprovalLevel="readonly"))
    params = {"sessionId": "s", "title": "May I?", "subject": subject, "options": []}

    outs = agent.say(line(id=9, method="session/request_permission", params=params))

    (ask,) = (out for out in outs if isinstance(out, Ask))
    assert (ask.tool, ask.input, ask.is_known) == (tool, given, is_known)


def withdrawn(agent):
    outs = agent.begin(turn("hi", toolApprovalLevel="readonly"))
    outs += agent.say(question(9, toolCallId="c", title="ls", kind="execute"))
    outs += agent.say(line(method="$/cancel_request", params={"requestId": 9}))
    return outs


def test_a_question_that_the_agent_withdraws_is_answered_and_not_run():
    agent = Scripted()
    outs = withdrawn(agent)

    assert written(outs)[-1]["result"] == {"outcome": {"outcome": "cancelled"}}
    outs += agent.end()
    check_turn(outs)
    assert one(chunks_of(outs), "tool-output-error")["errorText"] == WITHDRAWN
    assert [out for out in outs if isinstance(out, Withdrawn)] == [Withdrawn("run-1:9")]
    assert agent.adapter.answer("run-1:9", "allow", "") == []


def test_a_form_that_the_agent_withdraws_is_closed():
    agent = Scripted()
    outs = agent.begin(turn("hi"))
    form = {"type": "object", "properties": {"name": {"type": "string"}}}
    params = {"mode": "form", "message": "Who?", "requestedSchema": form}
    outs += agent.say(line(id=9, method="elicitation/create", params=params))
    outs += agent.say(line(method="$/cancel_request", params={"requestId": 9}))

    assert written(outs)[-1]["result"] == {"action": "cancel"}
    assert one(chunks_of(outs), "tool-output-error")["errorText"] == WITHDRAWN
    check_turn(outs + agent.end())


def test_a_call_that_ends_while_it_is_asked_about_needs_no_answer():
    agent = Scripted()
    outs = agent.begin(turn("hi", toolApprovalLevel="readonly"))
    outs += agent.say(question(9, toolCallId="c", title="ls", kind="execute"))
    outs += agent.say(change(status="failed"))

    assert Withdrawn("run-1:9") in outs
    assert written(outs)[-1]["result"] == {"outcome": {"outcome": "cancelled"}}
    check_turn(outs + agent.end())


def test_what_is_asked_when_the_agent_ends_its_turn_is_taken_back():
    agent = Scripted()
    outs = agent.begin(turn("hi", toolApprovalLevel="readonly"))
    outs += agent.say(question(9, toolCallId="c", title="ls", kind="execute")) + agent.end()

    assert Withdrawn("run-1:9") in outs
    assert written(outs)[-1]["result"] == {"outcome": {"outcome": "cancelled"}}
    check_turn(outs)


def test_what_runs_although_its_question_was_withdrawn_ran_unasked():
    agent = Scripted()
    outs = withdrawn(agent) + agent.say(change(status="completed")) + agent.end()

    check_turn(outs)
    assert chunks_of(outs)[-1]["messageMetadata"]["unaskedCalls"] == 1


# What an agent does by itself


def background(*terminals):
    return [{"type": "terminal", "terminalId": each} for each in terminals]


def begun_by_itself(*lines):
    """Return an agent that has begun to work after a turn of ours, and the outputs of that."""
    agent = Scripted()
    agent.play(text("ours"))
    return agent, agent.say(state("running"), *lines)


def test_work_that_the_agent_begins_is_a_turn_of_its_own():
    agent, outs = begun_by_itself(text("by "), text("itself"))
    assert outs == [Unasked("")]

    more = agent.adapter.begin_unasked(turn("", takesUnasked=True, runId="run-2")) + agent.end()

    check_turn(more)
    assert text_of(chunks_of(more)) == "by itself"
    assert one(chunks_of(more), "data-unasked")["data"] == {"reason": ""}


def test_work_that_has_ended_before_its_turn_is_told_whole():
    agent, outs = begun_by_itself(text("done"), state("idle"), state("running"), text("more"))

    first = agent.adapter.begin_unasked(turn("", takesUnasked=True))
    second = agent.adapter.begin_unasked(turn("", takesUnasked=True)) + agent.end()

    check_turn([out for out in first if not isinstance(out, Unasked)])
    assert (text_of(chunks_of(first)), text_of(chunks_of(second))) == ("done", "more")
    assert [type(out) for out in (*outs, *first)].count(Unasked) == 2


def test_a_message_in_the_middle_of_it_gets_the_answer_from_where_it_was_taken():
    agent, _ = begun_by_itself(text("theirs"))
    agent, outs = sent(agent)

    outs += agent.say(text(" too"), agent.taken(), text("ours")) + agent.end()
    theirs = agent.adapter.begin_unasked(turn("", takesUnasked=True))

    assert text_of(chunks_of(outs)) == "ours"
    assert isinstance(outs[-1], Unasked)
    check_turn(theirs)
    assert text_of(chunks_of(theirs)) == "theirs too"


def test_a_message_that_waits_for_the_end_of_it_gets_its_own_answer():
    agent, _ = begun_by_itself()
    agent, outs = sent(agent)

    outs += agent.say(text("theirs"), state("idle", stopReason="end_turn"))
    outs += agent.say(agent.taken(), state("running"), text("ours")) + agent.end()

    assert text_of(chunks_of(outs)) == "ours"


def test_a_question_that_waits_for_such_a_turn_does_not_keep_ours():
    agent, _ = begun_by_itself(question(9, toolCallId="c", title="ls", kind="execute"))

    refusal, *_ = written(agent.adapter.begin(turn("hi", takesUnasked=True)))

    assert (refusal["id"], "error" in refusal) == (9, True)


def test_what_runs_in_the_background_is_told_and_can_be_stopped():
    agent = Scripted()
    agent.begin()
    told = agent.say(terminal(command="make serve"), state("running", background=background("t")))
    agent.end()

    ended = agent.say(state("running", background=[]))

    assert [task.title for out in told if isinstance(out, Background) for task in out.tasks] == [
        "make serve"
    ]
    assert ended == [Background(), Unasked("“make serve” has ended.")]


def test_a_task_is_stopped_by_the_way_of_its_kind():
    agent = Scripted()
    agent.begin()
    agent.say(state("running", background=[*background("t"), {"type": "_own", "sessionId": "x"}]))

    (stop,) = written(agent.adapter.stop_task("t"))

    assert stop["method"] == "terminal/cancel"
    assert stop["params"] == {"sessionId": "s", "terminalId": "t"}
    assert agent.adapter.stop_task("x") == agent.adapter.stop_task("unknown") == []


def test_a_program_that_ends_has_nothing_in_the_background():
    agent = Scripted()
    agent.begin()
    agent.say(state("running", background=background("t")))
    agent.end()

    assert agent.adapter.ended(0, "") == [Background()]


# Any sequence


def _subagent(**fields: Any) -> bytes:
    return update("subagent_update", **{"sessionId": "x"} | fields)


STEPS = st.sampled_from(
    [
        state("running"),
        state("idle", stopReason="end_turn"),
        state("idle"),
        state("requires_action", background=background("t")),
        text("a", messageId="m"),
        whole("ab"),
        whole("c"),
        command(status="in_progress"),
        command(status="completed"),
        change(status=None, content=None),
        printed("x"),
        terminal(output={"data": encoded("y")}, exitStatus={"exitCode": 1}),
        update("tool_call_content_chunk", toolCallId="c", content=output("z")[0]),
        line(method="$/cancel_request", params={"requestId": 9}),
        line(id=9, method="session/request_permission", params={"sessionId": "s", "title": "q"}),
        line(id=8, method="session/request_permission", params={"sessionId": "x", "title": "q"}),
        line(
            id=7,
            method="session/request_permission",
            params={
                "sessionId": "x",
                "subject": {"type": "tool_call", "toolCall": {"toolCallId": "y", "title": "q"}},
            },
        ),
        _subagent(title="t"),
        _subagent(state={"state": "idle"}),
        update("tool_call_update", session="x", toolCallId="y", kind="execute", status="completed"),
        b"taken",
        b"begin",
        b"unasked",
        b"interrupt",
        b"allow",
        b"deny",
    ]
)


@settings(max_examples=up_to(300), deadline=None)
@given(steps=st.lists(STEPS, max_size=30), level=st.sampled_from(["auto", "readonly"]))
def test_any_order_of_updates_makes_whole_turns(steps, level):
    Scripted.version = 2
    agent = Scripted()
    given_turn = turn("hi", takesUnasked=True, toolApprovalLevel=level)
    outs, is_open = agent.begin(given_turn), True
    for step in steps:
        if step == b"taken":
            heard = agent.say(agent.taken())
        elif step == b"interrupt":
            heard = agent.adapter.interrupt()
        elif step in (b"allow", b"deny"):
            open_ones = list(agent.adapter._questions)
            heard = [
                out for each in open_ones for out in agent.adapter.answer(each, step.decode(), "")
            ]
        elif step in (b"begin", b"unasked") and not is_open:
            outs, is_open = [], True
            begin = agent.adapter.begin if step == b"begin" else agent.adapter.begin_unasked
            heard = begin(given_turn)
            heard += agent.respond(heard)
        elif step in (b"begin", b"unasked"):
            continue
        else:
            heard = agent.say(step)
        outs += heard
        if is_open and any(isinstance(out, Done) for out in outs):
            is_open = False
            _check_whole(outs)
        elif not is_open:
            assert chunks_of(heard) == []
    if is_open:
        _check_whole(outs + agent.adapter.ended(1, ""))


def _check_whole(outs):
    check_turn([out for out in outs if not isinstance(out, Background | Unasked)])
    json.dumps(chunks_of(outs))


# What its sub-agents ask when no turn of ours runs


def sub_agent_asks(request_id=9, call="c", **fields):
    """Return the question of a sub-agent, which has a session of its own."""
    told = {"toolCallId": call, "title": "touch x", "kind": "execute", **fields}
    asked = {"title": "May I?", "subject": {"type": "tool_call", "toolCall": told}}
    options = [
        {"optionId": "yes", "kind": "allow_once", "name": "Yes"},
        {"optionId": "no", "kind": "reject_once", "name": "No"},
    ]
    params = {"sessionId": "x", "options": options} | asked
    return line(id=request_id, method="session/request_permission", params=params)


def sub_agent_fills_in(request_id=9):
    form = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    params = {"sessionId": "x", "mode": "form", "message": "How many?", "requestedSchema": form}
    return line(id=request_id, method="elicitation/create", params=params)


def delegating(level="readonly"):
    """Return an agent that has ended our turn, and whose sub-agent works on."""
    agent = Scripted()
    agent.begin(turn("hi", toolApprovalLevel=level))
    agent.say(_subagent(title="looks"))
    agent.say(state("running", background=[{"type": "subagent", "sessionId": "x"}]))
    agent.end()
    return agent


def own_turn(agent):
    return agent.adapter.begin_unasked(
        turn("", takesUnasked=True, runId="run-2", toolApprovalLevel="readonly")
    )


def asked_in(outs):
    return [out for out in outs if isinstance(out, Ask)]


def call_of(name, **fields):
    return update("tool_call_update", session="x", toolCallId=name, **fields)


UNASKED = Unasked("A sub-agent in the background asks you something.")


def test_a_sub_agents_question_between_turns_is_an_answer_of_its_own():
    agent = delegating()
    assert agent.say(sub_agent_asks()) == [UNASKED]

    outs = own_turn(agent)
    (ask,) = asked_in(outs)
    assert (ask.approval_id, ask.tool_call_id) == ("run-2:9", "c")
    assert Done() not in outs
    outs += agent.adapter.answer("run-2:9", "allow", "")
    outs += agent.say(call_of("c", status="completed", content=output("done")))

    check_turn(outs)
    answered = [each["result"] for each in written(outs) if each.get("id") == 9]
    assert answered == [{"outcome": {"outcome": "selected", "optionId": "yes"}}]
    assert outs[-1] == Done()
    results = [c for c in chunks_of(outs) if c["type"] == "tool-output-available"]
    assert (results[0]["toolCallId"], results[0]["output"]) == ("c", "done")
    begun = [c for c in chunks_of(outs) if c["type"] == "tool-input-available"]
    assert begun[-1]["providerMetadata"] == {"mesh": {"parentToolCallId": "x"}}


def test_one_that_is_denied_ends_it_at_once():
    agent = delegating()
    agent.say(sub_agent_asks())
    outs = own_turn(agent) + agent.adapter.answer("run-2:9", "deny", "")

    check_turn(outs)
    assert written(outs)[-1]["result"]["outcome"]["optionId"] == "no"
    assert one(chunks_of(outs), "tool-output-denied")["toolCallId"] == "c"


def test_what_was_told_of_the_call_before_is_on_the_card():
    agent = delegating()
    agent.say(call_of("c", kind="execute", rawInput={"command": "touch x"}, status="pending"))
    agent.say(sub_agent_asks())

    (ask,) = asked_in(own_turn(agent))

    assert (ask.tool, ask.input) == ("Bash", {"command": "touch x"})


def test_several_questions_wait_in_the_same_answer():
    agent = delegating()
    assert agent.say(sub_agent_asks(), sub_agent_asks(10, "d")) == [UNASKED]
    outs = own_turn(agent)
    assert [ask.approval_id for ask in asked_in(outs)] == ["run-2:9", "run-2:10"]

    outs += agent.adapter.answer("run-2:9", "deny", "")
    assert Done() not in outs
    outs += agent.adapter.answer("run-2:10", "deny", "")

    check_turn(outs)


def test_a_form_of_a_sub_agent_is_asked_again_until_it_fits():
    agent = delegating()
    assert agent.say(sub_agent_fills_in()) == [UNASKED]
    outs = own_turn(agent)
    (ask,) = asked_in(outs)
    question = ask.input["questions"][0]["question"]

    outs += agent.adapter.answer("run-2:9", "allow", "", {question: "many"})
    assert Done() not in outs
    outs += agent.adapter.answer("run-2:9:1", "allow", "", {question: "3"})

    check_turn(outs)
    assert written(outs)[-1]["result"] == {"action": "accept", "content": {"n": 3}}


@pytest.mark.parametrize(
    ("level", "options", "chosen"),
    [
        pytest.param("auto", {}, "yes", id="at auto"),
        pytest.param("plan", {}, "no", id="while planning"),
        pytest.param("readonly", {"kind": "read"}, "yes", id="about reading"),
    ],
)
def test_what_the_level_answers_needs_no_answer_of_its_own(level, options, chosen):
    agent = Scripted("acp:opencode") if level == "plan" else None
    if agent is None:
        agent = delegating(level)
    else:
        agent.begin(turn("hi", toolApprovalLevel="auto"))
        agent.end()
        agent.adapter._settings = turn("hi", mode="plan", toolApprovalLevel="plan")

    outs = agent.say(sub_agent_asks(**options))

    assert [each["result"]["outcome"].get("optionId") for each in written(outs)] == [chosen]
    assert UNASKED not in outs


def test_one_that_waits_for_its_answer_survives_our_message():
    agent = delegating()
    agent.say(sub_agent_asks())
    agent, outs = sent(agent)
    outs += agent.say(agent.taken(), state("running"), text("ours")) + agent.end()

    assert text_of(chunks_of(outs)) == "ours"
    assert not asked_in(outs)
    assert outs[-1] == UNASKED
    (ask,) = asked_in(own_turn(agent))
    assert ask.approval_id == "run-2:9"


def test_one_that_is_taken_back_before_it_is_asked_says_so():
    agent = delegating()
    agent.say(sub_agent_asks(), line(method="$/cancel_request", params={"requestId": 9}))

    outs = own_turn(agent)

    check_turn(outs)
    assert Withdrawn("run-2:9") in outs
    assert written(outs)[-1]["result"] == {"outcome": {"outcome": "cancelled"}}


def test_a_turn_does_not_end_while_its_sub_agent_asks():
    agent = Scripted()
    outs = agent.begin(turn("hi", toolApprovalLevel="readonly"))
    outs += agent.say(_subagent(title="looks"), sub_agent_asks(), text("Done.")) + agent.end()
    assert Done() not in outs

    outs += agent.adapter.answer("run-1:9", "allow", "")
    assert Done() not in outs
    outs += agent.say(call_of("c", status="completed", content=output("done")))

    check_turn(outs)
    assert text_of(chunks_of(outs)) == "Done."


def test_a_turn_that_goes_on_meanwhile_ends_later():
    agent = Scripted()
    outs = agent.begin(turn("hi", toolApprovalLevel="readonly"))
    outs += agent.say(_subagent(title="looks"), sub_agent_asks()) + agent.end()
    outs += agent.say(state("running"), text("More."))
    outs += agent.adapter.answer("run-1:9", "deny", "")
    assert Done() not in outs

    outs += agent.end()

    check_turn(outs)
    assert text_of(chunks_of(outs)) == "More."


@pytest.mark.parametrize("is_own", [True, False], ids=["of its own", "a turn's end"])
def test_an_answer_that_waits_for_a_sub_agents_question_can_be_stopped(is_own):
    agent = delegating()
    if is_own:
        agent.say(sub_agent_asks())
        outs = own_turn(agent)
    else:
        agent = Scripted()
        outs = agent.begin(turn("hi", toolApprovalLevel="readonly"))
        outs += agent.say(_subagent(title="looks"), sub_agent_asks()) + agent.end()
    assert Done() not in outs

    stopped = agent.adapter.interrupt()

    check_turn(outs + stopped)
    assert [each.get("method") for each in written(stopped)] == [None]  # no work is cancelled
    assert stopped[-1] == Done()


@pytest.mark.parametrize(
    "what", [{}, {"toolCallId": "c"}], ids=["a question without a call", "a call without an end"]
)
def test_an_answer_ends_although_nothing_more_is_told_of_the_call(what):
    agent = delegating()
    params = {"sessionId": "x", "title": "q", "subject": {"type": "tool_call", "toolCall": what}}
    agent.say(line(id=9, method="session/request_permission", params=params))

    outs = own_turn(agent) + agent.adapter.answer("run-2:9", "allow", "")
    outs += agent.say(_subagent(state={"state": "idle", "stopReason": "end_turn"}))

    check_turn([out for out in outs if not isinstance(out, Background)])


def test_a_flood_of_what_sub_agents_tell_of_calls_is_not_kept():
    agent = delegating()
    for number in range(40):
        agent.say(call_of(f"c-{number}", kind="execute", title="x" * 100_000))

    assert agent.adapter._unasked._told_size <= 1024 * 1024
