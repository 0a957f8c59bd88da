"""The demo agent's lines as outputs; the real program is ``test_demo_real.py``'s."""

from __future__ import annotations

import json

import pytest

from agents.harness.base import (
    Applied,
    Ask,
    Background,
    BackgroundTask,
    Done,
    Fail,
    NotSteered,
    Steered,
    Unasked,
    Write,
)
from agents.harness.demo import DemoAdapter
from tests.harness.driver import chunks_of, one, text_of, turn, types_of
from tests.harness.shapes import check_turn

MESSAGE = {"id": "m2", "role": "user", "parts": [{"type": "text", "text": "and now"}]}


@pytest.fixture
def adapter():
    return DemoAdapter()


def tell(adapter, kind, **fields):
    return adapter.feed(json.dumps({"type": kind, **fields}).encode())


def written(outs):
    return [json.loads(out.line) for out in outs if isinstance(out, Write)]


def test_a_turn_sends_its_prompt_level_and_mode(adapter):
    outs = adapter.begin(turn("hi", mode="plan", toolApprovalLevel="readonly"))

    assert written(outs) == [{"type": "turn", "prompt": "hi", "level": "readonly", "mode": "plan"}]


def test_a_conversation_is_resumed_by_its_session(adapter):
    assert adapter.launch(turn("hi")).args == ()
    assert adapter.launch(turn("hi", resumeSessionRef="s1")).args == ("--resume", "s1")


def test_text_and_thinking_are_parts_of_their_own(adapter):
    outs = adapter.begin(turn("hi"))
    for kind, delta in [("thinking", "hm"), ("text", "Hel"), ("text", "lo")]:
        outs += tell(adapter, kind, delta=delta)
    outs += tell(adapter, "end", reason="stop")

    check_turn(outs)
    assert (text_of(chunks_of(outs)), text_of(chunks_of(outs), "reasoning")) == ("Hello", "hm")
    assert types_of(chunks_of(outs)).count("text-start") == 1


def test_a_question_is_answered_once(adapter):
    adapter.begin(turn("ask"))
    tell(adapter, "tool", id="c", name="shell", input={"command": "ls"})
    (question,) = tell(adapter, "ask", id="a", tool="c", name="shell", input={"command": "ls"})
    assert isinstance(question, Ask)

    outs = adapter.answer("a", "deny", "not now")

    assert written(outs) == [{"type": "answer", "id": "a", "decision": "deny", "reason": "not now"}]
    assert outs[-1] == Applied("a", "deny")
    assert adapter.answer("a", "allow", "") == []


def test_a_message_in_the_middle_is_reported_as_read_or_as_too_late(adapter):
    adapter.begin(turn("count"))
    adapter.steer("s1", MESSAGE)
    adapter.steer("s2", MESSAGE)

    read = tell(adapter, "steered", id="s1")
    ended = tell(adapter, "end", reason="stop")

    assert Steered("s1") in read
    assert NotSteered("s2") in ended
    assert adapter.steer("s3", MESSAGE) == []


@pytest.mark.parametrize("line", [b"{", b"[1]", b'{"type": "new"}'])
def test_a_line_that_is_not_understood_is_a_notice(adapter, line):
    adapter.begin(turn("hi"))

    chunk = one(chunks_of(adapter.feed(line)), "data-notice")

    assert chunk["data"] == {"source": "demo", "line": line.decode()}


@pytest.mark.parametrize("stderr", ["", "Traceback: it broke\n"])
def test_a_program_that_exits_in_the_middle_fails_its_turn(adapter, stderr):
    outs = adapter.begin(turn("hi")) + adapter.ended(3, stderr)

    check_turn(outs)
    (failure,) = [out for out in outs if isinstance(out, Fail)]
    assert failure.code == "harness_crashed"
    assert stderr.strip() in failure.message


def test_a_program_that_exits_after_an_interrupt_was_stopped(adapter):
    outs = adapter.begin(turn("hi")) + adapter.interrupt() + adapter.ended(-15, "")

    check_turn(outs)
    assert one(chunks_of(outs), "abort")


def test_nothing_comes_of_lines_and_ends_between_turns(adapter):
    assert tell(adapter, "text", delta="x") == adapter.interrupt() == adapter.ended(0, "") == []


# Work in the background, and turns that the program begins by itself


def by_itself(adapter, *words, reason="It ended."):
    outs = tell(adapter, "unasked", reason=reason)
    for word in words:
        outs += tell(adapter, "text", delta=word)
    return outs + tell(adapter, "end", reason="stop")


def test_what_runs_in_the_background_is_told_at_any_time(adapter):
    task = {"id": "t1", "title": "sleep 9"}
    assert tell(adapter, "background", tasks=[task]) == [
        Background((BackgroundTask("t1", "sleep 9"),))
    ]
    assert written(adapter.stop_task("t1")) == [{"type": "stop", "id": "t1"}]
    assert adapter.stop_task("t2") == []


def test_a_turn_of_the_programs_own_is_announced_and_kept(adapter):
    assert by_itself(adapter, "done") == [Unasked("It ended.")]

    outs = adapter.begin_unasked(turn("", runId="r2"))

    check_turn(outs)
    assert text_of(chunks_of(outs)) == "done"
    assert {"type": "data-unasked", "id": "unasked", "data": {"reason": "It ended."}} in chunks_of(
        outs
    )


def test_such_a_turn_goes_on_after_it_has_an_answer(adapter):
    tell(adapter, "unasked", reason="It ended.")
    tell(adapter, "text", delta="one ")
    outs = adapter.begin_unasked(turn(""))
    outs += tell(adapter, "text", delta="two")
    outs += tell(adapter, "end", reason="stop")

    check_turn(outs)
    assert text_of(chunks_of(outs)) == "one two"


def test_before_our_turn_it_is_announced_after_that(adapter):
    outs = adapter.begin(turn("hi"))
    outs += by_itself(adapter, "of its own")
    outs += tell(adapter, "text", delta="hello")
    outs += tell(adapter, "end", reason="stop")

    assert text_of(chunks_of(outs)) == "hello"
    assert outs[-2:] == [Done(), Unasked("It ended.")]


def test_one_that_was_announced_is_announced_again_after_a_turn(adapter):
    by_itself(adapter, "of its own")
    adapter.begin(turn("hi"))

    assert tell(adapter, "end", reason="stop")[-1] == Unasked("It ended.")


def test_each_gets_an_answer_of_its_own(adapter):
    by_itself(adapter, "first", reason="1")
    tell(adapter, "unasked", reason="2")
    tell(adapter, "text", delta="sec")
    first = adapter.begin_unasked(turn("", runId="r2"))
    second = adapter.begin_unasked(turn("", runId="r3"))
    second += tell(adapter, "text", delta="ond") + tell(adapter, "end", reason="stop")

    assert first[-1] == Unasked("2")
    assert [text_of(chunks_of(outs)) for outs in (first, second)] == ["first", "second"]


def test_an_end_of_the_program_ends_what_it_ran(adapter):
    tell(adapter, "background", tasks=[{"id": "t1", "title": "sleep 9"}])

    assert adapter.ended(0, "") == [Background()]
