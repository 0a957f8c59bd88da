"""Error codes and sentences for failed requests to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Trouble:
    """The facts of a failure.

    ``kinds`` are the names of the error's classes in the model library, the most specific first;
    ``message`` is the provider's own, cleaned of any key, never its whole response.
    """

    kinds: tuple[str, ...]
    status: int | None = None
    message: str = ""


# The library's class → our code. The first match counts, from the most specific class on.
_KINDS: Final[dict[str, str]] = {
    "AddressRefused": "address_refused",
    "TemperatureIgnored": "temperature_unsupported",  # ours, as AddressRefused is
    "ModelAuthenticationError": "key_refused",
    "ModelQuotaExceededError": "quota_exceeded",
    "ModelRateLimitError": "rate_limited",
    "ModelOverloadedError": "provider_overloaded",
    "ModelUnavailableError": "provider_overloaded",
    "ModelServerError": "provider_failed",
    "ModelContextWindowExceededError": "context_too_long",
    "ModelNotFoundError": "model_unknown",
    "UserError": "model_unknown",  # the library knows no such model
    "ModelTimeoutError": "model_timeout",
    "ModelRequestTimeout": "model_timeout",
    "TimeoutError": "model_timeout",
    "ModelConnectionError": "model_unreachable",
    "ContentFilterError": "model_refused",
    "OutputTokenLimitExceeded": "output_too_long",
    "UsageLimitExceeded": "too_many_steps",
    "UnexpectedModelBehavior": "bad_answer",
    "BadAnswer": "bad_answer",  # ours, as the next one is
    "ModelConfused": "model_confused",  # ours: see threads.decopilot.engine
    "ModelRequestRejectedError": "request_refused",
}
# Fallback by status, with the same meaning for every provider.
_STATUSES: Final[dict[int, str]] = {
    401: "key_refused",
    402: "quota_exceeded",
    403: "key_refused",
    404: "model_unknown",
    408: "model_timeout",
    413: "context_too_long",
    429: "rate_limited",
    503: "provider_overloaded",
    504: "model_timeout",
    529: "provider_overloaded",
}
_SENTENCES: Final[dict[str, str]] = {
    "address_refused": "The address of {who} is not public, and this server's operator has not"
    " allowed it.",
    "temperature_unsupported": "The model accepts no temperature.",
    "key_refused": "{who} refused the organization's key.",
    "quota_exceeded": "The organization's account at {who} has no credit left.",
    "rate_limited": "{who} accepts no more requests from this key for now.",
    "provider_overloaded": "{who} is overloaded.",
    "provider_failed": "{who} failed on its side.",
    "context_too_long": "This conversation is too long for the model.",
    "model_unknown": "{who} does not know the model, or this key may not use it.",
    "model_timeout": "{who} did not answer in time.",
    "model_unreachable": "{who} could not be reached.",
    "model_refused": "The model refused to answer.",
    "output_too_long": "The answer is longer than the model allows.",
    "too_many_steps": "The agent took too many steps without finishing.",
    "bad_answer": "{who} sent an answer that can't be read.",
    "model_confused": "{who} sent invalid tool calls, so none was run.",
    "request_refused": "{who} refused the request.",
    "agent_failed": "Decopilot failed on this message.",
}
# Codes for which the provider's own message adds nothing for people.
_SILENT: Final = ("address_refused", "agent_failed", "too_many_steps")


def failure_of(trouble: Trouble, *, who: str) -> tuple[str, str]:
    """Return code and sentence of a failure; ``who`` is the provider, such as ``Anthropic``."""
    code = _code_of(trouble)
    sentence = _SENTENCES[code].format(who=who or "The model's provider")
    if trouble.message and code not in _SILENT:
        sentence = f"{sentence} It said: {trouble.message}"
    return code, sentence


def _code_of(trouble: Trouble) -> str:
    for kind in trouble.kinds:
        if kind in _KINDS:
            return _KINDS[kind]
    if trouble.status is not None:
        by_class = "provider_failed" if trouble.status >= 500 else "request_refused"
        return _STATUSES.get(trouble.status, by_class)
    return "agent_failed"
