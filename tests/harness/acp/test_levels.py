from __future__ import annotations

from dataclasses import replace

import pytest

from agents.harness import with_agents
from agents.harness.acp import levels
from agents.harness.acp.agents import Agent, built_in
from agents.harness.acp.session import SessionFacts
from agents.harness.base import Fail
from tests.harness.acp.scripted import SESSION, Scripted, line, output, update, written
from tests.harness.driver import chunks_of, one, turn
from tests.harness.shapes import check_turn

COPILOT = "https://agentclientprotocol.com/protocol/session-modes"
READONLY = turn("hi", toolApprovalLevel="readonly")
PLAN = turn("hi", mode="plan")
MODES = {
    "currentModeId": "auto",
    "availableModes": [{"id": "auto"}, {"id": "default"}, {"id": "plan"}],
}


@pytest.mark.parametrize(
    ("kind", "level", "expected"),
    [
        ("acp:gemini", "plan", {"mode": "plan"}),
        ("acp:gemini", "readonly", {"mode": "default"}),
        ("acp:qwen", "plan", {"mode": "plan"}),
        ("acp:qwen", "readonly", {"mode": "default"}),
        ("acp:qwen", "auto", {"mode": "default"}),
        ("acp:vibe", "plan", None),
        ("acp:vibe", "readonly", {"mode": "ask"}),
        ("acp:claude-code", "plan", {"mode": "plan"}),
        ("acp:claude-code", "readonly", {"mode": "default"}),
        ("acp:codex", "plan", {"mode": "read-only", "collaboration_mode": "plan"}),
        ("acp:codex", "readonly", {"mode": "read-only", "collaboration_mode": "default"}),
        ("acp:codex", "auto", {"mode": "agent", "collaboration_mode": "default"}),
        ("acp:copilot", "plan", {"mode": f"{COPILOT}#plan", "allow_all": "off"}),
        ("acp:copilot", "readonly", {"mode": f"{COPILOT}#agent", "allow_all": "off"}),
        ("acp:fast-agent", "plan", {"mode": "agent"}),
        ("acp:fast-agent", "readonly", {"mode": "agent"}),
        ("acp:opencode", "plan", {}),
        ("acp:opencode", "readonly", {}),
    ],
)
def test_what_a_level_sets(kind, level, expected):
    assert levels.wanted(built_in()[kind], level, SessionFacts()) == expected


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        pytest.param(["usual", "plan"], {"mode": "plan"}, id="it has such a mode"),
        pytest.param(["usual"], None, id="it has none"),
    ],
)
def test_an_agent_that_is_not_known_plans_only_in_a_mode_that_is_called_so(modes, expected):
    facts = SessionFacts()
    listed = [{"id": each} for each in modes]
    facts.open({"modes": {"currentModeId": "usual", "availableModes": listed}})
    agent = Agent(name="goose", title="goose", command=("goose",))

    assert levels.wanted(agent, "plan", facts) == expected
    assert levels.wanted(agent, "readonly", facts) == {"mode": "usual"}


def sent(outs):
    return [each["method"] for each in written(outs)]


def code_of(outs):
    return next((out.code for out in outs if isinstance(out, Fail)), "")


def test_the_level_is_set_before_the_prompt_and_before_each_one():
    agent = Scripted("acp:qwen", modes=MODES)

    first = sent(agent.begin(READONLY))
    agent.end()
    again = sent(agent.begin(READONLY))

    assert first == ["initialize", "session/new", "session/set_mode", "session/prompt"]
    assert again == ["session/set_mode", "session/prompt"]


def answered(kind, given, answer, *, before=(), **session):
    """Take a turn to the request that sets its mode, and answer that."""
    adapter = Scripted(kind).adapter
    outs = adapter.begin(given) + adapter.feed(line(id=1, result={}))
    outs += adapter.feed(line(id=2, result={"sessionId": "s"} | session))
    for each in before:
        outs += adapter.feed(each)
    return outs + adapter.feed(line(id=3, **answer))


REFUSED = {"error": {"code": -32602, "message": "No such mode."}}
OTHER = [update("current_mode_update", currentModeId="yolo")]


@pytest.mark.parametrize("given", [READONLY, PLAN], ids=["readonly", "plan"])
@pytest.mark.parametrize(
    ("answer", "before"),
    [
        pytest.param(REFUSED, [], id="refused"),
        pytest.param({"result": {}}, OTHER, id="another mode"),
    ],
)
def test_a_level_that_is_not_held_ends_the_turn_before_its_prompt(given, answer, before):
    outs = answered("acp:qwen", given, answer, before=before, modes=MODES)

    check_turn(outs)
    assert code_of(outs) == "level_not_held"
    assert "session/prompt" not in sent(outs)


def test_at_auto_a_mode_that_asks_is_not_needed():
    outs = answered("acp:qwen", turn("hi"), REFUSED, modes=MODES)

    assert sent(outs)[-1] == "session/prompt"


def test_a_mode_that_is_an_option_is_set_as_one_and_read_back():
    values = [{"value": "accept"}, {"value": "ask"}]
    option = {"id": "m", "category": "mode", "currentValue": "accept", "options": values}
    asks = option | {"currentValue": "ask"}

    held = answered(
        "acp:vibe", READONLY, {"result": {"configOptions": [asks]}}, configOptions=[option]
    )
    kept = answered(
        "acp:vibe", READONLY, {"result": {"configOptions": [option]}}, configOptions=[option]
    )

    assert sent(held)[-2:] == ["session/set_config_option", "session/prompt"]
    assert code_of(kept) == "level_not_held"


