"""An answer stays whole, whatever an adapter asks of it."""

from __future__ import annotations

import pytest

from agents.harness.answer import AnswerBuilder
from agents.harness.base import Ask, Done, Fail
from agents.harness.unfinished_calls import INTERRUPTED, NOT_RUN
from tests.harness.driver import chunks_of, one, types_of
from tests.harness.shapes import check_turn


@pytest.fixture
def answer():
    answer = AnswerBuilder("run-1")
    answer.start()
    return answer


def test_an_empty_answer(answer):
    answer.finish("stop", {"a": 1})

    outs = answer.take()
    check_turn(outs)
    assert [out.chunk for out in outs[:-1]] == [
        {"type": "start", "messageId": "run-1"},
        {"type": "finish", "finishReason": "stop", "messageMetadata": {"a": 1}},
    ]


def test_what_is_open_is_closed_at_the_end(answer):
    answer.open("text", "t")
    answer.call("c", "Bash")
    answer.grow_call_input("c", '{"comm')

    answer.fail("harness_crashed", "It broke.")

    outs = answer.take()
    check_turn(outs)
    assert one(chunks_of(outs), "tool-output-error")["toolCallId"] == "c"
    assert Fail("harness_crashed", "It broke.") in outs


def test_after_the_end_nothing_more(answer):
    answer.abort()
    answer.take()

    answer.grow("text", "t", "late")
    answer.call_input("c", "Bash", {})
    answer.ask("q", "c", "Bash", {})
    answer.fail("late", "Late.")

    assert answer.take() == []


def test_steps_close_what_belongs_to_them(answer):
    answer.grow("text", "t", "one")
    answer.step()
    answer.grow("text", "t", "two")
    answer.finish("stop")

    outs = answer.take()
    check_turn(outs)
    assert types_of(chunks_of(outs)).count("text-start") == 2


def test_a_call_may_outlive_its_step_once_its_input_is_there(answer):
    answer.call_input("c", "Bash", {"command": "x"})
    answer.step()
    answer.result("c", "done")
    answer.finish("stop")

    outs = answer.take()
    check_turn(outs)
    assert one(chunks_of(outs), "tool-output-available")["output"] == "done"


def test_a_call_cut_off_in_its_input_ends_with_its_step(answer):
    answer.call("c", "Bash")
    answer.step()
    answer.result("c", "too late")
    answer.finish("stop")

    outs = answer.take()
    check_turn(outs)
    assert "not finished" in one(chunks_of(outs), "tool-output-error")["errorText"]


def test_a_result_counts_once(answer):
    answer.call_input("c", "Bash", {})
    answer.result("c", "h", is_preliminary=True)
    answer.result("c", "hi")
    answer.result("c", "again")
    answer.call_failed("c", "again")
    answer.finish("stop")

    outs = answer.take()
    check_turn(outs)
    outputs = [c for c in chunks_of(outs) if c["type"] == "tool-output-available"]
    assert [c["output"] for c in outputs] == ["h", "hi"]
    assert outputs[0]["preliminary"] is True


def test_a_denied_call_ends_as_denied_whatever_the_program_says(answer):
    answer.ask("q", "c", "Bash", {"command": "x"})
    answer.deny("c")
    answer.call_failed("c", "The person said no.")
    answer.finish("stop")

    outs = answer.take()
    check_turn(outs)
    assert one(chunks_of(outs), "tool-output-denied")["toolCallId"] == "c"


def test_a_question_carries_what_its_row_needs(answer):
    answer.ask("q", "c", "Bash", {"command": "x"})

    (ask,) = [out for out in answer.take() if isinstance(out, Ask)]
    assert (ask.approval_id, ask.tool_call_id, ask.tool, ask.input) == (
        "q",
        "c",
        "Bash",
        {"command": "x"},
    )


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param(b"x" * 5_000, "x" * 2_000, id="cut"),
        pytest.param(b"a\x00b", "a�b", id="with what can't be stored"),
        pytest.param(b"\xff\xfe", "��", id="no UTF-8"),
    ],
)
def test_a_notice_is_small_and_can_be_stored(answer, line, shown):
    answer.notice("demo", line)

    notice = one(chunks_of(answer.take()), "data-notice")
    assert notice["data"] == {"source": "demo", "line": shown}


def test_a_message_is_started_once():
    answer = AnswerBuilder("run-1")
    answer.start()
    answer.start()
    answer.finish("stop")

    outs = answer.take()
    assert types_of(chunks_of(outs)) == ["start", "finish"]
    assert isinstance(outs[-1], Done)


def test_a_retry_stays_in_the_message_and_replaces_the_last_one(answer):
    answer.retry(attempt=1, of=10, in_ms=500.4, status=529, reason="Overloaded")
    answer.retry(attempt="2", of=True, status=None)
    answer.finish("stop")

    first, second = (c for c in chunks_of(answer.take()) if c["type"] == "data-retry")
    assert (first["id"], "transient" in first) == (second["id"], False)
    told = {"attempt": 1, "of": 10, "inMs": 500, "status": 529, "reason": "Overloaded"}
    assert first["data"] == told
    assert second["data"] == dict.fromkeys(("attempt", "of", "inMs", "status")) | {"reason": ""}


def end_of(answer):
    """Return how the only call of an answer ended."""
    (end,) = (c for c in chunks_of(answer.take()) if c["type"].startswith("tool-output"))
    return end.get("errorText", end["type"])


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda answer: answer.call_failed("c", "was rejected"), id="failed"),
        pytest.param(lambda answer: answer.deny("c") or answer.call_failed("c", ""), id="denied"),
        pytest.param(lambda answer: answer.abort(), id="never ended"),
    ],
)
def test_a_call_of_a_stopped_turn_was_interrupted_whatever_the_program_calls_it(answer, end):
    answer.call_input("c", "Bash", {})
    answer.interrupt()

    end(answer)

    assert end_of(answer) == INTERRUPTED


def test_a_complete_result_of_a_stopped_turn_is_kept(answer):
    answer.call_input("c", "Bash", {})
    answer.interrupt()

    answer.result("c", "done")

    assert end_of(answer) == "tool-output-available"


def test_what_a_person_denied_before_the_stop_stays_denied(answer):
    answer.call_input("c", "Bash", {})
    answer.deny("c")
    answer.interrupt()

    answer.call_failed("c", "Denied.")

    assert end_of(answer) == "tool-output-denied"


@pytest.mark.parametrize(("allowed", "ended"), [(True, INTERRUPTED), (False, NOT_RUN)])
def test_a_stopped_call_that_nobody_allowed_has_not_run(answer, allowed, ended):
    answer.ask("q", "c", "Bash", {})
    if allowed:
        answer.allow("c")
    answer.interrupt()

    answer.abort()

    assert end_of(answer) == ended


def test_a_call_without_an_end_in_a_failed_turn_was_interrupted(answer):
    answer.call_input("c", "Bash", {})

    answer.fail("harness_crashed", "It broke.")

    assert end_of(answer) == INTERRUPTED
