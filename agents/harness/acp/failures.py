"""Error codes and sentences for failed turns."""

from __future__ import annotations

from typing import Any

from agents.harness.acp.agents import Agent
from agents.harness.lines import as_object, object_of, text_of
from mesh.agent_programs import not_signed_in

AUTH_REQUIRED = -32000


def failure_of(agent: Agent, error: dict[str, Any]) -> tuple[str, str]:
    """Return code and sentence of a request that the agent refused."""
    code, words = error.get("code"), words_of(error)
    if code == AUTH_REQUIRED:
        return "not_signed_in", not_signed_in(agent.title, agent.sign_in)
    is_status = isinstance(code, int) and 400 <= code < 600
    if is_status or text_of(object_of(error, "data"), "errorName") == "APIError":
        named = f" (status {code})" if is_status and str(code) not in words else ""
        return "model_api_error", f"The model's provider refused: {words}{named}"
    return "harness_failed", f"{agent.title} stopped: {words}"


def words_of(error: dict[str, Any]) -> str:
    """Return the error message of the agent, or of the provider."""
    message = text_of(error, "message").removeprefix("Internal error: ")
    if body := as_object(message.encode()):  # some agents pass on the provider's body
        message = text_of(object_of(body, "error"), "message") or message
    details = text_of(object_of(error, "data"), "details")
    return (
        details if message in ("", "Internal error") and details else message or "no reason given"
    )
