"""Error codes and sentences for failed turns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agents.harness.failures import Facts, classify
from agents.harness.lines import text_of
from mesh import agent_programs

_PROGRAM = agent_programs.get("claude-code")
FACTS = Facts(title=_PROGRAM.title, sign_in=_PROGRAM.sign_in_at("there"))
# The program's messages about a conversation that it does not have.
_UNKNOWN_SESSION = ("No conversation found", "--resume requires a valid session")


def is_unknown_session(text: str) -> bool:
    return any(words in text for words in _UNKNOWN_SESSION)


def errors_of(result: dict[str, Any]) -> str:
    """Return the program's own error message."""
    errors = result.get("errors")
    listed = [e for e in errors if isinstance(e, str)] if isinstance(errors, list) else []
    return text_of(result, "result") or "\n".join(listed)


def was_interrupted(result: dict[str, Any]) -> bool:
    return text_of(result, "terminal_reason").startswith("aborted")


def failure_of(result: dict[str, Any], model: str = "") -> tuple[str, str]:
    """Return code and sentence of a ``result`` line with ``is_error``; ``model`` was asked for.

    ``subtype`` does not help: "Not logged in" comes as a success.
    """
    failure = classify(
        replace(FACTS, model=model),
        words=errors_of(result) or text_of(result, "subtype"),
        status=result.get("api_error_status"),
        is_provider=text_of(result, "terminal_reason") == "api_error",
    )
    return failure.code, failure.sentence
