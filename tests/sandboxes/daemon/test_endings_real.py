"""However a real agent's work ends, no command that it started is left, and the answer says so."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
from pathlib import Path

import pytest

from tests.harness.cli import a_home, need
from tests.harness.real import PROGRAMS, running
from tests.sandboxes.daemon.sandbox import chunks_of, kinds_of, text_of
from tests.standin import serving
from tests.waiting import auntil

pytestmark = pytest.mark.real_cli


@pytest.fixture
async def standin():
    async with serving() as running:
        yield running


@pytest.fixture
def sandbox(make_sandbox, standin, kind):
    program = PROGRAMS[kind]
    folder = Path(need(program.name)).parent
    with a_home() as home:
        env = program.env(home, standin.url) | {"IS_SANDBOX": ""}  # ours would be theirs as well
        yield make_sandbox(env=env | {"PATH": f"{folder}:{env['PATH']}"})


@pytest.fixture
def dispatch(sandbox, kind):
    """Return ``dispatch(run_id, text)``: the stream of a run of the agent."""

    def start(run_id, text):
        model = f"{kind}:{PROGRAMS[kind].model}"
        return sandbox.dispatch(run_id, harness=kind, text=text, model=model, takesUnasked=True)

    return start


@pytest.fixture
def wait(nap):
    """A command that runs until it is ended; some programs refuse one that sleeps."""
    return f"tail -s {nap.split()[-1]} -f /dev/null"


def program_of(sandbox):
    """Return the pid of the agent that the sandbox runs."""
    task = Path(f"/proc/{sandbox.process.pid}/task/{sandbox.process.pid}/children")
    names = {pid: Path(f"/proc/{pid}/comm").read_text() for pid in task.read_text().split()}
    (found,) = (int(pid) for pid, name in names.items() if name.strip() != "git")
    return found


def notices_of(events):
    data = (chunk["data"] for chunk in chunks_of(events) if chunk["type"] == "data-notice")
    return [notice for notice in data if notice.get("code") == "ended_commands"]


async def cut(sandbox, dispatch, wait, end):
    """Let the agent run a command, and end the turn by ``end()``; return its events."""
    async with dispatch("r1", f"bash: {wait}") as events:
        await auntil(lambda: running(wait), within=120)
        await end()
        return [event async for event in events]


@pytest.mark.parametrize("kind", ["acp:claude-code", "acp:codex"])
async def test_stop_ends_the_command_and_the_chat_goes_on(sandbox, dispatch, wait):
    async def stop():
        await sandbox.cancel("r1")

    seen = await cut(sandbox, dispatch, wait, stop)

    await auntil(lambda: not running(wait))
    assert "abort" in kinds_of(seen)
    assert kinds_of(seen)[-2:] == ["finish", "done"]
    async with dispatch("r2", "say: here again") as events:
        assert text_of([event async for event in events]) == "here again"


@pytest.mark.parametrize("kind", ["claude-code", "acp:vibe"])
async def test_a_killed_program_leaves_no_command_and_that_is_said(sandbox, dispatch, wait):
    async def kill():
        os.kill(program_of(sandbox), signal.SIGKILL)

    seen = await cut(sandbox, dispatch, wait, kill)

    await auntil(lambda: not running(wait))
    (notice,) = notices_of(seen)
    assert wait.split()[0] in notice["text"]
    assert {"error", "finish", "done"} <= set(kinds_of(seen))


def has_unread(pid):
    """Return whether a program has not read all of its stdin."""
    with open(f"/proc/{pid}/fd/0", "rb", buffering=0) as stdin:
        unread = fcntl.ioctl(stdin, termios.FIONREAD, bytes(4))
    return int.from_bytes(unread, sys.byteorder) > 0


@pytest.mark.parametrize("kind", ["claude-code", "codex", "acp:opencode"])
async def test_one_that_is_killed_with_a_message_unread_is_replaced(sandbox, dispatch):
    # The second message waits for what the program is asked beside the first (Codex: its models); a
    # third one is written at once.
    for run, word in (("r1", "first"), ("r2", "second")):
        async with dispatch(run, f"say: {word}") as events:
            assert text_of([event async for event in events]) == word
    program = program_of(sandbox)
    os.kill(program, signal.SIGSTOP)

    async with dispatch("r3", "say: third") as events:
        await auntil(lambda: has_unread(program))
        os.kill(program, signal.SIGKILL)
        seen = [event async for event in events]

    assert "error" not in kinds_of(seen)
    assert text_of(seen) == "third"
    assert program_of(sandbox) != program
