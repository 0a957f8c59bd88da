"""Error codes and sentences for failed turns."""

from __future__ import annotations

import re
from typing import Any

from agents.harness.lines import as_object, object_of, text_of
from mesh import agent_programs

NOT_READ_ONLY = (
    "This version of Codex can't be restricted to reading. Update it on that machine: "
    f"{agent_programs.get('codex').install}"
)
TOO_LONG = "The conversation is too long for the model. Start a new chat to continue."

_ADDRESS = re.compile(r",? ?\(?url: \S+")


def is_cut_off(error: dict[str, Any]) -> bool:
    """Return whether the answer only reached the model's length limit."""
    return "max_output_tokens" in text_of(error, "message")


def failure_of(error: dict[str, Any]) -> tuple[str, str]:
    """Return code and sentence of a turn's error."""
    kind, status = _kind(error.get("codexErrorInfo"))
    words = words_of(error)
    if kind == "unauthorized":
        return "not_signed_in", agent_programs.get("codex").not_signed_in()
    if kind == "usageLimitExceeded":
        return "usage_limit", f"The limit of the Codex account is reached: {words}"
    if kind == "contextWindowExceeded":
        return "context_full", TOO_LONG
    if kind == "sandboxError":
        return "harness_failed", f"Codex stopped: {words}"
    named = f" (status {status})" if status is not None and str(status) not in words else ""
    return "model_api_error", f"The model's provider refused: {words}{named}"


def refusal_of(method: str, error: dict[str, Any]) -> tuple[str, str]:
    """Return code and sentence of our request that the program refused."""
    return "harness_failed", f"Codex refused {method}: {words_of(error)}"


def words_of(error: dict[str, Any]) -> str:
    """Return the provider's own message, without its URL."""
    message = text_of(error, "message")
    if body := as_object(message.encode()):  # some messages are the provider's body
        message = text_of(object_of(body, "error"), "message") or message
    return _ADDRESS.sub("", message).strip() or "no reason given"


def _kind(info: Any) -> tuple[str, int | None]:
    """Return the error's name and its HTTP status, if it has one."""
    if isinstance(info, str):
        return info, None
    if not isinstance(info, dict) or not info:
        return "", None
    name = next(iter(info))
    status = object_of(info, name).get("httpStatusCode")
    return name, status if isinstance(status, int) else None
