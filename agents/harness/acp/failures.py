"""Error codes and sentences for failed turns, and the failures that agents tell as text."""

from __future__ import annotations

import re
from typing import Any, Final

from agents.harness.acp.agents import Agent
from agents.harness.codex.failures import ADDRESS
from agents.harness.failures import Facts, classify
from agents.harness.lines import object_of, text_of

AUTH_REQUIRED = -32000
# Agents that shorten a conversation by themselves before the next message.
_COMPACTS: Final = frozenset({"acp:codex"})
_NOTHING: Final = ("", "Internal error", "Authentication required")

# Whole messages that an agent itself sends as the model's, and then ends the turn as if all were
# well. Only its own fixed forms: a model may write "Error: …" too.
_FAILED_TEXTS: Final[dict[str, re.Pattern[str]]] = {
    "acp:copilot": re.compile(
        r"Error: (?P<words>Authentication failed with provider at .*"
        r"|Could not connect to local model provider at .*"
        r"|(Model '[^\n]*'|Resource) not found on provider at .*"
        r"|The provider rejected the prompt as too long\b.*"
        r"|Failed to get response from the AI model; retried \d+ times.*"
        r"|[45]\d\d .*)",
        re.DOTALL,
    ),
    "acp:fast-agent": re.compile(
        r"I hit an internal error while calling the model: (?P<words>.*?)"
        r"(?: See fast-agent-error for additional details\.)?",
        re.DOTALL,
    ),
}
# codex-acp sends Codex's warnings, and the error that ended a turn, as paragraphs of the answer.
_WARNING_TEXTS: Final[dict[str, re.Pattern[str]]] = {
    "acp:codex": re.compile(r"Warning: (?P<words>[^\n]+)\n\n"),
    "acp:copilot": re.compile(
        r"(Info|Warning): (?P<words>The conversation exceeded the model's context limit\."
        r" Compacting history and retrying\.\.\."
        r"|Image input was rejected by the model\. Retrying without images; original attachments"
        r" are preserved\.)\s*"
    ),
}
_RETRY_TEXTS: Final[dict[str, re.Pattern[str]]] = {
    "acp:copilot": re.compile(
        r"Info: (Request failed due to a transient API error"
        r"|Response was interrupted due to a server error)\. Retrying\.\.\.\s*"
    ),
}


def failure_of(facts: Facts, error: dict[str, Any], said: str = "") -> tuple[str, str]:
    """Return code and sentence of a request that the agent refused; ``said`` is the last text of
    its turn, where some agents tell the reason."""
    code, data = error.get("code"), object_of(error, "data")
    named = text_of(data, "errorKind") or text_of(data, "errorName")
    words = words_of(error)
    if words in _NOTHING and said:
        words = said
    failure = classify(
        facts,
        words=words or "no reason given",
        status=code,
        # What the refused words say is more exact: a key may have been refused.
        name="auth_required" if code == AUTH_REQUIRED and not said else named,
        is_provider=text_of(data, "errorName") == "APIError",
    )
    if code == AUTH_REQUIRED and failure.code == "harness_failed":
        failure = classify(facts, words=words, name="auth_required")
    return failure.code, failure.sentence


def failure_in(agent: Agent, facts: Facts, text: str, *, is_broken: bool) -> tuple[str, str] | None:
    """Return code and sentence of the failure that a whole message is; ``None`` for any other.

    ``is_broken``: the agent has said beside its messages that the turn broke (codex-acp).
    """
    form = _FAILED_TEXTS.get(agent.kind)
    found = form.fullmatch(text.strip()) if form else None
    words = found["words"] if found else text if is_broken and text.endswith("\n\n") else ""
    if not words:
        return None
    failure = classify(facts, words=ADDRESS.sub("", words.strip()), is_provider=True)
    return failure.code, failure.sentence


def warning_in(agent: Agent, text: str) -> str:
    """Return the warning that a whole message is; empty for any other."""
    form = _WARNING_TEXTS.get(agent.kind)
    found = form.fullmatch(text) if form else None
    return found["words"] if found else ""


def is_retry(agent: Agent, text: str) -> bool:
    """Return whether a message only says that the provider is asked again."""
    form = _RETRY_TEXTS.get(agent.kind)
    return form is not None and form.fullmatch(text) is not None


def facts_of(agent: Agent, *, sign_in: str = "", model: str = "") -> Facts:
    """Return what is known of an agent: how it says one signs in, and the model that it uses."""
    way = sign_in or agent.sign_in
    return Facts(agent.title, way, model, compacts=agent.kind in _COMPACTS)


def words_of(error: dict[str, Any]) -> str:
    """Return the error message of the agent, or of the provider; empty if it gave none."""
    message = text_of(error, "message").removeprefix("Internal error: ")
    data = object_of(error, "data")
    # Some give the reason only beside the message.
    inner = text_of(data, "details") or text_of(data, "message")
    if not inner and isinstance(error.get("data"), str):
        inner = error["data"]
    return inner if inner and message in _NOTHING else message
