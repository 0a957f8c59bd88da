"""However an agent's work ends, no command that it started is left, and the answer says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from mesh.children import HAS_PROC
from sandboxes.daemon.notices import ended_text
from tests.sandboxes.daemon.sandbox import chunks_of, is_alive, kinds_of, read_words, text_of
from tests.waiting import auntil, until

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(not HAS_PROC, reason="only Linux adopts orphans"),
]
STARTS = ["grouped", "attached", "orphan", "cleared", "hidden"]
NAP = "import time; time.sleep(600)"


@pytest.fixture
def neighbour():
    """A process of the same name that no agent has started."""
    with subprocess.Popen([sys.executable, "-c", NAP]) as process:
        yield process.pid
        process.kill()


async def in_a_turn(sandbox, how, end, *, harness="plain"):
    """Start a command in a turn, end it by ``end(program)``; return its pid and the events."""
    last = ["until_told"] if harness == "plain" else ["forever"]
    steps = (["pid"], ["call"], ["escape", how], last)
    async with sandbox.dispatch("r1", *steps, harness=harness) as events:
        told = await read_words(events, 2)
        program, command = map(int, text_of(told).split())
        await end(program)
        rest = [event async for event in events]
    return command, told + rest


def notices_of(events):
    return [chunk["data"] for chunk in chunks_of(events) if chunk["type"] == "data-notice"]


@pytest.mark.parametrize("harness", ["plain", "deaf"])
@pytest.mark.parametrize("how", STARTS)
async def test_stop_ends_the_command_and_says_so(sandbox, neighbour, how, harness):
    async def cancel(_):
        await sandbox.cancel("r1")

    command, events = await in_a_turn(sandbox, how, cancel, harness=harness)

    assert not is_alive(command)
    assert is_alive(neighbour)
    (notice,) = notices_of(events)
    assert notice["code"] == "ended_commands"
    assert notice["text"].startswith("Stopped with it: `")
    assert kinds_of(events)[-2:] == ["finish", "done"]


@pytest.mark.parametrize("how", STARTS)
async def test_a_program_killed_in_its_turn_leaves_no_command(sandbox, neighbour, how):
    async def kill(program):
        os.kill(program, signal.SIGKILL)

    command, events = await in_a_turn(sandbox, how, kill)

    assert not is_alive(command)
    assert is_alive(neighbour)
    assert [notice["code"] for notice in notices_of(events)] == ["ended_commands"]
    assert {"error", "finish", "done"} <= set(kinds_of(events))


@pytest.mark.parametrize("how", ["grouped", "attached"])
async def test_a_command_is_ended_also_if_the_sandbox_reads_of_its_call_late(
    sandbox, neighbour, how, tmp_path
):
    go, started = tmp_path / "go", tmp_path / "started"
    steps = (["pid"], ["wait_for", str(go)], ["call"], ["escape", how], ["make", str(started)])
    async with sandbox.dispatch("r1", *steps, ["forever"]) as events:
        told = await read_words(events, 1)
        sandbox.process.send_signal(signal.SIGSTOP)
        go.touch()
        until(started.exists)
        sandbox.process.send_signal(signal.SIGCONT)
        told += await read_words(events, 1)
        await sandbox.cancel("r1")
        rest = [event async for event in events]

    _, command = map(int, text_of(told).split())
    assert not is_alive(command)
    assert is_alive(neighbour)
    assert [notice["code"] for notice in notices_of(rest)] == ["ended_commands"]


@pytest.mark.parametrize("how", STARTS)
async def test_a_program_killed_between_turns_leaves_no_command(sandbox, neighbour, how):
    events = await sandbox.run("r1", ["pid"], ["call"], ["escape", how])
    program, command = map(int, text_of(events).split())
    assert is_alive(command)

    os.kill(program, signal.SIGKILL)

    await auntil(lambda: not is_alive(command))
    assert is_alive(neighbour)
    assert notices_of(events) == []


@pytest.mark.parametrize("how", STARTS)
async def test_a_sandbox_that_stops_leaves_no_command(make_sandbox, neighbour, how):
    sandbox = make_sandbox()

    async def stop(_):
        sandbox.stop()

    command, _ = await in_a_turn(sandbox, how, stop)

    assert not is_alive(command)
    assert is_alive(neighbour)


async def test_a_polite_program_with_a_helper_of_its_own_stays(sandbox):
    steps = (["pid"], ["escape", "grouped"], ["until_told"])
    async with sandbox.dispatch("r1", *steps) as events:
        program, helper = map(int, text_of(await read_words(events, 2)).split())
        await sandbox.cancel("r1")
        rest = [event async for event in events]

    assert notices_of(rest) == []
    assert is_alive(helper)
    assert text_of(await sandbox.run("r2", ["pid"])) == f"{program} "


@pytest.mark.parametrize(
    ("commands", "text"),
    [
        pytest.param(["sleep 1000"], "Stopped with it: `sleep 1000`.", id="one"),
        pytest.param(["a", "b", "c"], "Stopped with it: `a`, `b`, `c`.", id="three"),
        pytest.param(["a", "b", "c", "d"], "Stopped with it: `a`, `b`, `c` and 1 more.", id="four"),
        pytest.param(["a", "a", ""], "Stopped with it: `a` and 2 more.", id="alike"),
        pytest.param([""], "Stopped with it: 1 command.", id="without a name"),
        pytest.param(
            ["call --token=abcdefgh1234"], "Stopped with it: `call --token=…`.", id="a key"
        ),
        pytest.param(["x" * 200], f"Stopped with it: `{'x' * 79}…`.", id="long"),
        pytest.param(["a`b\n c"], "Stopped with it: `a'b c`.", id="a backtick"),
    ],
)
def test_a_notice_names_at_most_three_commands(commands, text):
    assert ended_text(commands) == text
