"""Sub-agents of version 2, which have sessions of their own: nothing that they do is hidden."""

from __future__ import annotations

import pytest

from agents.harness.base import Ask
from tests.harness.acp.scripted import SESSION, Scripted, line, output, text, update
from tests.harness.driver import chunks_of, text_of, turn
from tests.harness.shapes import check_turn

CHILD = "child"


@pytest.fixture(autouse=True)
def _speaks_version_2(monkeypatch):
    monkeypatch.setattr(Scripted, "version", 2)


def child(state="", session=CHILD, of=SESSION, **fields):
    told = {"state": {"state": state} | fields.pop("more", {})} if state else {}
    params = {"sessionUpdate": "subagent_update", "sessionId": session, **told, **fields}
    return line(method="session/update", params={"sessionId": of, "update": params})


def prompt(words, session=CHILD):
    content = [{"type": "text", "text": words}]
    return update("session_message", messageId="m", recipientSessionId=session, content=content)


def command(call_id="c", session=CHILD, **fields):
    given = {"kind": "execute", "rawInput": {"command": "ls"}} | fields
    return update("tool_call_update", session=session, toolCallId=call_id, **given)


def inputs(outs):
    """Return each call with its tool, its input and the call that has made it."""
    return {
        chunk["toolCallId"]: (
            chunk["toolName"],
            chunk["input"],
            chunk.get("providerMetadata", {}).get("mesh", {}).get("parentToolCallId"),
        )
        for chunk in chunks_of(outs)
        if chunk["type"] == "tool-input-available"
    }


def ends(outs):
    kinds = {"tool-output-available": "output", "tool-output-error": "errorText"}
    return {
        chunk["toolCallId"]: chunk[kinds[chunk["type"]]]
        for chunk in chunks_of(outs)
        if chunk["type"] in kinds
    }


def test_its_work_is_a_call_with_its_prompt_its_own_calls_and_its_report():
    outs = Scripted().play(
        text("I ask one."),
        child("running", title="look"),
        prompt("Look there."),
        text("inner ", session=CHILD, messageId="1"),
        command(status="in_progress"),
        command(status="completed", content=output("a.txt")),
        text("There is ", session=CHILD, messageId="2"),
        text("a file.", session=CHILD, messageId="2"),
        child("idle", more={"stopReason": "end_turn"}),
        text("It found a file."),
    )

    check_turn(outs)
    assert inputs(outs) == {
        CHILD: ("Agent", {"description": "look", "prompt": "Look there."}, None),
        "c": ("Bash", {"command": "ls"}, CHILD),
    }
    assert ends(outs) == {"c": "a.txt", CHILD: "There is a file."}
    assert text_of(chunks_of(outs)) == "I ask one.It found a file."


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        pytest.param([], "It works on in the background.", id="still at work"),
        pytest.param([child("idle", more={"stopReason": "error"})], "Failed.", id="failed"),
        pytest.param(
            [child("idle", more={"stopReason": "cancelled"})], "Cancelled.", id="cancelled"
        ),
        pytest.param([child("idle"), child("idle")], "", id="ended twice"),
    ],
)
def test_each_has_an_end(lines, told):
    outs = Scripted().play(child("running", title="look"), *lines)

    check_turn(outs)
    assert ends(outs) == {CHILD: told}


def test_one_may_have_another():
    outs = Scripted().play(
        child("running", title="look"),
        child("running", session="grand", of=CHILD, title="deeper"),
        command(session="grand"),
    )

    check_turn(outs)
    assert [call[2] for call in inputs(outs).values()] == [None, CHILD, "grand"]


def test_its_question_is_asked_and_what_it_runs_unasked_is_marked():
    agent = Scripted()
    outs = agent.begin(turn("hi", toolApprovalLevel="readonly"))
    subject = {"type": "command", "command": "make", "cwd": "/", "toolCallId": "q"}
    params = {"sessionId": CHILD, "title": "May I?", "subject": subject, "options": []}
    outs += agent.say(
        child("running", title="look"),
        line(id=9, method="session/request_permission", params=params),
    )
    (ask,) = (out for out in outs if isinstance(out, Ask))
    outs += agent.adapter.answer(ask.approval_id, "deny", "")

    outs += agent.say(command("x", status="completed"), child("idle")) + agent.end()

    check_turn(outs)
    assert inputs(outs)["q"][2] == CHILD
    assert chunks_of(outs)[-1]["messageMetadata"]["unaskedCalls"] == 1


def test_one_of_an_earlier_turn_is_known_in_the_next():
    agent = Scripted()
    agent.play(child("running", title="look"))

    outs = agent.begin() + agent.say(command("new", status="completed")) + agent.end()

    check_turn(outs)
    assert inputs(outs)["new"] == ("Bash", {"command": "ls"}, CHILD)
    assert inputs(outs)[CHILD][1] == {"description": "look"}


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(command(session="nobody"), id="a session that nobody knows"),
        pytest.param(child("running", session=""), id="no id"),
        pytest.param(update("session_message", recipientSessionId="nobody"), id="a message"),
    ],
)
def test_what_concerns_nobody_is_not_shown(said):
    outs = Scripted().play(said)

    check_turn(outs)
    assert inputs(outs) == {}


def test_a_flood_of_them_has_an_end():
    outs = Scripted().play(*[child("running", session=f"s{n}", title="x") for n in range(500)])

    check_turn(outs)
    assert len(inputs(outs)) == 100
