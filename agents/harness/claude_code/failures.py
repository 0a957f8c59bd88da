"""Error codes and sentences for failed turns."""

from __future__ import annotations

from typing import Any

from agents.harness.lines import text_of
from mesh import agent_programs

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


def failure_of(result: dict[str, Any]) -> tuple[str, str]:
    """Return code and sentence of a ``result`` line with ``is_error``.

    ``subtype`` does not help: "Not logged in" comes as a success.
    """
    words = errors_of(result)
    status = result.get("api_error_status")
    if "/login" in words:
        return "not_signed_in", agent_programs.get("claude-code").not_signed_in()
    if isinstance(status, int) or text_of(result, "terminal_reason") == "api_error":
        named = (
            f" (status {status})" if isinstance(status, int) and str(status) not in words else ""
        )
        return (
            "model_api_error",
            f"The model's provider refused: {words or 'no reason given'}{named}",
        )
    return "harness_failed", f"Claude Code stopped: {words or text_of(result, 'subtype')}"
