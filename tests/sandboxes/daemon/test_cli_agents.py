"""The real ``codex``, ``gemini`` and ``opencode`` in a real sandbox, against the stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import real
from tests.harness.cli import a_home, need
from tests.sandboxes.daemon.sandbox import chunks_of, kinds_of, text_of
from tests.standin import serving
from tests.waiting import auntil

pytestmark = pytest.mark.real_cli

# Kind, program, its environment, and the model.
AGENTS = [
    pytest.param(("codex", "codex", real.codex_env, "codex:gpt-5.4-mini"), id="codex"),
    pytest.param(
        ("acp:gemini", "gemini", real.gemini_env, "acp:gemini:gemini-2.5-flash"), id="gemini"
    ),
    pytest.param(
        ("acp:opencode", "opencode", real.opencode_env, "acp:opencode:smart"), id="opencode"
    ),
]


@pytest.fixture(params=AGENTS)
def agent(request):
    return request.param


@pytest.fixture
async def standin():
    async with serving() as running:
        yield running


@pytest.fixture
def sandbox(make_sandbox, standin, agent):
    _, name, env_of, _ = agent
    folder = Path(need(name)).parent
    with a_home() as home:
        env = env_of(home, standin.url)
        yield make_sandbox(env=env | {"PATH": f"{folder}:{env['PATH']}"})


@pytest.fixture
def dispatch(sandbox, agent):
    """Return ``dispatch(run_id, text, **changes)``: the stream of a run of the agent."""
    kind, _, _, model = agent

    def start(run_id, text, **changes):
        return sandbox.dispatch(run_id, harness=kind, text=text, model=model, **changes)

    return start


async def run(dispatch, *args, **changes):
    async with dispatch(*args, **changes) as events:
        return [event async for event in events]


async def test_two_turns_are_one_conversation(dispatch):
    first = await run(dispatch, "r1", "say: one two three")
    second = await run(dispatch, "r2", "recall")

    assert text_of(first) == "one two three"
    assert text_of(second) == "First you said: say: one two three"
    sessions = {
        chunks_of(e)[-1]["messageMetadata"]["codingAgentSessionId"] for e in (first, second)
    }
    assert len(sessions) == 1


async def test_a_tool_works_in_the_sandbox_s_folder(dispatch, sandbox):
    events = await run(dispatch, "r1", "bash: pwd > where.txt && echo done")

    repo = sandbox.root / "repo"
    assert (repo / "where.txt").read_text().strip() == str(repo)
    assert "tool-output-available" in kinds_of(events)


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_a_question_is_answered_through_the_sandbox(dispatch, sandbox, decision):
    made = sandbox.root / "repo/made"
    seen = []
    async with dispatch("r1", f"write: {made} x", toolApprovalLevel="readonly") as events:
        async for event in events:
            seen.append(event)
            if question := event[1].get("approval"):
                assert question["input"]["diff"].endswith("+x\n")
                await sandbox.answer("r1", approvalId=question["approvalId"], decision=decision)

    assert made.exists() is (decision == "allow")
    assert kinds_of(seen).count("approval-applied") == 1


async def test_stopping_ends_what_it_runs_and_leaves_the_program(dispatch, sandbox, nap):
    async with dispatch("r1", f"bash: {nap}") as events:
        await auntil(lambda: real.running(nap), within=90)
        await sandbox.cancel("r1")
        seen = [event async for event in events]
    after = await run(dispatch, "r2", "say: here again")

    assert kinds_of(seen)[-2:] == ["finish", "done"]
    assert "abort" in kinds_of(seen)
    assert text_of(after) == "here again"
    await auntil(lambda: not real.running(nap))


async def test_nothing_is_left_when_the_sandbox_ends(dispatch, sandbox, nap):
    async with dispatch("r1", f"bash: {nap}"):
        await auntil(lambda: real.running(nap), within=90)
        sandbox.stop()

    assert not real.running(nap)
