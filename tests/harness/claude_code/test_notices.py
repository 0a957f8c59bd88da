"""What the program reports beside its answer, in words for a person."""

from __future__ import annotations

import json

import pytest

from agents.harness.base import Fail, Write
from agents.harness.claude_code import ClaudeCodeAdapter
from tests.harness.driver import chunks_of, one, text_of, turn, types_of
from tests.harness.shapes import check_turn


@pytest.fixture
def adapter():
    adapter = ClaudeCodeAdapter()
    adapter.begin(turn("hi"))
    return adapter


def tell(adapter, kind, **fields):
    return adapter.feed(json.dumps({"type": kind, **fields}).encode())


def notices(outs):
    chunks = chunks_of(outs)
    assert not any(chunk.get("transient") for chunk in chunks)
    return [(c["data"]["code"], c["data"]["text"]) for c in chunks if c["type"] == "data-notice"]


CHANGED = {"original_model": "opus", "fallback_model": "sonnet"}
FULL = {"error_code": "ENOSPC"}
LONG = {"total_chars": 50_000, "total_limit_chars": 40_000}


@pytest.mark.parametrize(
    ("subtype", "fields", "code", "words"),
    [
        pytest.param("informational", {"content": "Be careful."}, "warning", "Be careful."),
        pytest.param("model_fallback", CHANGED, "model_changed", "sonnet instead of opus"),
        pytest.param("model_fallback", {"content": "Told."}, "model_changed", "Told."),
        pytest.param("model_refusal_fallback", CHANGED, "model_changed", "sonnet instead of opus"),
        pytest.param("late_allow_not_run", {"reason": "expired"}, "not_run", "had expired"),
        pytest.param("late_allow_not_run", {"reason": "new"}, "not_run", "came too late"),
        pytest.param("session_writes_lost", FULL, "session_not_saved", "disk of the machine"),
        pytest.param("instruction_size_warning", LONG, "instructions_long", "50,000 characters"),
        pytest.param("file_attachments_missing", {"missing": [{}]}, "files_missing", "1 attached"),
        pytest.param(
            "notification", {"text": "Look.", "priority": "high"}, "warning", "Look.", id="urgent"
        ),
        pytest.param("compact_boundary", {}, "compacted", "The conversation was shortened."),
        pytest.param(
            "compact_boundary",
            {"compact_metadata": {"pre_tokens": 120_000, "post_tokens": 2_000}},
            "compacted",
            "120,000 tokens became 2,000",
        ),
        pytest.param("status", {"compact_result": "failed"}, "compact_failed", "not be shortened"),
    ],
)
def test_what_a_person_should_know_is_kept(adapter, subtype, fields, code, words):
    ((told, text),) = notices(tell(adapter, "system", subtype=subtype, **fields))

    assert told == code
    assert words in text


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"subtype": "status", "status": "requesting"}, id="a request"),
        pytest.param({"subtype": "notification", "text": "Tip", "priority": "low"}, id="a tip"),
        pytest.param({"subtype": "informational"}, id="nothing to say"),
        pytest.param({"subtype": "commands_changed"}, id="of no use here"),
    ],
)
def test_the_rest_is_quiet(adapter, fields):
    assert tell(adapter, "system", **fields) == []


def test_an_mcp_server_that_can_not_be_used_is_told_once(adapter):
    servers = [
        {"name": "away", "status": "failed"},
        {"name": "locked", "status": "needs-auth"},
        {"name": "fine", "status": "connected"},
    ]
    init = {"subtype": "init", "session_id": "s", "mcp_servers": servers}

    outs = tell(adapter, "system", **init) + tell(adapter, "system", **init)

    assert [code for code, _ in notices(outs)] == ["mcp_server", "mcp_server"]


def test_a_refused_key_ends_the_turn_at_the_first_try(adapter):
    retry = {"attempt": 1, "max_retries": 10, "error": "authentication_failed"}
    outs = tell(adapter, "system", subtype="api_retry", error_status=401, **retry)

    (fail,) = (out for out in outs if isinstance(out, Fail))
    assert "401" in fail.message or "key" in fail.message
    assert any(b'"interrupt"' in out.line for out in outs if isinstance(out, Write))
    assert one(chunks_of(outs), "data-retry")["data"]["status"] == 401


@pytest.mark.parametrize(("error", "status"), [("rate_limit", 429), ("overloaded", 529)])
def test_other_retries_go_on(adapter, error, status):
    outs = tell(adapter, "system", subtype="api_retry", error_status=status, error=error)

    assert types_of(chunks_of(outs)) == ["data-retry"]


def test_words_that_come_again_are_announced(adapter):
    def event(kind, **fields):
        return tell(adapter, "stream_event", event={"type": kind, **fields})

    event("message_start", message={"id": "m"})
    event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": "I begin"})

    outs = tell(adapter, "system", subtype="api_retry", error="unknown")

    assert [code for code, _ in notices(outs)] == ["repeated"]


def test_compacting_answers_something(adapter):
    outs = tell(adapter, "system", subtype="compact_boundary")
    outs += tell(adapter, "result", num_turns=0)

    assert text_of(chunks_of(outs)) == "The conversation was shortened."


@pytest.mark.parametrize(
    ("result", "said"),
    [
        pytest.param({"stop_reason": "refusal"}, "", id="as the reason to stop"),
        pytest.param({"is_error": True}, "It said: It could do harm.", id="as an error"),
    ],
)
def test_a_refusal_of_the_model_ends_the_turn_in_words(adapter, result, said):
    if said:
        explained = {"api_refusal_explanation": "It could do harm."}
        tell(adapter, "system", subtype="model_refusal_no_fallback", **explained)
    outs = tell(adapter, "result", **result)

    (failure,) = [out for out in outs if isinstance(out, Fail)]
    assert failure == Fail("model_refused", f"The model refused to answer this. {said}".strip())


def test_a_form_of_an_mcp_server_is_cancelled_and_told(adapter):
    request = {"subtype": "elicitation", "mcp_server_name": "shop", "message": "Which size?"}
    outs = tell(adapter, "control_request", request_id="q", request=request)

    (answer,) = (json.loads(out.line) for out in outs if isinstance(out, Write))
    assert answer["response"]["response"] == {"action": "cancel"}
    assert notices(outs) == [("mcp_server", "shop wanted to ask you: Which size?")]


def test_the_context_at_the_end_of_the_turn_is_told(adapter):
    for tokens in (50, 70):
        usage = {"input_tokens": tokens, "output_tokens": 5}
        tell(adapter, "stream_event", event={"type": "message_delta", "usage": usage})

    outs = tell(adapter, "result", usage={"input_tokens": 120, "output_tokens": 10})

    check_turn(adapter.begin(turn("next")) + tell(adapter, "result"))
    assert one(chunks_of(outs), "finish")["messageMetadata"]["usage"]["contextUsed"] == 75
