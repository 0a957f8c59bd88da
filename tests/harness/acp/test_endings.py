"""Failures and retries that an agent sends as the model's words."""

from __future__ import annotations

import json

import pytest

from agents.harness import ADAPTERS
from agents.harness.acp.failures import words_of
from agents.harness.base import Fail
from tests.harness.driver import chunks_of, one, text_of, turn
from tests.harness.shapes import check_turn

RETRY = "Info: Request failed due to a transient API error. Retrying..."
REFUSED = "Error: Authentication failed with provider at http://x/v1 (HTTP 401).\n  Check it."
GONE = "Error: Failed to get response from the AI model; retried 5 times Last error: 529 Overloaded"
NOT_FOUND = "Error: Model 'm' not found on provider at http://x/v1 (HTTP 404).\n  Check that it is."
TOO_LONG = (
    "Error: The provider rejected the prompt as too long, but automatic recovery could not reduce"
    " it."
)
UNREACHABLE = (
    "Error: Could not connect to local model provider at http://x/v1.\n  Check that it is."
)
GONE_AGAIN = "Error: Failed to get response from the AI model; retried 5 times Last error:"
CUT = "Info: Response was interrupted due to a server error. Retrying..."
SHORTENED = (
    "Info: The conversation exceeded the model's context limit. Compacting history and retrying..."
)


@pytest.fixture
def adapter():
    adapter = ADAPTERS["acp:copilot"]()
    adapter.begin(turn("hi"))
    tell(adapter, id=1, result={})
    tell(adapter, id=2, result={"sessionId": "s"})
    return adapter


def tell(adapter, **message):
    return adapter.feed(json.dumps({"jsonrpc": "2.0"} | message).encode())


def update(adapter, kind, **fields):
    params = {"sessionId": "s", "update": {"sessionUpdate": kind} | fields}
    return tell(adapter, method="session/update", params=params)


def say(adapter, text):
    return update(adapter, "agent_message_chunk", content={"type": "text", "text": text})


def end(adapter, reason="end_turn"):
    return tell(adapter, id=3, result={"stopReason": reason})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (REFUSED, "agent_key_refused"),
        (GONE, "provider_overloaded"),
        ("Error: 400 This model's maximum context length is 1 token.", "context_too_long"),
        ("Error: 429 Too many requests.", "rate_limited"),
        (NOT_FOUND, "model_unavailable"),
        ("Error: Resource not found on provider at http://x (HTTP 404).", "model_api_error"),
        (f"{TOO_LONG} Reduce context before retrying.", "context_too_long"),
        (UNREACHABLE, "provider_unreachable"),
        (f"{GONE_AGAIN} error decoding response body: unexpected EOF", "provider_unreachable"),
    ],
)
def test_a_turn_that_ends_with_a_fixed_form_has_failed(adapter, text, code):
    outs = say(adapter, text) + update(adapter, "usage_update", used=1, size=2) + end(adapter)

    failure = next(out for out in outs if isinstance(out, Fail))
    assert failure.code == code
    assert text_of(chunks_of(outs)) == ""


@pytest.mark.parametrize("text", ["Error: the test fails.", f"It says {GONE}", "Error:"])
def test_a_model_may_speak_of_errors(adapter, text):
    outs = say(adapter, text) + end(adapter)

    assert text_of(chunks_of(outs)) == text
    assert not any(isinstance(out, Fail) for out in outs)


def test_a_turn_that_goes_on_has_not_failed(adapter):
    outs = say(adapter, GONE) + say(adapter, " is what it says.") + end(adapter)

    assert text_of(chunks_of(outs)) == f"{GONE} is what it says."
    assert chunks_of(outs)[-1]["finishReason"] == "stop"


@pytest.mark.parametrize("last", ["stopped", "crashed"])
def test_what_was_held_is_shown_when_the_turn_ends_in_another_way(adapter, last):
    outs = say(adapter, GONE)
    if last == "stopped":
        adapter.interrupt()
        outs += end(adapter, "cancelled")
    else:
        outs += adapter.ended(1, "")

    assert text_of(chunks_of(outs)) == GONE


def test_a_retry_is_told_as_one_and_not_as_words(adapter):
    outs = say(adapter, RETRY) + say(adapter, RETRY) + say(adapter, "Here.") + end(adapter)

    retries = [c["data"]["attempt"] for c in chunks_of(outs) if c["type"] == "data-retry"]
    assert (retries, text_of(chunks_of(outs))) == ([1, 2], "Here.")


