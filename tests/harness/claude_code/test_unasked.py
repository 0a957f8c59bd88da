"""Turns that the program begins by itself are answers of their own."""

from __future__ import annotations

import json

import pytest

from agents.harness.base import Ask, Background, BackgroundTask, Done, Unasked, Write
from agents.harness.claude_code import ClaudeCodeAdapter
from agents.harness.claude_code.unasked import LIMIT, UnaskedTurn
from tests.harness.driver import chunks_of, one, text_of, turn
from tests.harness.shapes import check_turn

ENDED = 'Background command "wait" completed (exit code 0)'


@pytest.fixture
def adapter():
    """An adapter whose program has answered a message, and reports what it does with them."""
    adapter = ClaudeCodeAdapter()
    name = sent(adapter.begin(turn("first")))
    report(adapter, name, "queued")
    report(adapter, name, "started")
    answer(adapter, "one")
    report(adapter, name, "completed")
    return adapter


def tell(adapter, kind, **fields):
    return adapter.feed(json.dumps({"type": kind, **fields}).encode())


def report(adapter, name, state):
    return tell(adapter, "command_lifecycle", command_uuid=name, state=state)


def ask_model(adapter, **fields):
    """What the program says at each beginning of a turn."""
    outs = tell(adapter, "system", subtype="init", session_id="s")
    return outs + tell(adapter, "system", subtype="status", status="requesting", **fields)


def speak(adapter, text):
    content = [{"type": "text", "text": text}]
    return tell(adapter, "assistant", message={"id": f"m-{text}", "content": content})


def answer(adapter, text):
    return speak(adapter, text) + tell(adapter, "result", session_id="s")


def end_task(adapter):
    tell(adapter, "system", subtype="task_notification", summary=ENDED)
    return tell(adapter, "system", subtype="background_tasks_changed", tasks=[])


def sent(outs):
    lines = [json.loads(out.line) for out in outs if isinstance(out, Write)]
    return next(line["uuid"] for line in lines if line["type"] == "user")


def test_every_message_has_a_name_of_its_own():
    adapter = ClaudeCodeAdapter()
    first = sent(adapter.begin(turn("one")))
    answer(adapter, "1")

    assert sent(adapter.begin(turn("one"))) != first


def test_an_unasked_turn_between_two_of_ours_is_announced_once_and_kept(adapter):
    end_task(adapter)

    outs = ask_model(adapter) + answer(adapter, "by itself")

    assert outs == [Unasked(ENDED)]
    unasked = adapter.begin_unasked(turn(messages=[], runId="run-2"))
    check_turn(unasked)
    chunks = chunks_of(unasked)
    assert chunks[0] == {"type": "start", "messageId": "run-2"}
    assert one(chunks, "data-unasked")["data"] == {"reason": ENDED}
    assert text_of(chunks) == "by itself"


def test_an_unasked_turn_that_still_runs_continues_as_any_turn(adapter):
    ask_model(adapter)

    outs = adapter.begin_unasked(turn(messages=[]))
    outs += answer(adapter, "by itself")

    check_turn(outs)
    assert text_of(chunks_of(outs)) == "by itself"


def test_what_comes_before_our_message_is_read_is_not_its_answer(adapter):
    name = sent(adapter.begin(turn("second")))
    outs = ask_model(adapter) + answer(adapter, "by itself")
    report(adapter, name, "queued")
    report(adapter, name, "started")
    ask_model(adapter, user_message_uuids=[name])
    outs += answer(adapter, "second's")

    assert text_of(chunks_of(outs)) == "second's"
    assert [type(out) for out in outs[-2:]] == [Done, Unasked]
    assert text_of(chunks_of(adapter.begin_unasked(turn(messages=[])))) == "by itself"


def test_a_message_that_is_read_in_the_middle_of_an_unasked_turn_takes_the_rest(adapter):
    name = sent(adapter.begin(turn("second")))
    outs = ask_model(adapter) + speak(adapter, "by itself")
    report(adapter, name, "started")
    outs += ask_model(adapter, user_message_uuids=[name]) + answer(adapter, "second's")

    assert text_of(chunks_of(outs)) == "second's"
    unasked = adapter.begin_unasked(turn(messages=[]))
    check_turn(unasked)
    assert text_of(chunks_of(unasked)) == "by itself"


