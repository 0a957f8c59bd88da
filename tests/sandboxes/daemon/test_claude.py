"""The real ``claude`` in a real sandbox, against the model stand-in on loopback."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.harness.cli import need
from tests.sandboxes.daemon.sandbox import chunks_of, is_alive, kinds_of, text_of
from tests.standin import serving
from tests.waiting import auntil

pytestmark = pytest.mark.real_cli


@pytest.fixture
async def standin():
    async with serving() as running:
        yield running


@pytest.fixture
def sandbox(make_sandbox, standin, tmp_path):
    program = Path(need("claude"))
    (tmp_path / "home").mkdir()
    env = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "ANTHROPIC_BASE_URL": standin.url,
        "ANTHROPIC_API_KEY": "stand-in",
        "CLAUDE_CODE_MAX_RETRIES": "1",
    }
    return make_sandbox(env=env)


def dispatch(sandbox, run_id, text, **changes):
    return sandbox.dispatch(
        run_id, harness="claude-code", text=text, model="claude-code:sonnet", **changes
    )


async def run(sandbox, run_id, text, **changes):
    async with dispatch(sandbox, run_id, text, **changes) as events:
        return [event async for event in events]


def programs_of(sandbox):
    """Return the pids of the agents that the sandbox runs."""
    children = Path(f"/proc/{sandbox.process.pid}/task/{sandbox.process.pid}/children")
    return [int(pid) for pid in children.read_text().split() if is_alive(pid)]


def session_of(events):
    return chunks_of(events)[-1]["messageMetadata"]["codingAgentSessionId"]


async def test_two_turns_on_one_program(sandbox):
    first = await run(sandbox, "r1", "say: one two three")
    program = programs_of(sandbox)
    second = await run(sandbox, "r2", "say: four")

    assert (text_of(first), text_of(second)) == ("one two three", "four")
    assert programs_of(sandbox) == program
    assert session_of(first) == session_of(second)


async def test_a_tool_works_in_the_sandbox_s_folder(sandbox):
    events = await run(sandbox, "r1", "bash: pwd > where.txt && echo done")

    repo = sandbox.root / "repo"
    assert (repo / "where.txt").read_text().strip() == str(repo)
    assert "tool-output-available" in kinds_of(events)


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_a_question_is_answered_through_the_sandbox(sandbox, decision):
    seen = []
    asked = dispatch(sandbox, "r1", "bash: touch made", toolApprovalLevel="readonly")
    async with asked as events:
        async for event in events:
            seen.append(event)
            if question := event[1].get("approval"):
                await sandbox.answer("r1", approvalId=question["approvalId"], decision=decision)

    assert (sandbox.root / "repo" / "made").exists() is (decision == "allow")
    assert kinds_of(seen).count("approval-applied") == 1


async def test_the_conversation_continues_after_a_restart(sandbox, standin):
    first = await run(sandbox, "r1", "say: one")
    sandbox.kill()
    sandbox.start()
    second = await run(sandbox, "r2", "say: two", resumeSessionRef=session_of(first))

    assert text_of(second) == "two"
    assert session_of(second) == session_of(first)
    assert "say: one" in str(standin.messages[-1].body)


async def test_stopping_leaves_a_program_that_goes_on(sandbox):
    async with dispatch(sandbox, "r1", "slow 400 25") as events:
        seen = [await anext(events)]
        while "text-delta" not in kinds_of(seen):
            seen.append(await anext(events))
        program = programs_of(sandbox)
        await sandbox.cancel("r1")
        seen += [event async for event in events]
    after = await run(sandbox, "r2", "say: here again")

    assert kinds_of(seen)[-2:] == ["finish", "done"]
    assert "abort" in kinds_of(seen)
    assert text_of(after) == "here again"
    assert programs_of(sandbox) == program


async def test_a_program_that_is_killed_in_the_middle_is_a_clear_failure(sandbox):
    async with dispatch(sandbox, "r1", "slow 400 25") as events:
        seen = [await anext(events)]
        while "text-delta" not in kinds_of(seen):
            seen.append(await anext(events))
        for pid in programs_of(sandbox):
            os.kill(pid, signal.SIGKILL)
        seen += [event async for event in events]

    assert [body["code"] for _, body in seen if body["type"] == "error"] == ["harness_crashed"]
    assert kinds_of(seen)[-2:] in (["finish", "done"], ["error", "done"])
    assert text_of(await run(sandbox, "r2", "say: next")) == "next"


async def test_nothing_is_left_when_the_sandbox_ends(sandbox):
    await run(sandbox, "r1", "say: hi")
    programs = programs_of(sandbox)
    sandbox.stop()

    await auntil(lambda: not any(map(is_alive, programs)))
    assert programs