def test_what_was_said_before_a_retry_stands_apart_from_what_is_said_again(adapter):
    outs = say(adapter, "I be") + say(adapter, CUT) + say(adapter, "I beg") + say(adapter, CUT)
    outs += say(adapter, "I begin.") + end(adapter)

    chunks = chunks_of(outs)
    assert text_of(chunks) == "I beI begI begin."
    assert len([c for c in chunks if c["type"] == "text-start"]) == 3
    assert one(chunks, "data-notice")["data"]["code"] == "repeated"
    assert [c["data"]["attempt"] for c in chunks if c["type"] == "data-retry"] == [1, 2]


def test_that_a_conversation_is_shortened_is_no_word_of_the_model_s(adapter):
    outs = say(adapter, SHORTENED) + say(adapter, "Here.") + end(adapter)

    assert text_of(chunks_of(outs)) == "Here."
    told = one(chunks_of(outs), "data-notice")["data"]
    assert (told["code"], told["text"]) == ("warning", SHORTENED.removeprefix("Info: "))


def test_vibe_tells_its_retries_with_a_status(adapter):
    params = {"sessionId": "s", "category": "rate_limited", "detail": "HTTP 429"}

    outs = tell(adapter, method="_session/retrying", params=params)

    told = one(chunks_of(outs), "data-retry")["data"]
    assert (told["attempt"], told["status"], told["reason"]) == (1, 429, "rate_limited")


def codex(adapter, **told):
    return update(adapter, "session_info_update", _meta={"codex": told})


def begun(kind):
    adapter = ADAPTERS[kind]()
    adapter.begin(turn("hi"))
    tell(adapter, id=1, result={})
    tell(adapter, id=2, result={"sessionId": "s"})
    return adapter


def test_the_error_of_codex_acp_is_the_text_after_a_broken_status():
    adapter = begun("acp:codex")
    outs = say(adapter, "Warning: No metadata.\n\n") + say(adapter, "Hello.\n\n")
    outs += codex(adapter, threadStatus={"type": "systemError"})

    outs += say(adapter, "last status: 429 Too Many Requests\n\n") + end(adapter)

    failure = next(out for out in outs if isinstance(out, Fail))
    assert (failure.code, text_of(chunks_of(outs))) == ("rate_limited", "Hello.\n\n")
    assert one(chunks_of(outs), "data-notice")["data"]["text"] == "No metadata."


def test_the_retries_of_codex_acp_are_told():
    info = {"responseStreamDisconnected": {"httpStatusCode": 529}}
    error = {"message": "Reconnecting... 1/5", "codexErrorInfo": info, "willRetry": True}

    told = one(chunks_of(codex(begun("acp:codex"), error=error)), "data-retry")["data"]

    assert (told["attempt"], told["of"], told["status"]) == (1, 5, 529)


def test_fast_agent_s_refusal_with_its_own_words_is_a_failure():
    adapter = begun("acp:fast-agent")
    words = "I hit an internal error while calling the model: x failed (status=401): no."

    outs = say(adapter, words) + end(adapter, "refusal")

    assert next(out for out in outs if isinstance(out, Fail)).code == "agent_key_refused"


def test_a_refusal_of_the_model_ends_the_turn_in_words():
    adapter = begun("acp:fast-agent")

    outs = say(adapter, "No.") + end(adapter, "refusal")

    failure = next(out for out in outs if isinstance(out, Fail))
    assert failure == Fail("model_refused", "The model refused to answer this.")


@pytest.mark.parametrize(
    ("code", "spoils"), [(401, True), (-31002, True), (429, False), (529, False)]
)
def test_only_a_sign_in_needs_a_new_program(code, spoils):
    adapter = ADAPTERS["acp:vibe"]()
    outs = adapter.begin(turn("hi")) + tell(adapter, id=1, result={})
    outs += tell(adapter, id=2, result={"sessionId": "s"})
    before = adapter.key(turn("hi"))

    outs += tell(
        adapter, id=3, error={"code": code, "message": "Invalid API key" if code < 0 else "no"}
    )

    check_turn(outs)
    assert (adapter.key(turn("hi")) != before) is spoils


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"message": "Internal error", "data": {"message": "The reason."}}, "The reason."),
        ({"message": "Internal error", "data": {"details": "The reason."}}, "The reason."),
        ({"message": "Internal error", "data": "The reason."}, "The reason."),
        ({"message": "Internal error: The reason."}, "The reason."),
        ({"message": "Its own.", "data": {"details": "More."}}, "Its own."),
        ({"message": 1, "data": []}, ""),
    ],
)
def test_where_the_reason_is(error, words):
    assert words_of(error) == words