def test_an_agent_that_is_known_not_to_plan_is_sent_nothing():
    outs = Scripted("acp:vibe").begin(PLAN)

    check_turn(outs)
    assert (written(outs), code_of(outs)) == ([], "level_unavailable")


def test_an_unknown_agent_that_has_no_such_mode_gets_no_prompt():
    agent = Scripted()
    agent.adapter = with_agents({"goose": ["goose"]})["acp:goose"]()

    outs = agent.begin(PLAN)

    assert code_of(outs) == "level_unavailable"
    assert "session/prompt" not in sent(outs)


RAN = {"toolCallId": "c", "status": "completed", "content": output("x")}
ASKED = line(
    id=9,
    method="session/request_permission",
    params={"toolCall": {"toolCallId": "c", "kind": "execute", "title": "ls"}, "options": []},
)


@pytest.mark.parametrize(
    ("given", "lines", "count"),
    [
        pytest.param(READONLY, [update("tool_call", **RAN, kind="execute")], 1, id="a command"),
        pytest.param(READONLY, [update("tool_call", **RAN, kind="read")], 0, id="it only reads"),
        pytest.param(
            READONLY,
            [ASKED, update("tool_call_update", **RAN, kind="execute")],
            0,
            id="it asked first",
        ),
        pytest.param(
            READONLY,
            [update("tool_call", **RAN | {"status": "failed"}, kind="execute")],
            0,
            id="the agent refused it",
        ),
        pytest.param(turn("hi"), [update("tool_call", **RAN, kind="execute")], 0, id="at auto"),
    ],
)
def test_a_call_that_ran_unasked_is_marked_told_once_and_counted(given, lines, count):
    agent = Scripted("acp:qwen", modes=MODES)
    outs = agent.begin(given) + agent.say(*lines) + agent.end()

    check_turn(outs)
    chunks = chunks_of(outs)
    marks = [c.get("providerMetadata", {}).get("mesh", {}).get("unasked") for c in chunks]
    assert marks.count(True) == count
    notices = [c for c in chunks if c["type"] == "data-notice"]
    assert [notice["data"]["code"] for notice in notices] == ["ran_unasked"] * count
    assert one(chunks, "finish")["messageMetadata"].get("unaskedCalls", 0) == count


@pytest.mark.parametrize(("level", "is_set"), [("auto", False), ("readonly", True)])
def test_in_a_living_session_a_mode_that_is_known_is_set_only_where_it_has_to_ask(level, is_set):
    agent = Scripted(modes=MODES)
    given = turn("hi", toolApprovalLevel=level)
    agent.begin(given)
    agent.end()

    outs = agent.begin(replace(given, resume_session_ref=SESSION))

    methods = [request.get("method") for request in written(outs)]
    assert methods == [*(["session/set_mode"] if is_set else []), "session/prompt"]


@pytest.mark.parametrize(
    ("modes", "is_told"), [(["default", "yolo"], False), (["code", "yolo"], True), ([], True)]
)
def test_of_an_unknown_agent_that_may_not_ask_the_person_is_told_before_the_prompt(modes, is_told):
    choices = [{"id": each, "name": each} for each in modes]
    listed = {"modes": {"currentModeId": modes[0], "availableModes": choices}} if modes else {}
    agent = Scripted(**listed)
    agent.adapter = with_agents({"mine": ["./mine"]})["acp:mine"]()

    outs = agent.begin(READONLY)

    notices = [c["data"].get("code") for c in chunks_of(outs) if c["type"] == "data-notice"]
    assert ("level_not_asked" in notices) is is_told
    assert written(outs)[-1]["method"] == "session/prompt"


@pytest.mark.parametrize(
    ("modes", "levels"),
    [
        pytest.param(["default", "plan", "yolo"], ["auto", "readonly", "plan"], id="all of them"),
        pytest.param(["https://x.dev/modes#ask", "code"], ["auto", "readonly"], id="no plan"),
        pytest.param(["code", "yolo"], ["auto"], id="other modes"),
        pytest.param([], ["auto"], id="no modes"),
    ],
)
def test_an_unknown_agent_tells_which_levels_it_can_hold(modes, levels):
    choices = [{"id": each, "name": each} for each in modes]
    listed = {"modes": {"currentModeId": modes[0], "availableModes": choices}} if modes else {}
    agent = Scripted(**listed)
    agent.adapter = with_agents({"mine": ["./mine"]})["acp:mine"]()

    told = one(chunks_of(agent.begin(READONLY)), "data-agent-options")["data"]

    assert told["levels"] == levels


def test_a_known_agent_under_a_name_of_ones_own_tells_them_too():
    agent = Scripted()
    agent.adapter = with_agents({"mine": ["vibe-acp"]})["acp:mine"]()

    told = one(chunks_of(agent.begin(turn("hi"))), "data-agent-options")["data"]

    assert told["levels"] == ["auto", "readonly"]


def test_of_an_agent_of_the_table_the_server_knows_them():
    chunks = chunks_of(Scripted(modes=MODES).begin(turn("hi")))

    assert "levels" not in one(chunks, "data-agent-options")["data"]
