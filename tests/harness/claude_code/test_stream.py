"""Claude Code's blocks: each comes in pieces and whole, and is shown once."""

from __future__ import annotations

import pytest

from agents.harness.answer import AnswerBuilder
from agents.harness.claude_code.stream import Stream
from agents.harness.claude_code.todos import Todos
from tests.harness.driver import chunks_of, one, text_of


@pytest.fixture
def answer():
    answer = AnswerBuilder("run-1")
    answer.start()
    return answer


@pytest.fixture
def stream(answer):
    return Stream(answer, Todos())


def start(stream, block=None, message="m1"):
    stream.event({"type": "message_start", "message": {"id": message}})
    stream.event({"type": "content_block_start", "index": 0, "content_block": block or {}})


def delta(stream, kind, **fields):
    value = {"type": kind, **fields}
    stream.event({"type": "content_block_delta", "index": 0, "delta": value})


def stop(stream):
    stream.event({"type": "content_block_stop", "index": 0})


def test_text_in_pieces_is_not_repeated_by_the_whole_message(stream, answer):
    start(stream, {"type": "text", "text": ""})
    delta(stream, "text_delta", text="Hel")
    delta(stream, "text_delta", text="lo")
    stream.whole({"id": "m1", "content": [{"type": "text", "text": "Hello"}]})
    stop(stream)

    assert text_of(chunks_of(answer.take())) == "Hello"


def test_a_whole_message_that_was_not_streamed_is_shown(stream, answer):
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hello"}]
    stream.whole({"id": "m1", "content": content})

    chunks = chunks_of(answer.take())
    assert (text_of(chunks), text_of(chunks, "reasoning")) == ("Hello", "hm")


def test_the_input_of_a_call_comes_from_its_pieces_or_else_from_the_whole(stream, answer):
    call = {"type": "tool_use", "id": "c", "name": "Bash"}
    start(stream, call)
    delta(stream, "input_json_delta", partial_json='{"command": "l')
    delta(stream, "input_json_delta", partial_json='s"}')
    stop(stream)
    stream.whole({"id": "m1", "content": [call | {"input": {"command": "other"}}]})

    assert one(chunks_of(answer.take()), "tool-input-available")["input"] == {"command": "ls"}


def test_an_input_that_was_cut_off_is_empty(stream, answer):
    start(stream, {"type": "tool_use", "id": "c", "name": "Bash"})
    delta(stream, "input_json_delta", partial_json='{"command": "l')
    stop(stream)

    assert one(chunks_of(answer.take()), "tool-input-available")["input"] == {}


def test_only_the_calls_of_a_sub_agent_are_shown_under_its_own_call(stream, answer):
    content = [
        {"type": "text", "text": "its own words"},
        {"type": "tool_use", "id": "inner", "name": "Read", "input": {"file_path": "a"}},
    ]
    stream.of_helper({"content": content}, "outer")

    chunks = chunks_of(answer.take())
    assert text_of(chunks) == ""
    call = one(chunks, "tool-input-available")
    assert call["providerMetadata"] == {"mesh": {"parentToolCallId": "outer"}}


def result(stream, answer, meta=(), **block):
    content = [{"type": "tool_result", "tool_use_id": "c", **block}]
    answer.call_input("c", "Bash", {})
    stream.results({"message": {"content": content}, "tool_result_meta": list(meta)})
    return chunks_of(answer.take())[-1]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("hi", "hi"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ({"type": "image"}, "[image]"),
        (None, ""),
    ],
)
def test_a_result_is_text_and_other_blocks_are_named(stream, answer, content, text):
    assert result(stream, answer, content=content)["output"] == text


def test_an_error_is_shown_without_its_wrapper(stream, answer):
    content = "<tool_use_error>no such file</tool_use_error>"

    assert result(stream, answer, content=content, is_error=True)["errorText"] == "no such file"


def test_a_rejected_call_is_denied(stream, answer):
    meta = {"id": "c", "permission_decision": {"decision": "reject"}}

    chunk = result(stream, answer, [meta], content="no", is_error=True)

    assert chunk["type"] == "tool-output-denied"


def of_call(stream, answer, tool, **block):
    """Return the last chunk of a call of ``tool`` whose result is ``block``."""
    stream.whole({"id": "m1", "content": [{"type": "tool_use", "id": "c", "name": tool}]})
    stream.result({"tool_use_id": "c", **block})
    return chunks_of(answer.take())[-1]


def test_a_picture_of_a_tool_is_a_picture(stream, answer):
    source = {"type": "base64", "media_type": "image/png", "data": "eHh4"}
    content = [{"type": "text", "text": "A pixel."}, {"type": "image", "source": source}]

    ended = of_call(stream, answer, "Read", content=content)

    pictures = [{"mediaType": "image/png", "data": "eHh4"}]
    assert ended["output"] == {"text": "A pixel.", "pictures": pictures}


def test_a_picture_that_is_only_named_stays_a_word(stream, answer):
    content = [{"type": "image", "source": {"type": "url", "url": "https://mesh.example/a.png"}}]

    assert of_call(stream, answer, "Read", content=content)["output"] == "[image]"


HANDED_BACK = (
    "<tools-used-before-summary>Bash</tools-used-before-summary>\n \n"
    "[Subagent hand-back] The report follows:\n  # Done\n    indented\n"
    "agentId: a1 (for later)\n<usage>total_tokens: 3</usage>"
)


@pytest.mark.parametrize("tool", ["Agent", "Task"])
def test_the_report_of_a_sub_agent_is_peeled(stream, answer, tool):
    assert of_call(stream, answer, tool, content=HANDED_BACK)["output"] == "# Done\n  indented"


def test_the_output_of_another_tool_is_left_alone(stream, answer):
    assert of_call(stream, answer, "Bash", content=HANDED_BACK)["output"] == HANDED_BACK


def test_what_a_hook_denied_is_not_denied_by_the_person(stream, answer):
    stream.whole({"id": "m1", "content": [{"type": "tool_use", "id": "c", "name": "Bash"}]})
    words = "PreToolUse:Bash hook error: [./check.sh]: No network, please.\n"
    block = {"type": "tool_result", "tool_use_id": "c", "is_error": True, "content": words}
    decision = {"decision": "reject", "source": "hook"}
    meta = [{"id": "c", "permission_decision": decision}]
    stream.results({"message": {"content": [block]}, "tool_result_meta": meta})

    ended = chunks_of(answer.take())[-1]
    assert ended["type"] == "tool-output-error"
    assert ended["errorText"] == "Denied by a PreToolUse hook: No network, please."


def test_an_input_that_was_cut_off_is_shown_as_far_as_it_came(stream, answer):
    value = {"__unparsedToolInput": {"raw": '{"command": "ec', "len": 15}}
    content = [{"type": "tool_use", "id": "c", "name": "Bash", "input": value}]
    stream.whole({"id": "m1", "content": content})

    assert chunks_of(answer.take())[-1]["input"] == {"cut off": '{"command": "ec'}
