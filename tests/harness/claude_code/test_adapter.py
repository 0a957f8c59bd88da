"""Claude Code's lines, one by one; recorded and real ones are the kit's."""

from __future__ import annotations

import json

import pytest

from agents.harness.base import Again, Ask, Fail, NotSteered, Steered, Withdrawn, Write
from agents.harness.claude_code import ClaudeCodeAdapter
from tests.harness.driver import chunks_of, one, text_of, turn
from tests.harness.shapes import check_turn

MESSAGE = {"id": "m2", "role": "user", "parts": [{"type": "text", "text": "and now"}]}
STEERABLE = "2.1.330 (Claude Code)"


@pytest.fixture
def adapter():
    return ClaudeCodeAdapter()


def tell(adapter, kind, **fields):
    return adapter.feed(json.dumps({"type": kind, **fields}).encode())


def init(adapter, version=STEERABLE):
    fields = {"subtype": "init", "session_id": "s", "claude_code_version": version}
    return tell(adapter, "system", **fields)


def written(outs):
    return [json.loads(out.line) for out in outs if isinstance(out, Write)]


def ask(adapter, tool="Bash", **fields):
    request = {"subtype": "can_use_tool", "tool_name": tool, "input": {}, "tool_use_id": "c"}
    return tell(adapter, "control_request", request_id="q", request=request | fields)


def test_a_result_ends_the_turn_with_session_and_usage(adapter):
    outs = adapter.begin(turn("hi")) + init(adapter)
    outs += tell(adapter, "result", result="", session_id="s", usage={"output_tokens": 3})

    check_turn(outs)
    metadata = one(chunks_of(outs), "finish")["messageMetadata"]
    assert metadata["codingAgentSessionId"] == "s"
    assert metadata["usage"]["outputTokens"] == 3


def test_the_words_of_a_result_are_shown_if_nothing_else_was(adapter):
    adapter.begin(turn("/cost"))

    assert text_of(chunks_of(tell(adapter, "result", result="It was free."))) == "It was free."


def test_an_unknown_session_starts_the_program_once_more(adapter):
    adapter.begin(turn("hi", resumeSessionRef="gone"))

    outs = adapter.ended(1, "No conversation found with session ID: gone")

    (again,) = [out for out in outs if isinstance(out, Again)]
    assert again.turn.resume_session_ref is None
    assert tell(adapter, "result", result="late") == adapter.ended(0, "") == []


def test_any_other_exit_fails_the_turn(adapter):
    outs = adapter.begin(turn("hi", resumeSessionRef="s")) + adapter.ended(1, "out of memory")

    check_turn(outs)
    assert [out.code for out in outs if isinstance(out, Fail)] == ["harness_crashed"]


@pytest.mark.parametrize(
    ("version", "is_sent"), [(STEERABLE, True), ("2.1.329", False), ("", False)]
)
def test_only_a_version_that_reports_on_it_gets_a_message_in_the_middle(adapter, version, is_sent):
    adapter.begin(turn("hi"))
    init(adapter, version)

    (out,) = adapter.steer("s1", MESSAGE)

    assert isinstance(out, Write if is_sent else NotSteered)


def test_a_turn_continues_after_a_result_while_a_message_is_unread(adapter):
    outs = adapter.begin(turn("hi")) + init(adapter) + adapter.steer("s1", MESSAGE)
    outs += tell(adapter, "result", result="first")
    outs += tell(adapter, "command_lifecycle", command_uuid="s1", state="started")
    assert outs[-1] == Steered("s1")
    outs += tell(adapter, "result", result="second")

    check_turn(outs)


def test_a_question_goes_to_a_person_and_its_withdrawal_closes_it(adapter):
    adapter.begin(turn("hi", toolApprovalLevel="readonly"))
    (question,) = [out for out in ask(adapter) if isinstance(out, Ask)]

    outs = tell(adapter, "control_cancel_request", request_id="q")

    assert Withdrawn(question.approval_id) in outs
    assert adapter.answer(question.approval_id, "allow", "") == []


def test_an_interrupted_turn_denies_what_is_asked_afterwards(adapter):
    adapter.begin(turn("hi", toolApprovalLevel="readonly"))
    adapter.interrupt()

    (line,) = written(ask(adapter))

    assert line["response"]["response"]["behavior"] == "deny"


def test_an_unknown_request_is_refused_in_a_turn_and_between_turns(adapter):
    adapter.begin(turn("hi"))
    (during,) = written(tell(adapter, "control_request", request_id="q1", request={}))
    tell(adapter, "result", result="")
    (after,) = written(tell(adapter, "control_request", request_id="q2", request={}))

    for line, request_id in ((during, "q1"), (after, "q2")):
        assert line["response"]["subtype"] == "error"
        assert line["response"]["request_id"] == request_id


def test_a_line_of_an_unknown_kind_is_a_notice_and_a_known_quiet_one_is_not(adapter):
    adapter.begin(turn("hi"))

    assert one(chunks_of(tell(adapter, "brand_new")), "data-notice")
    assert tell(adapter, "keep_alive") == []


def run_tool(adapter, tool, *, error="", asks=False, **changes):
    """Play a turn in which ``tool`` runs; return the number of calls that are marked."""
    outs = adapter.begin(turn("hi", **changes)) + init(adapter)
    call = {"type": "tool_use", "id": "c", "name": tool, "input": {"a": 1}}
    outs += tell(adapter, "assistant", message={"id": "m", "content": [call]})
    if asks:
        outs += ask(adapter, tool) + adapter.answer("q", "allow", "")
    result = {"type": "tool_result", "tool_use_id": "c", "content": error or "ok"}
    failed = {"is_error": True} if error else {}
    outs += tell(adapter, "user", message={"content": [result | failed]})
    outs += tell(adapter, "result", result="Done.")
    check_turn(outs)
    chunks = chunks_of(outs)
    marked = [c for c in chunks if c.get("providerMetadata", {}).get("mesh", {}).get("unasked")]
    assert len(marked) == one(chunks, "finish")["messageMetadata"].get("unaskedCalls", 0)
    codes = [c["data"].get("code") for c in chunks if c["type"] == "data-notice"]
    assert codes.count("ran_unasked") == bool(marked)
    return len(marked)


READONLY = {"toolApprovalLevel": "readonly"}


@pytest.mark.parametrize(
    ("tool", "case", "marked"),
    [
        pytest.param("Bash", {}, 1, id="a command"),
        pytest.param("mcp__mail__send", {}, 1, id="a server's tool"),
        pytest.param("Bash", {"mode": "plan"}, 1, id="a command while it plans"),
        pytest.param("Bash", {"error": "Exit code 3"}, 1, id="a command that failed"),
        pytest.param("Bash", {"asks": True}, 0, id="asked about"),
        pytest.param("Read", {}, 0, id="reading"),
        pytest.param("ToolOfNextYear", {}, 0, id="not known to ask"),
        pytest.param("Bash", {"error": "No such tool."}, 0, id="never ran"),
        pytest.param("Bash", {"toolApprovalLevel": "auto"}, 0, id="at auto"),
    ],
)
def test_what_ran_without_the_question_that_its_level_asks_for_is_marked(
    adapter, tool, case, marked
):
    assert run_tool(adapter, tool, **READONLY | case) == marked
