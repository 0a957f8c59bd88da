from __future__ import annotations

import pytest

from agents.harness.codex.failures import failure_of, is_cut_off, refusal_of, words_of


def error(message="no", info=None):
    return {"message": message, "codexErrorInfo": info}


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        pytest.param(error(info="unauthorized"), "not_signed_in", "codex login", id="signed out"),
        pytest.param(
            error("Try again at 5.", "usageLimitExceeded"), "usage_limit", "Try again", id="limit"
        ),
        pytest.param(
            error(info="contextWindowExceeded"), "context_full", "sent again", id="too long"
        ),
        pytest.param(error("bwrap", "sandboxError"), "harness_failed", "bwrap", id="sandbox"),
        pytest.param(
            error("Overloaded", {"httpConnectionFailed": {"httpStatusCode": 529}}),
            "provider_overloaded",
            "Overloaded (status 529)",
            id="status",
        ),
        pytest.param(
            error("status 401: no", {"httpConnectionFailed": {"httpStatusCode": 401}}),
            "agent_key_refused",
            "It said: status 401: no",
            id="status said already",
        ),
        pytest.param(error(info={"new": 1}), "model_api_error", "no", id="an error of next year"),
        pytest.param({}, "model_api_error", "no reason given", id="nothing said"),
    ],
)
def test_what_a_failed_turn_is_called(given, code, words):
    named, sentence = failure_of(given)

    assert named == code
    assert words in sentence


def test_a_model_that_is_not_available_is_named():
    words = "The model `big` does not exist or you do not have access to it."

    found = [failure_of(error(words), "big"), refusal_of("turn/start", error(words), "big")]

    for code, sentence in found:
        assert code == "model_unavailable"
        assert sentence.startswith("The model big is not available to this account.")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('{"error": {"message": "As told."}}', "As told."),
        ("bad, url: http://127.0.0.1:1/v1/responses", "bad"),
        ('{"error": 1}', '{"error": 1}'),
    ],
)
def test_the_providers_words_without_the_wrapping(message, words):
    assert words_of({"message": message}) == words


def test_the_models_limit_has_its_own_code():
    assert is_cut_off(error("Incomplete response returned, reason: max_output_tokens"))
    assert not is_cut_off(error("no"))
