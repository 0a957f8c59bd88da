"""Levels of agents that the table knows only by what they say, and of those that change by
themselves."""

from __future__ import annotations

import pytest

from agents.harness import ADAPTERS, with_agents
from agents.harness.acp import levels
from agents.harness.acp.agents import Agent
from agents.harness.acp.session import SessionFacts
from agents.harness.base import Again, Fail
from tests.harness.acp.scripted import Scripted, line, update, written
from tests.harness.driver import chunks_of, one, turn, types_of

READONLY = turn("hi", toolApprovalLevel="readonly")
PLAN = turn("hi", mode="plan")
MODES = {
    "currentModeId": "auto",
    "availableModes": [{"id": "auto"}, {"id": "default"}, {"id": "plan"}],
}
ADDRESS = "https://agentclientprotocol.com/protocol/session-modes"
GOOSE = Agent(name="goose", title="goose", command=("goose",))


def sent(outs):
    return [each["method"] for each in written(outs) if "method" in each]


def code_of(outs):
    return next((out.code for out in outs if isinstance(out, Fail)), "")


@pytest.mark.parametrize(
    ("modes", "level", "mode"),
    [
        pytest.param(["auto", "ask"], "readonly", "ask", id="one that asks"),
        pytest.param(["auto", "read-only", "ask"], "readonly", "ask", id="the plainest of two"),
        pytest.param(["auto", "careful"], "readonly", "auto", id="none that is called so"),
        pytest.param([f"{ADDRESS}#agent", f"{ADDRESS}#plan"], "plan", f"{ADDRESS}#plan", id="plan"),
        pytest.param(["plan", "go"], "auto", "go", id="resumed while it planned"),
    ],
)
def test_modes_of_an_agent_that_is_not_known_are_found_by_their_names(modes, level, mode):
    facts = SessionFacts()
    listed = [{"id": each} for each in modes]
    facts.open({"modes": {"currentModeId": modes[0], "availableModes": listed}})

    assert levels.wanted(GOOSE, level, facts) == {"mode": mode}


@pytest.mark.parametrize(
    "command", [["qwen", "--acp"], ["/opt/qwen", "--acp", "-x"], ["npx", "@qwen-code/qwen-code"]]
)
def test_the_table_holds_for_a_persons_own_command_of_a_known_program(command):
    own = with_agents({"mine": command})["acp:mine"]()

    assert own.agent.levels == ADAPTERS["acp:qwen"]().agent.levels


def test_a_script_is_known_by_the_name_with_which_its_agent_introduces_itself():
    agent = Scripted(modes=MODES)
    agent.adapter = with_agents({"mine": ["./start.sh"]})["acp:mine"]()
    agent.adapter.begin(READONLY)

    name = "@agentclientprotocol/codex-acp"
    outs = agent.say(line(id=1, result={"agentInfo": {"name": name}}))
    outs += agent.say(line(id=2, result={"sessionId": "s", "modes": MODES}))

    assert written(outs)[-1]["params"]["modeId"] == "read-only"


def test_a_script_whose_agent_is_held_by_its_environment_is_started_again_with_it():
    adapter = with_agents({"mine": ["./start.sh"]})["acp:mine"]()
    adapter.begin(READONLY)
    told = {"agentInfo": {"name": "OpenCode"}}

    outs = adapter.feed(line(id=1, result=told))
    assert adapter.feed(line(id=1, result=told)) == adapter.ended(-15, "") == []
    again = adapter.begin(READONLY)

    assert outs == [Again(READONLY)]
    assert adapter.launch(READONLY).env == ADAPTERS["acp:opencode"]().launch(READONLY).env
    assert "start" not in types_of(chunks_of(again))  # the same answer continues
    assert sent(adapter.feed(line(id=2, result=told))) == ["session/new"]


def test_an_agent_of_the_table_is_no_other_by_what_it_says():
    adapter = ADAPTERS["acp:gemini"]()
    adapter.begin(READONLY)

    outs = adapter.feed(line(id=1, result={"agentInfo": {"name": "OpenCode"}}))

    assert sent(outs) == ["session/new"]


@pytest.fixture
def asking():
    """Return an agent in the middle of a turn that asks."""
    agent = Scripted("acp:qwen", modes=MODES)
    agent.begin(READONLY)
    return agent


def leave(agent, mode="auto"):
    """Let the agent change its mode by itself, and then do what it is asked to."""
    outs = agent.say(update("current_mode_update", currentModeId=mode))
    return outs + agent.respond(outs)


def test_an_agent_that_leaves_its_level_is_put_back_and_the_person_is_told(asking):
    outs = leave(asking) + asking.end()

    assert sent(outs) == ["session/set_mode"]
    assert one(chunks_of(outs), "data-notice")["data"]["code"] == "level_changed"
    assert code_of(outs) == ""


def test_one_that_does_not_stay_is_stopped(asking):
    outs = [out for _ in range(4) for out in leave(asking)]

    assert code_of(outs) == "level_not_held"
    assert sent(outs) == ["session/set_mode"] * 3 + ["session/cancel"]


def test_one_that_refuses_to_come_back_is_stopped(asking):
    outs = asking.say(update("current_mode_update", currentModeId="auto"))
    request = written(outs)[-1]["id"]

    outs += asking.say(line(id=request, error={"code": 1, "message": "no"}))

    assert code_of(outs) == "level_not_held"
    assert sent(outs)[-1] == "session/cancel"


def test_one_that_begins_a_plan_by_itself_may(asking):
    assert sent(leave(asking, "plan")) == []


def test_one_that_leaves_a_plan_may_not():
    agent = Scripted("acp:qwen", modes=MODES)
    agent.begin(PLAN)

    assert sent(leave(agent, "default")) == ["session/set_mode"]


def test_at_auto_it_may_change_as_it_likes():
    agent = Scripted("acp:qwen", modes=MODES)
    agent.begin()

    assert sent(leave(agent, "plan")) == []


@pytest.mark.parametrize("given", [READONLY, PLAN], ids=["readonly", "plan"])
def test_a_session_is_opened_so_that_it_asks_and_kept_for_such_turns(given):
    agent = Scripted("acp:claude-code", modes=MODES)

    opened = next(each for each in written(agent.begin(given)) if each["method"] == "session/new")

    settings = opened["params"]["_meta"]["claudeCode"]["options"]["settings"]
    assert settings["useAutoModeDuringPlan"] is False
    assert "Bash" in settings["permissions"]["ask"]
    assert agent.adapter.key(given) != agent.adapter.key(turn("hi"))


def test_a_session_that_need_not_ask_takes_all_the_persons_settings():
    opened = written(Scripted("acp:claude-code", modes=MODES).begin())[1]

    options = opened["params"]["_meta"]["claudeCode"]["options"]
    assert options.keys() == {"settings"}
    assert options["settings"]["permissions"].keys() == {"allow"}
