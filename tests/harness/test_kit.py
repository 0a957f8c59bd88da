"""The kit's table: every harness × every case, in what was recorded of the real program and in
what the real program does now. What one can't do is in ``CANNOT``, and a test holds the reason.

What no real program does when asked to (nothing at all, a line of a kind nobody knows) is
spoken in each program's own lines by ``test_conformance``.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from agents.harness import ADAPTERS
from sandboxes.daemon.lines import LINE_LIMIT, LineSplitter, LineTooLong
from tests.harness.cli import a_home, need
from tests.harness.driver import Driver, chunks_of, text_of, turn, types_of
from tests.harness.record import PROGRAMS
from tests.harness.scenarios import SCENARIOS, Scenario, folder_of, load, play
from tests.harness.shapes import check_turn
from tests.standin import serving
from tests.waiting import auntil

KINDS = list(SCENARIOS)
GREETING = "Grüße aus 東京 🙂"
HUGE = 1_000_000


def says(chunks):
    """Text: whole, and an ending that says it is."""
    assert text_of(chunks) == GREETING
    assert chunks[-1]["finishReason"] == "stop"


def thinks(chunks):
    assert "I wonder what this is about." in text_of(chunks, "reasoning")
    assert text_of(chunks) == "I thought about it."


def works(chunks):
    """A tool: its input, then its output, then what is made of it."""
    types = types_of(chunks)
    assert types.index("tool-input-available") < types.index("tool-output-available")
    assert "done" in text_of(chunks)
    assert "tool-approval-request" not in types


def fails(chunks):
    """A tool that fails is an error of the tool alone."""
    assert "oops" in next(c["errorText"] for c in chunks if c["type"] == "tool-output-error")
    assert chunks[-1]["finishReason"] == "stop"


def is_allowed(chunks):
    types = types_of(chunks)
    assert types.index("tool-approval-request") < types.index("tool-output-available")


def is_denied(chunks):
    types = types_of(chunks)
    assert types.index("tool-approval-request") < types.index("tool-output-denied")
    assert "tool-output-available" not in types


def is_interrupted(chunks):
    assert types_of(chunks)[-2:] == ["abort", "finish"]
    assert text_of(chunks).startswith("I")


def crashes(chunks):
    assert types_of(chunks)[-2:] == ["error", "finish"]
    assert chunks[-1]["finishReason"] == "error"
    assert text_of(chunks).startswith("I")


# The last two end a program, or may: in this order one program serves them all.
CASES = {
    "text": says,
    "thinking": thinks,
    "tool_ok": works,
    "tool_failed": fails,
    "allowed": is_allowed,
    "denied": is_denied,
    "interrupted": is_interrupted,
    "crashed": crashes,
}
CANNOT = {("acp:gemini", "tool_failed"): "Gemini CLI tells no exit code, nor that a command failed"}
NOT_RECORDED = {
    "acp:claude-code",
    "acp:codex",
    "acp:copilot",
    "acp:fast-agent",
    "acp:qwen",
    "acp:vibe",
}
CELLS = [(kind, case) for kind in KINDS for case in CASES if (kind, case) not in CANNOT]


def recorded(kind, case):
    return play(ADAPTERS[kind](), SCENARIOS[kind][case], load(kind, case))


def test_no_cell_is_empty():
    assert len(CELLS) + len(CANNOT) == len(KINDS) * len(CASES)
    assert set(KINDS) | {"demo"} | NOT_RECORDED == set(ADAPTERS)


@pytest.mark.parametrize(("kind", "case"), CELLS)
def test_what_was_recorded_has_the_shape(kind, case):
    outs = recorded(kind, case)

    check_turn(outs)
    CASES[case](chunks_of(outs))


def test_gemini_tells_not_that_a_command_failed():
    """Holds the reason in ``CANNOT``: when this fails, the cell can be filled."""
    chunks = chunks_of(recorded("acp:gemini", "tool_failed"))

    assert "tool-output-available" in types_of(chunks)
    told = [line for line in load("acp:gemini", "tool_failed") if b"tool_call" in line]
    assert not any(b"exit code" in line.lower() for line in told)


@pytest.mark.parametrize("kind", KINDS)
def test_characters_split_anywhere_are_put_together(kind):
    """The real program's bytes one by one, through the product's own splitter."""
    raw = (folder_of(kind) / "text.stdout.jsonl").read_bytes()
    splitter = LineSplitter()

    lines = [line for n in range(len(raw)) for line in splitter.feed(raw[n : n + 1])]

    outs = play(ADAPTERS[kind](), SCENARIOS[kind]["text"], lines)
    assert text_of(chunks_of(outs)) == GREETING


@pytest.mark.parametrize("kind", KINDS)
def test_of_these_versions_no_line_is_unknown(kind):
    for case, scenario in SCENARIOS[kind].items():
        chunks = chunks_of(play(ADAPTERS[kind](), scenario, load(kind, case)))
        notices = [c["data"] for c in chunks if c["type"] == "data-notice"]
        assert [n for n in notices if "line" in n] == [], case


def test_a_line_may_be_64_mib_and_no_longer():
    assert len(LineSplitter().feed(b"x" * LINE_LIMIT + b"\n")[0]) == LINE_LIMIT == 64 * 2**20
    with pytest.raises(LineTooLong):
        LineSplitter().feed(b"x" * (LINE_LIMIT + 1))


class Walk:
    """One real program through all cases, as a person would have it do them."""

    def __init__(self, kind: str, driver: Driver) -> None:
        self.kind, self.driver = kind, driver

    async def case(self, scenario: Scenario):
        driver = self.driver
        driver.on_out = lambda out: self._react(scenario, out)
        given = turn(scenario.says.replace("{folder}", str(driver.cwd)), **scenario.changes)
        if driver.process and driver.adapter.key(given) != self.key:
            await driver.stop()  # as the sandbox does: level and mode are fixed at the start
            driver.adapter.ended(0, "")
        self.key = driver.adapter.key(given)
        chunks = await driver.run(given)
        check_turn(driver.outs)
        return chunks

    def _react(self, scenario, out):
        act = scenario.react(out)
        if act:
            acts = {"interrupt": self.driver.interrupt, "kill": self.driver.kill}
            if act in acts:
                self.driver.on_out = lambda out: None
            acts.get(act, lambda: self.driver.answer(scenario.decision))()


@pytest.mark.real_cli
@pytest.mark.parametrize("kind", KINDS)
async def test_the_real_program_has_the_shape(kind, tmp_path):
    program, env_of = PROGRAMS[kind]
    path = need(program)
    with a_home() as home:
        async with serving() as standin:
            env = env_of(home, standin.url)
            async with Driver(ADAPTERS[kind](), [path], env=env, cwd=tmp_path) as driver:
                walk = Walk(kind, driver)
                for case in (case for case in CASES if (kind, case) not in CANNOT):
                    CASES[case](await walk.case(SCENARIOS[kind][case]))


def was_asked(standin, words):
    return any(words in json.dumps(request.body) for request in standin.messages)


@pytest.mark.real_cli
@pytest.mark.parametrize("kind", KINDS)
async def test_the_real_program_writes_a_huge_line_and_is_silent(kind, tmp_path):
    program, env_of = PROGRAMS[kind]
    path = need(program)
    changes = SCENARIOS[kind]["text"].changes
    with a_home() as home:
        async with serving() as standin:
            env = env_of(home, standin.url)
            async with Driver(ADAPTERS[kind](), [path], env=env, cwd=tmp_path) as driver:
                huge = await driver.run(turn(f"big {HUGE}", **changes))
                running = asyncio.create_task(driver.run(turn("say nothing", **changes)))
                await auntil(lambda: was_asked(standin, "say nothing"))
                driver.kill()
                silent = await running

    assert len(text_of(huge)) == HUGE
    assert types_of(silent)[-2:] == ["error", "finish"]
    assert text_of(silent) == ""
