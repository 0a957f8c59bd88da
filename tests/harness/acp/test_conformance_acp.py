"""Every optional message of the protocol, and each one late, double, missing or out of order."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.harness.base import Ask, Done
from tests.examples import up_to
from tests.harness.acp.scripted import Scripted, line, output, question, text, update, written
from tests.harness.driver import chunks_of, one, text_of, turn, types_of
from tests.harness.shapes import check_turn


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"], autouse=True, scope="module")
def version(request):
    """Every test is played in both versions of the protocol."""
    Scripted.version = request.param
    yield request.param
    Scripted.version = 1


def notices(outs):
    return [
        (chunk["data"]["code"], chunk["data"]["text"])
        for chunk in chunks_of(outs)
        if chunk["type"] == "data-notice" and not chunk.get("transient")
    ]


ALLOW = {"kind": "allow_once", "optionId": "yes"}


def call(call_id="c", **fields):
    kind = "tool_call" if Scripted.version == 1 else "tool_call_update"
    return update(kind, toolCallId=call_id, **fields)


def change(call_id="c", **fields):
    return update("tool_call_update", toolCallId=call_id, **fields)


def test_a_call_is_shown_as_soon_as_it_is_announced():
    agent = Scripted()
    agent.begin()

    outs = agent.say(call(title="bash", status="pending"))

    assert one(chunks_of(outs), "tool-input-start")["title"] == "bash"


def test_a_call_that_got_no_update_is_not_called_failed():
    outs = Scripted().play(call(title="bash", status="pending"), text("ok"))

    check_turn(outs)
    assert one(chunks_of(outs), "tool-output-available")["output"] == (
        "The agent did not report its output."
    )


def test_calls_announced_together_survive_the_next_step():
    outs = Scripted().play(
        call("a", title="one", status="pending"),
        call("b", kind="execute", title="ls", status="completed", content=output("x")),
        text("meanwhile"),
        change("a", status="completed", content=output("done")),
    )

    check_turn(outs)
    ends = [chunk for chunk in chunks_of(outs) if chunk["type"] == "tool-output-available"]
    assert [chunk["output"] for chunk in ends if not chunk.get("preliminary")] == ["x", "done"]


def test_a_call_that_the_mode_allows_is_shown_before_it_has_ended():
    agent = Scripted()
    agent.begin()

    outs = agent.say(question(9, ALLOW, toolCallId="c", title="ls", kind="execute"))

    assert one(chunks_of(outs), "tool-input-available")["input"] == {"command": "ls"}
    assert written(outs)[0]["result"]["outcome"]["optionId"] == "yes"


def test_a_question_that_the_agent_did_not_wait_for_was_not_run():
    agent = Scripted()
    outs = agent.begin(turn("hi", toolApprovalLevel="readonly"))

    outs += agent.say(question(9, toolCallId="c", title="ls", kind="execute")) + agent.end()

    check_turn(outs)
    assert "Not run" in one(chunks_of(outs), "tool-output-error")["errorText"]


def test_output_that_comes_in_pieces_is_published_and_kept():
    def piece(data):
        meta = {"terminal_output_delta": {"terminal_id": "t", "data": data}}
        return change(_meta=meta)

    terminal = [{"type": "terminal", "terminalId": "t"}]
    outs = Scripted().play(
        call(kind="execute", title="make", status="in_progress", content=terminal),
        piece("one "),
        piece("two"),
        change(status="completed"),
    )

    shown = [c for c in chunks_of(outs) if c["type"] == "tool-output-available"]
    assert [(c["output"], c.get("preliminary", False)) for c in shown] == [
        ("one ", True),
        ("one two", True),
        ("one two", False),
    ]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(
            update("notice", severity="warning", title="Slow", description="Busy"),
            [("warning", "Slow\nBusy")],
            id="a warning",
        ),
        pytest.param(update("notice", severity="new", title="T"), [("notice", "T")], id="a notice"),
        pytest.param(update("notice", severity="info"), [], id="an empty notice"),
        pytest.param(
            update("compaction_update", compactionId="k", status="completed"),
            [("compacted", "The conversation was shortened.")],
            id="shortened",
        ),
        pytest.param(
            update("compaction_update", compactionId="k", status="failed", error="full"),
            [("compact_failed", "full")],
            id="not shortened",
        ),
        pytest.param(
            update("compaction_update", compactionId="k", status="in_progress"), [], id="begun"
        ),
    ],
)
def test_what_a_person_should_know_is_kept(said, told):
    assert notices(Scripted().play(said)) == told


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(update("_their/own", x=1), id="an update of its own"),
        pytest.param(line(method="_their/own", params={}), id="a notification of its own"),
        pytest.param(line(method="qwen/notify/mode", params={}), id="one without an underscore"),
        pytest.param(update("subagent_update", state={"state": "idle"}), id="a sub-agent"),
        pytest.param(update("session_message", messageId="m"), id="a session's message"),
        pytest.param(text("of another", session="other"), id="another session"),
    ],
)
def test_what_concerns_nobody_is_not_shown(said):
    outs = Scripted().play(said)

    check_turn(outs)
    assert "data-notice" not in types_of(chunks_of(outs))
    assert text_of(chunks_of(outs)) == ""


@pytest.mark.parametrize("method", ["_their/own", "craft/drainMidTurnQueue", "terminal/create"])
def test_a_request_that_is_unknown_is_refused_at_once(method):
    agent = Scripted()
    agent.begin()

    (answer,) = written(agent.say(line(id="x", method=method, params={})))

    assert (answer["id"], answer["error"]["code"]) == ("x", -32601)


def test_a_plan_comes_as_a_list_or_as_text_and_goes_away():
    items = {"type": "items", "planId": "p", "entries": [{"content": "a", "status": "pending"}]}
    markdown = {"type": "markdown", "planId": "q", "content": "# Do"}

    outs = Scripted().play(
        update("plan_update", plan=items),
        update("plan_update", plan=markdown),
        update("plan_removed", planId="p"),
    )

    chunks = chunks_of(outs)
    lists = [c["data"]["todos"] for c in chunks if c["type"] == "data-todos"]
    assert [len(todos) for todos in lists] == [1, 0]
    assert one(chunks, "data-plan")["data"]["plan"] == "# Do"


def form(**properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    params = {"sessionId": "s", "mode": "form", "message": "Who?", "requestedSchema": schema}
    return line(id="f", method="elicitation/create", params=params)


def asked_in(outs):
    return [out for out in outs if isinstance(out, Ask)][-1]


def test_a_form_is_a_card_and_its_answers_are_typed():
    agent = Scripted()
    outs = agent.begin()
    outs += agent.say(form(age={"type": "integer", "title": "Age"}))
    ask = asked_in(outs)

    wrong = agent.adapter.answer(ask.approval_id, "allow", "", {"Who?\nAge": "old"})
    again = asked_in(wrong)
    right = agent.adapter.answer(again.approval_id, "allow", "", {"Who?\nAge": "7"})

    assert ask.tool == "AskUserQuestion"
    assert written(wrong) == []
    assert "whole number" in again.input["questions"][0]["question"]
    assert written(right)[0]["result"] == {"action": "accept", "content": {"age": 7}}
    check_turn(outs + wrong + right + agent.end())


def test_a_form_that_a_person_declines():
    agent = Scripted()
    outs = agent.begin() + agent.say(form(age={"type": "integer"}))

    denied = agent.adapter.answer(asked_in(outs).approval_id, "deny", "")

    assert written(denied)[0]["result"] == {"action": "decline"}
    check_turn(outs + denied + agent.end())


def test_a_form_of_a_stopped_turn_is_cancelled():
    agent = Scripted()
    agent.begin()
    agent.say(form(age={"type": "integer"}))

    stopped = written(agent.adapter.interrupt())

    assert stopped[-1] == {"jsonrpc": "2.0", "id": "f", "result": {"action": "cancel"}}


@pytest.mark.parametrize(
    ("params", "is_asked"),
    [
        pytest.param({"mode": "url", "message": "m", "url": "https://x.example"}, True, id="url"),
        pytest.param({"mode": "url", "url": "javascript:1"}, False, id="no web address"),
        pytest.param({"mode": "telepathy"}, False, id="unknown mode"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_an_address_is_shown_and_an_unknown_mode_declined(params, is_asked):
    agent = Scripted()
    agent.begin()

    outs = agent.say(line(id=1000, method="elicitation/create", params=params))

    assert any(isinstance(out, Ask) for out in outs) is is_asked
    answers = [answer["result"] for answer in written(outs)]
    assert answers == ([] if is_asked else [{"action": "decline"}])


def counted(outs):
    usage = chunks_of(outs)[-1].get("messageMetadata", {}).get("usage", {})
    return usage.get("inputTokens"), usage.get("outputTokens")


@pytest.mark.parametrize(
    ("kind", "turns"),
    [
        pytest.param("acp:gemini", [(10, 1), (30, 3), (5, 1)], id="counts of the turn"),
        pytest.param("acp:copilot", [(10, 1), (20, 2), (5, 1)], id="totals that begin anew"),
        pytest.param("acp:vibe", [(10, 1), (20, 2), (5, 1)], id="totals"),
    ],
)
def test_the_usage_is_the_turns(kind, turns):
    agent = Scripted(kind)
    found = []
    for told in ((10, 1), (30, 3), (5, 1)):
        agent.begin()
        usage = {"inputTokens": told[0], "outputTokens": told[1]}
        found.append(counted(agent.end(usage=usage)))

    assert found == turns


def test_how_full_the_context_is_comes_with_the_answer():
    outs = Scripted().play(update("usage_update", used=50, size=200))

    usage = chunks_of(outs)[-1]["messageMetadata"]["usage"]
    assert usage == {"contextWindow": 200, "contextUsed": 50}


DONE = change(status="completed", content=output("x"))


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([DONE, call(kind="execute", title="ls")], id="its end before its beginning"),
        pytest.param([call(kind="execute", title="ls"), DONE, DONE], id="two ends"),
        pytest.param([call(title="a"), call(title="b"), DONE], id="announced twice"),
        pytest.param([call(title="a"), DONE, change(status="failed")], id="done, then failed"),
        pytest.param([update("tool_call", title="a"), update("tool_call_update")], id="no id"),
    ],
)
def test_a_call_has_one_beginning_and_one_end(lines):
    outs = Scripted().play(*lines)

    check_turn(outs)


def test_what_comes_late_for_an_earlier_turn_is_not_in_the_next():
    agent = Scripted()
    agent.play(call(kind="execute", title="sleep 9", status="in_progress"))
    agent.say(text("after its end"))

    outs = agent.begin() + agent.say(DONE) + agent.end()

    check_turn(outs)
    assert [kind for kind in types_of(chunks_of(outs)) if kind.startswith("tool")] == []


def test_a_second_answer_to_the_prompt_ends_nothing():
    agent = Scripted()
    agent.play(text("one"))
    first = agent.prompt

    outs = agent.begin() + agent.say(line(id=first, result={"stopReason": "end_turn"}))

    assert not any(isinstance(out, Done) for out in outs)


def test_a_line_of_64_mib_is_taken():
    outs = Scripted().play(text("x" * (64 * 1024 * 1024)))

    check_turn(outs)


def test_a_flood_of_updates_is_one_answer():
    outs = Scripted().play(*[change(kind="execute", title="ls", content=output("x"))] * 5_000)

    check_turn(outs)
    assert len(chunks_of(outs)) < 100


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
WHOLE = [
    form(age={"type": "integer", "minimum": 1}, kind={"enum": ["a"]}),
    call(kind="execute", title="ls", status="pending", rawInput={"command": "ls", "cwd": "/"}),
    change(
        status="in_progress",
        content=[{"type": "terminal", "terminalId": "t"}],
        locations=[{"path": "a"}],
        _meta={"terminal_output_delta": {"terminal_id": "t", "data": "x"}},
    ),
    change(
        status="completed",
        rawOutput={"output": "x", "metadata": {"exit": 0}},
        content=[{"type": "diff", "path": "a", "oldText": "b", "newText": "c"}],
        _meta={"terminal_exit": {"terminal_id": "t", "exit_code": 0}},
    ),
    change("d", content=[{"type": "content", "content": {"type": "image", "data": "", "uri": ""}}]),
    update("usage_update", used=1, size=2, cost={"amount": 1, "currency": "USD"}),
    update("plan", entries=[{"content": "a", "status": "pending"}]),
    update("plan_update", plan={"type": "items", "entries": [{"content": "a"}]}),
    update("notice", severity="warning", title="a", description="b"),
    update("compaction_update", status="failed", error="x"),
    update("available_commands_update", availableCommands=[{"name": "a", "input": {"hint": "x"}}]),
    update("config_option_update", configOptions=[{"id": "a", "currentValue": "b", "options": []}]),
    line(
        id=9,
        method="session/request_permission",
        params={
            "sessionId": "s",
            "toolCall": {"toolCallId": "c", "kind": "edit", "title": "x"},
            "options": [{"kind": "allow_once", "optionId": "y"}],
        },
    ),
]


def places(value, path=()):
    """Return the path of each value inside a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    if isinstance(value, dict | list):
        for key, inner in items:
            found += (
                places(inner, (*path, key)) if isinstance(inner, dict | list) else [(*path, key)]
            )
    return found


def put(raw, path, odd):
    """Return the line with an odd value at ``path``."""
    whole = json.loads(raw)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    return json.dumps(whole).encode()


PLACES = [(raw, path) for raw in WHOLE for path in places(json.loads(raw))]


@settings(max_examples=up_to(300), deadline=None)
@given(
    spoilt=st.lists(st.tuples(st.sampled_from(PLACES), ODD), max_size=6),
    level=st.sampled_from(["auto", "readonly"]),
)
def test_a_wrong_type_in_any_field_leaves_the_turn_whole(spoilt, level):
    agent = Scripted()
    outs = agent.begin(turn("hi", toolApprovalLevel=level))

    outs += agent.say(*[put(raw, path, odd) for (raw, path), odd in spoilt])
    outs += agent.end() + agent.adapter.ended(1, "")

    check_turn(outs)