def test_each_message_keeps_its_answer_after_an_unasked_turn(adapter):
    name = sent(adapter.begin(turn("second")))
    ask_model(adapter)
    answer(adapter, "by itself")
    report(adapter, name, "started")
    answer(adapter, "second's")
    third = sent(adapter.begin(turn("third")))
    report(adapter, third, "started")

    assert text_of(chunks_of(answer(adapter, "third's"))) == "third's"


def test_two_unasked_turns_are_two_answers(adapter):
    ask_model(adapter)
    answer(adapter, "one")
    ask_model(adapter)
    answer(adapter, "two")

    first = adapter.begin_unasked(turn(messages=[]))
    assert isinstance(first[-1], Unasked)
    assert text_of(chunks_of(first)) == "one"
    assert text_of(chunks_of(adapter.begin_unasked(turn(messages=[])))) == "two"


def test_a_message_that_comes_first_lets_the_unasked_turn_be_announced_again(adapter):
    ask_model(adapter)
    name = sent(adapter.begin(turn("second")))
    answer(adapter, "by itself")
    report(adapter, name, "started")

    assert isinstance(answer(adapter, "second's")[-1], Unasked)


def test_a_question_of_an_unasked_turn_waits_for_its_answer(adapter):
    ask_model(adapter)
    request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {}, "tool_use_id": "c"}
    assert tell(adapter, "control_request", request_id="q", request=request) == []

    outs = adapter.begin_unasked(turn(messages=[], toolApprovalLevel="readonly"))

    assert one(chunks_of(outs), "tool-approval-request")["approvalId"] == "q"


def test_a_stop_before_our_message_is_read_waits_until_it_is(adapter):
    name = sent(adapter.begin(turn("second")))
    assert adapter.interrupt() == []

    (interrupt,) = (out for out in report(adapter, name, "started") if isinstance(out, Write))

    assert json.loads(interrupt.line)["request"] == {"subtype": "interrupt"}


def test_a_message_that_the_program_drops_fails_its_turn(adapter):
    outs = adapter.begin(turn("second"))
    outs += report(adapter, sent(outs), "cancelled")

    check_turn(outs)
    assert "did not take the message" in one(chunks_of(outs), "error")["errorText"]


def test_what_runs_in_the_background_is_told_whenever_it_changes(adapter):
    tasks = [
        {"task_id": "b1", "task_type": "local_bash", "description": "wait"},
        {"task_id": "a1", "task_type": "local_agent", "description": ""},
        {"description": "without an id"},
    ]

    outs = tell(adapter, "system", subtype="background_tasks_changed", tasks=tasks)

    assert outs == [
        Background(
            (BackgroundTask("b1", "wait"), BackgroundTask("a1", "A task without a name", "agent"))
        )
    ]
    (stop,) = adapter.stop_task("b1")
    assert json.loads(stop.line)["request"] == {"subtype": "stop_task", "task_id": "b1"}
    assert adapter.stop_task("unknown") == []
    assert adapter.ended(0, "") == [Background()]


def test_other_lines_between_two_turns_begin_nothing(adapter):
    outs = tell(adapter, "system", subtype="init", session_id="s")
    outs += tell(adapter, "prompt_suggestion") + tell(adapter, "user", message={})
    outs += speak(adapter, "late")

    assert outs == []


