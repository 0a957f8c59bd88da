"""The library's events as chunks: whatever comes, the message is whole."""

from __future__ import annotations

from types import SimpleNamespace as Event

from hypothesis import given
from hypothesis import strategies as st

from agents.harness.base import Emit
from agents.harness.decopilot.stream import AnswerStream, input_of
from agents.harness.decopilot.usage import usage_of
from tests.harness.shapes import check_turn


def start(index, kind, **part):
    given = {"content": "", "tool_name": "bash", "tool_call_id": f"c{index}", "args": None}
    return Event(event_kind="part_start", index=index, part=Event(part_kind=kind, **given | part))


def delta(index, kind, **fields):
    given = {"content_delta": "x", "args_delta": '{"a'}
    return Event(
        event_kind="part_delta", index=index, delta=Event(part_delta_kind=kind, **given | fields)
    )


def end(index):
    return Event(event_kind="part_end", index=index)


def call(index, args=None):
    part = Event(tool_call_id=f"c{index}", tool_name="bash", args=args)
    return Event(event_kind="function_tool_call", part=part)


def result(index, outcome="success", content="out"):
    part = Event(tool_call_id=f"c{index}", tool_name="bash", outcome=outcome, content=content)
    return Event(event_kind="function_tool_result", part=part)


def told(*events, lost=()):
    stream = AnswerStream("run", 1)
    outs = stream.begin(lost) + stream.step()
    for event in events:
        outs += stream.take(event)
    stream.answer.finish("stop")
    return outs + stream.answer.take()


def chunks(outs):
    return [out.chunk for out in outs if isinstance(out, Emit)]


def test_text_grows_and_is_closed():
    outs = told(start(0, "text", content="a"), delta(0, "text"), end(0))

    check_turn(outs)
    assert [c["delta"] for c in chunks(outs) if c["type"] == "text-delta"] == ["a", "x"]


def test_a_call_streams_its_input_and_has_its_result():
    outs = told(
        start(1, "tool-call"), delta(1, "tool_call"), end(1), call(1, '{"a": 1}'), result(1)
    )

    check_turn(outs)
    (available,) = (c for c in chunks(outs) if c["type"] == "tool-input-available")
    assert available["input"] == {"a": 1}


def test_an_unknown_event_tells_nothing():
    check_turn(told(Event(event_kind="final_result")))


def test_a_lost_attempt_s_steps_are_said_again():
    lost = [
        {"type": "step-start"},
        {"type": "text", "text": "I look."},
        {
            "type": "dynamic-tool",
            "toolName": "bash",
            "toolCallId": "old",
            "state": "output-denied",
            "input": {},
        },
    ]
    outs = told(start(0, "text", content="On."), lost=lost)

    check_turn(outs)
    assert "tool-output-denied" in [chunk["type"] for chunk in chunks(outs)]


INDEX = st.integers(0, 3)
KINDS = st.sampled_from(["text", "thinking", "tool-call", "file"])
DELTAS = st.sampled_from(["text", "thinking", "tool_call"])
EVENTS = st.lists(
    st.builds(start, INDEX, KINDS)
    | st.builds(delta, INDEX, DELTAS)
    | st.builds(delta, INDEX, DELTAS, args_delta=st.none(), content_delta=st.none())
    | st.builds(end, INDEX)
    | st.builds(call, INDEX, st.sampled_from([None, "{", '{"a": 1}', "5", {"b": 2}]))
    | st.builds(result, INDEX, st.sampled_from(["success", "failed", "denied", "retried"])),
    max_size=30,
)


@given(EVENTS)
def test_any_events_give_a_whole_message(events):
    check_turn(told(*events))


@given(st.text() | st.dictionaries(st.text(), st.integers()) | st.none())
def test_any_input_of_a_call_is_an_object(args):
    assert isinstance(input_of(args), dict)


def test_usage_is_in_the_ai_sdk_s_words():
    counts = Event(
        input_tokens=130,
        output_tokens=30,
        cache_read_tokens=20,
        cache_write_tokens=10,
        output_reasoning_tokens=5,
    )

    assert usage_of(counts) == {
        "inputTokens": 130,
        "outputTokens": 30,
        "totalTokens": 160,
        "cachedInputTokens": 20,
        "inputTokenDetails": {"noCacheTokens": 100, "cacheReadTokens": 20, "cacheWriteTokens": 10},
        "reasoningTokens": 5,
    }
