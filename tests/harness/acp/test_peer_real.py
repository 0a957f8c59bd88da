"""An agent made with the protocol's own SDK, in either version: the person sees the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agents.harness import ADAPTERS
from agents.harness.base import Again, Ask, Unasked
from tests.harness.cli import TOOLS, need
from tests.harness.driver import Driver, one, text_of, turn, types_of
from tests.harness.real import when
from tests.harness.shapes import check_turn

pytestmark = pytest.mark.real_cli
SDK = TOOLS / "node_modules/@agentclientprotocol/sdk"
PEER = Path(__file__).with_name("peer.mjs")


@pytest.fixture(params=["1", "2", "12"], ids=["version 1", "version 2", "both"])
def versions(request):
    """The versions that the agent speaks."""
    return request.param


@pytest.fixture
async def agent(versions, tmp_path):
    """Return a driver of the agent; ended when the test is over."""
    program = [need("node"), str(PEER), str(SDK), versions]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    async with Driver(ADAPTERS["acp:vibe"](), program, env=env, cwd=tmp_path) as driver:
        yield driver


def say(text, **changes):
    return turn(text, takesUnasked=True, **{"toolApprovalLevel": "readonly"} | changes)


async def test_text_comes_once_and_at_the_turns_level(agent):
    chunks = await agent.run(say("hello"))

    check_turn(agent.outs)
    assert text_of(chunks) == "ask: hello"
    assert [kind for kind in types_of(chunks) if kind == "data-notice"] == []


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_a_question_and_the_output_of_a_command(agent, decision):
    when(agent, "tool-approval-request", lambda: agent.answer(decision))

    chunks = await agent.run(say("work"))

    check_turn(agent.outs)
    (ask,) = (out for out in agent.outs if isinstance(out, Ask))
    assert (ask.tool, ask.input) == ("Bash", {"command": "make"})
    if decision == "allow":
        assert chunks[-3]["output"] == "made ✓"
    else:
        assert one(chunks, "tool-output-denied")


async def test_stop_ends_the_answer_and_the_program_serves_the_next_turn(agent):
    when(agent, "text-delta", agent.interrupt)

    chunks = await agent.run(say("stall"))
    check_turn(agent.outs)
    after = await agent.run(say("hello"))

    assert "abort" in types_of(chunks)
    assert text_of(after) == "ask: hello"
    assert agent.launches == 1


async def test_a_failure_is_named(agent):
    await agent.run(say("fail"))

    check_turn(agent.outs)
    assert agent.failure().code == "provider_overloaded"


async def test_a_session_is_resumed(agent):
    chunks = await agent.run(say("hello", resumeSessionRef="session-1"))

    check_turn(agent.outs)
    assert text_of(chunks) == "ask: hello"
    assert chunks[-1]["messageMetadata"]["codingAgentSessionId"] == "session-1"


@pytest.mark.parametrize("versions", ["2"])
async def test_work_that_it_begins_by_itself_is_a_turn_of_its_own(agent):
    await agent.run(say("later"))

    chunks = await agent.run_unasked(say("", runId="run-2"))

    assert text_of(chunks) == "by myself"
    assert not any(isinstance(out, Again | Unasked) for out in agent.outs)
