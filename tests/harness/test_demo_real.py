"""The demo agent itself, driven through its adapter."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

import agents.demo_agent
from agents.harness.base import Ask, NotSteered, Steered
from agents.harness.demo import DemoAdapter
from tests.harness.driver import STEER, Driver, one, text_of, turn, types_of
from tests.harness.shapes import check_turn
from tests.waiting import auntil

pytestmark = pytest.mark.programs

PROGRAM = [sys.executable, str(Path(agents.demo_agent.__file__))]


@pytest.fixture
async def demo(tmp_path):
    env = {"PATH": os.environ["PATH"]}
    async with Driver(DemoAdapter(), PROGRAM, env=env, cwd=tmp_path) as driver:
        yield driver


def when(driver, kind, act):
    def on_out(out):
        if getattr(out, "chunk", {}).get("type") == kind:
            driver.on_out = lambda out: None
            act()

    driver.on_out = on_out


@pytest.mark.parametrize(
    ("said", "last"),
    [
        ("count to twenty", 20),
        ("Please COUNT TO 7", 7),
        ("count slowly to three every 1 ms", 3),
        ("count to plenty", 10),
    ],
)
async def test_counts(demo, said, last):
    chunks = await demo.run(turn(said))

    check_turn(demo.outs)
    assert text_of(chunks) == ", ".join(str(n) for n in range(1, last + 1))


async def test_counts_slowly_by_default(demo):
    assert agents.demo_agent.PACE == 0.25
    seen = []
    demo.on_out = lambda out: seen.append(out)
    running = asyncio.create_task(demo.run(turn("count slowly to twenty")))
    await auntil(lambda: text_of(demo.chunks))

    assert not running.done()
    demo.interrupt()
    assert "abort" in types_of(await running)


async def test_a_greeting_is_answered_honestly_in_markdown(demo):
    chunks = await demo.run(turn("Good morning"))

    check_turn(demo.outs)
    text = text_of(chunks)
    assert "scripted demo without a model" in text
    assert all(mark in text for mark in ("## ", "\n- ", "\n|---|", "```"))


async def test_runs_a_command_and_shows_its_output_as_it_comes(demo):
    chunks = await demo.run(turn("run echo one; read x < fifo || true; echo two"))

    check_turn(demo.outs)
    outputs = [c for c in chunks if c["type"] == "tool-output-available"]
    assert outputs[0].get("preliminary") is True
    assert outputs[0]["output"].startswith("one\n")
    assert outputs[-1]["output"].endswith("two\n")
    assert "preliminary" not in outputs[-1]


async def test_a_command_that_fails(demo):
    chunks = await demo.run(turn("run echo oops; exit 3"))

    check_turn(demo.outs)
    assert one(chunks, "tool-output-error")["errorText"] == "Exit code 3\noops"
    assert chunks[-1]["finishReason"] == "stop"


async def test_endless_output_is_cut(demo):
    chunks = await demo.run(turn("run head -c 1000000 /dev/zero | tr '\\0' x"))

    check_turn(demo.outs)
    output = [c for c in chunks if c["type"] == "tool-output-available"][-1]["output"]
    assert output.endswith("cut after 256 KiB")


@pytest.mark.parametrize(
    ("said", "level"),
    [
        pytest.param("run touch made", "readonly", id="each command at readonly"),
        pytest.param("ask", "auto", id="asked for by the person"),
    ],
)
@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_asks(demo, said, level, decision):
    when(demo, "tool-approval-request", lambda: demo.answer(decision))

    chunks = await demo.run(turn(said, toolApprovalLevel=level))

    check_turn(demo.outs)
    assert len([out for out in demo.outs if isinstance(out, Ask)]) == 1
    kind = "tool-output-available" if decision == "allow" else "tool-output-denied"
    assert kind in types_of(chunks)
    if said != "ask":
        assert (demo.cwd / "made").exists() == (decision == "allow")


async def test_plan_mode_runs_nothing(demo):
    chunks = await demo.run(turn("run touch made", mode="plan"))

    assert "touch made" in text_of(chunks)
    assert list(demo.cwd.iterdir()) == []


async def test_thinks(demo):
    chunks = await demo.run(turn("think about it"))

    check_turn(demo.outs)
    assert "the word think" in text_of(chunks, "reasoning")
    assert "and then I answered" in text_of(chunks)


async def test_fails(demo):
    chunks = await demo.run(turn("fail"))

    check_turn(demo.outs)
    assert demo.failure().code == "demo_failed"
    assert text_of(chunks).startswith("This will not end well")


async def test_crashes(demo):
    await demo.run(turn("crash"))

    check_turn(demo.outs)
    assert demo.failure().code == "harness_crashed"
    assert "as it was told to" in demo.failure().message


async def test_ticks_are_the_times_at_which_they_were_written(demo):
    chunks = await demo.run(turn("ticks 5 0"))

    times = [int(c["delta"].rstrip(",")) for c in chunks if c["type"] == "text-delta"]
    assert len(times) == 5
    assert times == sorted(times)


async def test_one_big_piece(demo):
    chunks = await demo.run(turn("big 5000000"))

    check_turn(demo.outs)
    assert len(one(chunks, "text-delta")["delta"]) == 5_000_000


@pytest.mark.parametrize("said", ["run sleep 1000", "run sh -c 'sleep 1000 & sleep 1000'"])
async def test_an_interrupt_ends_the_command_with_all_it_started(demo, said):
    when(demo, "tool-input-available", demo.interrupt)

    await demo.run(turn(said))

    check_turn(demo.outs)
    assert "abort" in types_of(demo.chunks)
    group = demo.process.pid
    await auntil(lambda: _in_group(group) == [group])


def _in_group(group):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


async def test_a_late_interrupt_does_not_reach_the_next_turn(demo):
    await demo.run(turn("count to 2"))
    demo.process.stdin.write(b'{"type": "interrupt"}\n')

    chunks = await demo.run(turn("count to 3"))

    assert text_of(chunks) == "1, 2, 3"


async def test_the_session_is_kept_when_resumed(demo):
    chunks = await demo.run(turn("think"))
    session = chunks[-1]["messageMetadata"]["codingAgentSessionId"]
    await demo.stop()

    chunks = await demo.run(turn("think", resumeSessionRef=session))

    assert chunks[-1]["messageMetadata"]["codingAgentSessionId"] == session


async def test_reads_in_between_what_is_said(demo):
    when(demo, "text-delta", lambda: demo.steer("and the weather?"))

    chunks = await demo.run(turn("count to five every 20 ms"))

    check_turn(demo.outs)
    assert Steered(STEER) in demo.outs
    assert "You say in between: and the weather?" in text_of(chunks)


async def test_what_comes_too_late_waits_for_the_next_turn(demo):
    when(demo, "text-delta", lambda: demo.steer("too late"))

    await demo.run(turn("count to one"))
    first = demo.outs
    after = await demo.run(turn("count to two"))

    became = [out for out in first if isinstance(out, Steered | NotSteered)]
    assert len(became) == 1  # it may just have been in time
    assert text_of(after) == "1, 2"


async def test_plan_mode_asks_nothing(demo):
    chunks = await demo.run(turn("ask", mode="plan"))

    assert "tool-approval-request" not in types_of(chunks)
