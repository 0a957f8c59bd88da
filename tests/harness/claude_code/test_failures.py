"""What a failed turn is called."""

import pytest

from agents.harness.claude_code.failures import failure_of, is_unknown_session


@pytest.mark.parametrize(
    ("result", "code", "words"),
    [
        pytest.param(
            {"subtype": "success", "result": "Not logged in · Please run /login"},
            "not_signed_in",
            "type /login",
            id="not signed in",
        ),
        pytest.param(
            {"result": "OAuth token revoked · Please run /login", "api_error_status": 401},
            "not_signed_in",
            "type /login",
            id="signed out meanwhile",
        ),
        pytest.param(
            {"result": "Invalid API key", "api_error_status": 401},
            "agent_key_refused",
            "Invalid API key (status 401)",
            id="a key refused",
        ),
        pytest.param(
            {"result": "API Error: 529 Overloaded", "api_error_status": 529},
            "provider_overloaded",
            "API Error: 529 Overloaded",
            id="overloaded",
        ),
        pytest.param(
            {"terminal_reason": "api_error", "result": "Connection lost"},
            "provider_unreachable",
            "Connection lost",
            id="without a status",
        ),
        pytest.param(
            {"subtype": "error_max_turns", "errors": ["Reached 5 turns"]},
            "harness_failed",
            "Reached 5 turns",
            id="the program's own limit",
        ),
        pytest.param(
            {"subtype": "error_max_turns"}, "harness_failed", "error_max_turns", id="no words"
        ),
        pytest.param({"errors": "odd", "result": 7}, "harness_failed", "", id="odd"),
    ],
)
def test_failure(result, code, words):
    found, sentence = failure_of(result)

    assert found == code
    assert words in sentence


def test_a_model_that_is_not_available_is_named():
    words = "There's an issue with the selected model. It may not exist."

    code, sentence = failure_of({"result": words, "api_error_status": 404}, "opus")

    assert code == "model_unavailable"
    assert sentence.startswith("The model opus is not available to this account.")


@pytest.mark.parametrize(
    ("text", "is_it"),
    [
        ("No conversation found with session ID: 1", True),
        ("Error: --resume requires a valid session ID or session title when used", True),
        ("Not logged in", False),
        ("", False),
    ],
)
def test_unknown_session(text, is_it):
    assert is_unknown_session(text) is is_it
