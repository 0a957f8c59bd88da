"""The kit that every adapter passes: the same happenings give the same shapes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from agents.harness import ADAPTERS
from agents.harness.base import Ask, Done
from tests.harness.driver import Driver, chunks_of, one, text_of, turn, types_of
from tests.harness.shapes import check_turn
from tests.harness.speech import SPEECHES
from tests.waiting import auntil

FAKE = Path(__file__).parent / "fake_cli.py"
CALL = "call-1"
COMMAND = {"command": "make"}


@pytest.fixture(params=SPEECHES, ids=lambda speech: speech.kind)
def speech(request):
    return request.param()


@pytest.fixture
async def played(speech, tmp_path):
    """Return ``played(*steps)``: a driver of a program that does so; lines are said."""
    drivers = []

    def make(*steps):
        script = [step if isinstance(step, dict) else {"say": step} for step in steps]
        path = tmp_path / "script.json"
        path.write_text(json.dumps(script))
        program = [sys.executable, str(FAKE), str(path)]
        driver = Driver(speech.adapter(), program, env={"PATH": os.environ["PATH"]}, cwd=tmp_path)
        drivers.append(driver)
        return driver

    yield make
    for driver in drivers:
        await driver.stop()


def once(driver, kind, act):
    def on_out(out):
        if kind in (out.chunk["type"] for out in [out] if hasattr(out, "chunk")):
            driver.on_out = lambda out: None
            act()

    driver.on_out = on_out


def test_the_kit_knows_every_adapter():
    assert {speech.kind for speech in SPEECHES} == set(ADAPTERS)
    assert all(make().kind == kind for kind, make in ADAPTERS.items())


async def test_text(speech, played):
    driver = played(*speech.hello(), *speech.text("one ", "two"), *speech.end())

    chunks = await driver.run(turn())

    check_turn(driver.outs)
    assert types_of(chunks) == [
        "start",
        "message-metadata",
        "start-step",
        "text-start",
        "text-delta",
        "text-end",
        "finish-step",
        "finish",
    ]
    assert chunks[0]["messageId"] == "run-1"
    assert text_of(chunks) == "one two"


async def test_the_session_is_named_early_and_at_the_end(speech, played):
    driver = played(*speech.hello(), *speech.text("hi"), *speech.end())

    chunks = await driver.run(turn())

    for chunk in (one(chunks, "message-metadata"), chunks[-1]):
        assert chunk["messageMetadata"]["codingAgentSessionId"] == speech.session
        assert chunk["messageMetadata"]["codingAgentProvider"] == speech.kind


async def test_thinking(speech, played):
    driver = played(
        *speech.hello(), *speech.thinking("hm, ", "well"), *speech.text("yes"), *speech.end()
    )

    chunks = await driver.run(turn())

    check_turn(driver.outs)
    assert (text_of(chunks, "reasoning"), text_of(chunks)) == ("hm, well", "yes")


async def test_a_tool_that_works(speech, played):
    driver = played(
        *speech.hello(),
        *speech.call(CALL, "make"),
        *speech.result(CALL, "built"),
        *speech.text("done"),
        *speech.end(),
    )

    chunks = await driver.run(turn())

    check_turn(driver.outs)
    call = one(chunks, "tool-input-available")
    assert (call["toolCallId"], call["toolName"], call["input"]) == (CALL, "Bash", COMMAND)
    assert one(chunks, "tool-output-available")["output"] == "built"


async def test_a_tool_that_fails(speech, played):
    driver = played(
        *speech.hello(),
        *speech.call(CALL, "make"),
        *speech.failed(CALL, "no rule"),
        *speech.text("it failed"),
        *speech.end(),
    )

    chunks = await driver.run(turn())

    check_turn(driver.outs)
    assert one(chunks, "tool-output-error")["errorText"] == "no rule"
    assert chunks[-1]["finishReason"] == "stop"


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_an_approval(speech, played, decision):
    speech.level = "readonly"
    ending = speech.result(CALL, "built") if decision == "allow" else speech.refused(CALL)
    driver = played(
        *speech.hello(),
        *speech.call(CALL, "make"),
        *speech.ask(CALL, "make"),
        {"wait": speech.told[decision]},
        *ending,
        *speech.end(),
    )
    once(driver, "tool-approval-request", lambda: driver.answer(decision))

    chunks = await driver.run(turn(toolApprovalLevel="readonly"))

    check_turn(driver.outs)
    ask = next(out for out in driver.outs if isinstance(out, Ask))
    assert (ask.approval_id, ask.tool_call_id) == (speech.question, CALL)
    assert (ask.tool, ask.input) == ("Bash", COMMAND)
    assert [out.decision for out in driver.applied()] == [decision]
    kind = "tool-output-available" if decision == "allow" else "tool-output-denied"
    assert one(chunks, kind)["toolCallId"] == CALL


async def test_an_answer_counts_once_and_only_for_its_question(speech, played):
    driver = played(
        *speech.hello(),
        *speech.call(CALL, "make"),
        *speech.ask(CALL, "make"),
        {"wait": speech.told["allow"]},
        *speech.result(CALL, "built"),
        *speech.end(),
    )

    def answer_often():
        assert driver.adapter.answer("no such question", "allow", "") == []
        driver.answer("allow")
        assert driver.adapter.answer(speech.question, "deny", "") == []

    once(driver, "tool-approval-request", answer_often)

    await driver.run(turn(toolApprovalLevel="readonly"))

    assert len(driver.applied()) == 1
    assert driver.adapter.answer(speech.question, "allow", "") == []


async def test_an_interrupt(speech, played):
    driver = played(
        *speech.hello(),
        *speech.text("I beg"),
        {"wait": speech.told["interrupt"]},
        *speech.interrupted(),
    )
    once(driver, "text-delta", driver.interrupt)

    chunks = await driver.run(turn())

    check_turn(driver.outs)
    assert types_of(chunks)[-2:] == ["abort", "finish"]
    assert text_of(chunks) == "I beg"


async def test_an_interrupt_that_only_a_signal_carries_out(speech, played):
    driver = played(*speech.hello(), *speech.call(CALL, "make"), {"hang": True})

    def stop():
        driver.interrupt()
        driver.kill()

    once(driver, "tool-input-available", stop)

    chunks = await driver.run(turn())

    check_turn(driver.outs)
    assert "abort" in types_of(chunks)
    assert one(chunks, "tool-output-error")["toolCallId"] == CALL


async def test_a_crash_tells_the_last_words(speech, played):
    driver = played(
        *speech.hello(),
        *speech.text("I beg"),
        *speech.call(CALL, "make"),
        {"stderr": "first\nout of luck\n"},
        {"exit": 9},
    )

    chunks = await driver.run(turn())

    check_turn(driver.outs)
    assert driver.failure().code == "harness_crashed"
    assert "out of luck" in driver.failure().message
    assert text_of(chunks) == "I beg"


async def test_silence_is_a_crash_once_it_ends(speech, played):
    driver = played({"hang": True})
    running = asyncio.create_task(driver.run(turn()))
    await auntil(lambda: driver.process)
    driver.kill()

    chunks = await running

    check_turn(driver.outs)
    assert types_of(chunks) == ["start", "error", "finish"]


async def test_characters_split_between_two_writes(speech, played):
    line = speech.text("Grüße aus 東京 🙂")
    whole = "".join(line).encode()
    cut = whole.index("🙂".encode()) + 2
    driver = played(
        *speech.hello(), {"hex": whole[:cut].hex()}, {"hex": whole[cut:].hex()}, *speech.end()
    )

    chunks = await driver.run(turn())

    check_turn(driver.outs)
    assert text_of(chunks) == "Grüße aus 東京 🙂"


async def test_a_huge_line(speech, played):
    driver = played(*speech.hello(), *speech.text("x" * 5_000_000), *speech.end())

    chunks = await driver.run(turn())

    check_turn(driver.outs)
    assert len(text_of(chunks)) == 5_000_000


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("Warning: something is old\n", id="no JSON"),
        pytest.param('{"type": "quantum"}\n', id="of an unknown kind"),
        pytest.param('["a", "list"]\n', id="no object"),
        pytest.param('{"type": "text", "delta": NaN}\n', id="not quite JSON"),
        pytest.param("z" * 10_000 + "\n", id="long"),
    ],
)
async def test_an_unknown_line_is_shown_and_the_run_continues(speech, played, line):
    driver = played(*speech.hello(), line, *speech.text("hi"), *speech.end())

    chunks = await driver.run(turn())

    check_turn(driver.outs)
    notice = one(chunks, "data-notice")
    assert notice["transient"] is True
    assert notice["data"] == {"source": speech.kind, "line": line.strip()[:2000]}
    assert text_of(chunks) == "hi"


async def test_what_can_not_be_stored_is_replaced(speech, played):
    line = "".join(speech.text("a?b!c")).replace("?", "\\u0000").replace("!", "\\ud800")
    driver = played(*speech.hello(), line, *speech.end())

    chunks = await driver.run(turn())

    check_turn(driver.outs)
    assert text_of(chunks) == "a�b�c"


async def test_an_empty_line_is_nothing(speech, played):
    driver = played(*speech.hello(), "\n", "  \n", *speech.end())

    chunks = await driver.run(turn())

    # Codex hides refusals: no word at all is how one looks.
    refusal = ["error"] if speech.kind == "codex" else []
    assert types_of(chunks) == ["start", "message-metadata", *refusal, "finish"]


async def test_the_next_turn_on_the_same_process(speech, played):
    driver = played(
        *speech.hello(),
        {"wait": "first"},
        *speech.text("one"),
        *speech.end(),
        {"wait": "second"},
        *speech.text("two"),
        *speech.end(),
    )
    await driver.run(turn("first", runId="run-1"))

    chunks = await driver.run(turn("second", runId="run-2"))

    check_turn(driver.outs)
    assert (chunks[0]["messageId"], text_of(chunks), driver.launches) == ("run-2", "two", 1)


def test_between_turns_nothing_is_emitted(speech):
    adapter = speech.adapter()
    adapter.begin(turn())
    for line in [*speech.hello(), *speech.end()]:
        last = adapter.feed(line.strip().encode())
    assert isinstance(last[-1], Done)

    late = [*speech.text("late"), *speech.call(CALL, "make"), *speech.end()]

    assert [adapter.feed(line.strip().encode()) for line in late] == [[]] * len(late)
    assert adapter.interrupt() == []
    assert adapter.ended(0, "") == []


def test_a_tool_call_without_a_result_is_closed_at_the_end(speech):
    adapter = speech.adapter()
    outs = adapter.begin(turn())

    for line in [*speech.hello(), *speech.call(CALL, "make"), *speech.end()]:
        outs += adapter.feed(line.strip().encode())

    check_turn(outs)
    # A call of ACP that was not interrupted has run: only its output is missing.
    # A command of Codex still runs.
    is_unknown = speech.kind.startswith("acp:") or speech.kind == "codex"
    end = "tool-output-available" if is_unknown else "tool-output-error"
    assert one(chunks_of(outs), end)["toolCallId"] == CALL
