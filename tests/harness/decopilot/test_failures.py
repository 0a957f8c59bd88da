"""What a failed request to a model is called, and what people read of it."""

from __future__ import annotations

import pytest

from agents.harness.decopilot.failures import Trouble, failure_of


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (Trouble(("ModelAuthenticationError", "ModelHTTPError"), 401), "key_refused"),
        (Trouble(("ModelRateLimitError",), 429), "rate_limited"),
        (Trouble(("ModelOverloadedError", "ModelUnavailableError"), 529), "provider_overloaded"),
        (Trouble(("ModelTimeoutError", "ModelConnectionError")), "model_timeout"),
        (Trouble(("ModelConnectionError",)), "model_unreachable"),
        (Trouble(("ModelContextWindowExceededError",), 400), "context_too_long"),
        (Trouble(("AddressRefused",)), "address_refused"),
        (Trouble(("ModelHTTPError",), 402), "quota_exceeded"),
        (Trouble(("ModelHTTPError",), 529), "provider_overloaded"),
        (Trouble(("ModelHTTPError",), 500), "provider_failed"),
        (Trouble(("ModelHTTPError",), 418), "request_refused"),
        (Trouble(("KeyError", "Exception")), "agent_failed"),
    ],
)
def test_each_failure_has_its_code(trouble, code):
    found, sentence = failure_of(trouble, who="Anthropic")

    assert found == code
    assert sentence.endswith(".")


def test_the_provider_s_own_sentence_comes_after_ours():
    trouble = Trouble(("ModelAuthenticationError",), 401, "invalid x-api-key")

    assert failure_of(trouble, who="Anthropic") == (
        "key_refused",
        "Anthropic refused the organization's key. It said: invalid x-api-key",
    )


def test_internal_errors_are_not_shown():
    trouble = Trouble(("KeyError",), None, "secret detail")

    assert "secret" not in failure_of(trouble, who="X")[1]
