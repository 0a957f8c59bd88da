"""An answer stays whole, whatever an adapter asks of it."""

from __future__ import annotations

import pytest

from agents.harness.answer import AnswerBuilder
from agents.harness.base import Ask, Done, Fail, Withdrawn
from agents.harness.unfinished_calls import INTERRUPTED, NOT_RUN, WITHDRAWN
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


# Questions that are taken back


def marks(outs):
    """Return what is said of the call each time that its input is told."""
    told = [c for c in chunks_of(outs) if c["type"] == "tool-input-available"]
    return [c.get("providerMetadata", {}).get("mesh", {}).get("withdrawn") for c in told]


@pytest.fixture
def asking(answer):
    answer.ask("q", "c", "Bash", {"command": "ls"})
    return answer


def test_a_question_that_is_taken_back_is_closed_and_its_call_marked(asking):
    asking.withdraw("q")
    asking.withdraw("q")
    asking.finish("stop")

    outs = asking.take()
    check_turn(outs)
    assert outs.count(Withdrawn("q")) == 1
    assert marks(outs) == [None, True]
    error = one(chunks_of(outs), "tool-output-error")
    assert error["errorText"] == WITHDRAWN
    assert error["providerMetadata"] == {"mesh": {"ended": "withdrawn"}}


def test_what_came_of_its_call_all_the_same_is_told(asking):
    asking.withdraw("q")
    asking.result("c", "files")
    asking.finish("stop")

    outs = asking.take()
    check_turn(outs)
    assert one(chunks_of(outs), "tool-output-available")["output"] == "files"


def test_a_question_that_is_a_call_of_its_own_ends_with_it(answer):
    answer.ask("q", "q", "AskUserQuestion", {"questions": []})
    answer.withdraw("q")

    outs = answer.take()
    assert one(chunks_of(outs), "tool-output-error")["errorText"] == WITHDRAWN
    assert answer.is_ended_call("q")


def test_the_same_call_may_be_asked_about_again(asking):
    asking.withdraw("q")
    asking.ask("q2", "c", "Bash", {"command": "ls"})
    asking.answered("q2")
    asking.allow("c")
    asking.result("c", "files")
    asking.finish("stop")

    outs = asking.take()
    check_turn(outs)
    assert marks(outs) == [None, True, False]
    assert [type(out) for out in outs].count(Withdrawn) == 1


def test_of_two_questions_about_a_call_the_other_stays_open(asking):
    asking.ask("q2", "c", "Bash", {"command": "ls"})
    asking.withdraw("q")

    assert (list(asking.open_questions), marks(asking.take())) == (["q2"], [None])


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda answer: answer.finish("stop"), id="the turn ends"),
        pytest.param(lambda answer: answer.call_failed("c", "It gave up."), id="its call fails"),
    ],
)
def test_what_the_agent_does_not_wait_for_it_has_taken_back(asking, end):
    end(asking)

    assert Withdrawn("q") in asking.take()
    assert not asking.open_questions


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda answer: (answer.interrupt(), answer.finish("stop")), id="stopped"),
        pytest.param(lambda answer: answer.fail("harness_crashed", "It broke."), id="crashed"),
        pytest.param(lambda answer: answer.abort(), id="aborted"),
        pytest.param(
            lambda answer: (answer.answered("q"), answer.finish("stop")), id="with an answer"
        ),
    ],
)
def test_a_question_that_ends_in_another_way_was_not_taken_back(asking, end):
    end(asking)

    assert not [out for out in asking.take() if isinstance(out, Withdrawn)]