def test_what_is_kept_has_a_limit():
    unasked = UnaskedTurn()

    for _ in range(3):
        unasked.keep({}, b"x" * (LIMIT // 2))

    assert sum(map(len, unasked.take())) == LIMIT


# Sub-agents that go on when the turn has ended

AGENT = {"task_id": "a1", "task_type": "local_agent", "description": "looks"}


@pytest.fixture
def delegating():
    """An adapter in a turn at "ask before edit", which has started a sub-agent."""
    adapter = ClaudeCodeAdapter()
    name = sent(adapter.begin(turn("go", toolApprovalLevel="readonly", takesUnasked=True)))
    report(adapter, name, "started")
    call(adapter, "Task", "t-1")
    tell(adapter, "system", subtype="background_tasks_changed", tasks=[AGENT])
    result(adapter, "t-1", "Async agent launched successfully.")
    return adapter


def own_turn():
    return turn(messages=[], runId="run-2", toolApprovalLevel="readonly")


def call(adapter, tool, call_id, **fields):
    block = {"type": "tool_use", "id": call_id, "name": tool, "input": {"command": "touch x"}}
    message = {"id": f"m-{call_id}", "content": [block]}
    return tell(adapter, "assistant", message=message, **fields)


def result(adapter, call_id, text, **fields):
    block = {"type": "tool_result", "tool_use_id": call_id, "content": text}
    return tell(adapter, "user", message={"content": [block]}, **fields)


def asks(adapter, call_id="c-1", request_id="q-1"):
    request = {"subtype": "can_use_tool", "tool_name": "Bash", "tool_use_id": call_id}
    request["input"] = {"command": "touch x"}
    return tell(adapter, "control_request", request_id=request_id, request=request)


def written(outs):
    return [json.loads(out.line) for out in outs if isinstance(out, Write)]


def behaviours(outs):
    return [line["response"]["response"]["behavior"] for line in written(outs)]


def end_agent(adapter):
    report = {"summary": "All is well.", "summary_is_report": True, "task_id": "a1"}
    tell(adapter, "system", subtype="task_notification", **report)
    return tell(adapter, "system", subtype="background_tasks_changed", tasks=[])


def test_a_call_of_a_sub_agent_that_goes_on_is_no_failure(delegating):
    call(delegating, "Bash", "c-1", parent_tool_use_id="t-1")

    outs = answer(delegating, "It looks.")

    ended = one(chunks_of(outs), "tool-output-available")
    assert (ended["toolCallId"], ended["output"]) == ("c-1", "It goes on in the background.")


def test_a_turn_does_not_end_while_its_sub_agent_asks(delegating):
    outs = call(delegating, "Bash", "c-1", parent_tool_use_id="t-1") + asks(delegating)
    outs += answer(delegating, "It looks.")
    assert Done() not in outs

    assert behaviours(delegating.answer("q-1", "allow", "")) == ["allow"]
    outs = result(delegating, "c-1", "done", parent_tool_use_id="t-1")

    assert outs[-1] == Done()
    assert one(chunks_of(outs), "tool-output-available")["output"] == "done"


def test_a_turn_whose_sub_agent_asks_can_be_stopped(delegating):
    call(delegating, "Bash", "c-1", parent_tool_use_id="t-1")
    asks(delegating)
    answer(delegating, "It looks.")

    outs = delegating.interrupt()

    assert behaviours(outs) == ["deny"]
    assert outs[-1] == Done()


def test_a_question_after_the_turn_is_an_answer_of_its_own(delegating):
    answer(delegating, "It looks.")

    assert asks(delegating) == [Unasked("A sub-agent in the background asks for your permission.")]
    outs = delegating.begin_unasked(own_turn())
    assert [out.tool_call_id for out in outs if isinstance(out, Ask)] == ["c-1"]
    outs += delegating.answer("q-1", "allow", "")
    outs += result(delegating, "c-1", "done", parent_tool_use_id="t-1")

    check_turn(outs)
    assert outs[-1] == Done()


def test_a_question_that_was_withdrawn_is_not_asked(delegating):
    answer(delegating, "It looks.")
    asks(delegating)
    tell(delegating, "control_cancel_request", request_id="q-1")

    outs = delegating.begin_unasked(own_turn())

    check_turn(outs)
    assert delegating.answer("q-1", "allow", "") == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, "allow", id="at auto"),
        pytest.param({"mode": "plan", "toolApprovalLevel": "plan"}, "deny", id="while planning"),
    ],
)
def test_after_the_turn_its_level_answers(changes, expected):
    adapter = ClaudeCodeAdapter()
    adapter.begin(turn("go", takesUnasked=True, **changes))
    tell(adapter, "system", subtype="background_tasks_changed", tasks=[AGENT])
    answer(adapter, "It looks.")

    assert behaviours(asks(adapter)) == [expected]


def test_a_sub_agents_report_is_not_the_reason(delegating):
    answer(delegating, "It looks.")
    end_agent(delegating)

    assert ask_model(delegating) == [Unasked("The sub-agent “looks” has ended.")]
