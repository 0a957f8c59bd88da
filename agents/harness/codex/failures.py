"""Error codes and sentences for failed turns."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from agents.harness.failures import Facts, classify, plain
from agents.harness.lines import object_of, text_of
from mesh import agent_programs

NOT_READ_ONLY = (
    "This version of Codex can't be restricted to reading. Update it on that machine: "
    f"{agent_programs.get('codex').install}"
)
_PROGRAM = agent_programs.get("codex")
# Its next turn shortens the conversation first.
FACTS = Facts(title=_PROGRAM.title, sign_in=_PROGRAM.sign_in_at("there"), compacts=True)

# It passes no refusal on; an answer without a word is all that is seen of one.
SILENT = "Codex ended without a word, as it does when the model refuses to answer."

_ATTEMPT = re.compile(r"\bReconnecting\D{1,5}(\d{1,4})/(\d{1,4})", re.ASCII)
# The address that Codex puts behind a provider's words.
ADDRESS = re.compile(r",? ?\(?url: \S+")


def is_cut_off(error: dict[str, Any]) -> bool:
    """Return whether the answer only reached the model's length limit."""
    return "max_output_tokens" in text_of(error, "message")


def failure_of(error: dict[str, Any], model: str = "") -> tuple[str, str]:
    """Return code and sentence of a turn's error; ``model`` was asked for."""
    kind, status = _kind(error.get("codexErrorInfo"))
    failure = classify(
        replace(FACTS, model=model),
        words=words_of(error),
        status=status,
        name=kind,
        is_provider=kind != "other",
    )
    return failure.code, failure.sentence


def retried_failure_of(error: dict[str, Any]) -> tuple[str, str] | None:
    """Return code and sentence of an error that no later try can mend: a refused sign-in."""
    kind, status = _kind(error.get("codexErrorInfo"))
    if kind != "unauthorized" and status != 401:
        return None
    return failure_of(error | {"message": _retried(error)})


def _retried(error: dict[str, Any]) -> str:
    """Return the words of an error whose message may only say that it is tried again."""
    return text_of(error, "additionalDetails") or text_of(error, "message")


def retry_of(error: dict[str, Any]) -> dict[str, Any]:
    """Return the retry that an error announces, as ``AnswerBuilder.retry`` takes it."""
    _, status = _kind(error.get("codexErrorInfo"))
    counted = _ATTEMPT.search(text_of(error, "message"))
    attempt, of = (int(counted[1]), int(counted[2])) if counted else (None, None)
    reason = words_of({"message": _retried(error)})
    return {"attempt": attempt, "of": of, "status": status, "reason": reason}


def refusal_of(method: str, error: dict[str, Any], model: str = "") -> tuple[str, str]:
    """Return code and sentence of our request that the program refused."""
    failure = classify(replace(FACTS, model=model), words=words_of(error))
    if failure.code == "harness_failed":
        return failure.code, f"Codex refused {method}: {words_of(error)}"
    return failure.code, failure.sentence


def words_of(error: dict[str, Any]) -> str:
    """Return the provider's own message, without its URL."""
    return ADDRESS.sub("", plain(text_of(error, "message"))).strip() or "no reason given"


def _kind(info: Any) -> tuple[str, int | None]:
    """Return the error's name and its HTTP status, if it has one."""
    if isinstance(info, str):
        return info, None
    if not isinstance(info, dict) or not info:
        return "", None
    name = next(iter(info))
    status = object_of(info, name).get("httpStatusCode")
    return name, status if isinstance(status, int) else None
