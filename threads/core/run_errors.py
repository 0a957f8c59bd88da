"""Why a run ended badly, in words: for each code a sentence and what to do next."""

from __future__ import annotations

from typing import Final

_AGAIN: Final = "Send the message again."

# The sentence is used when the sandbox or the agent gave none of its own.
_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "stream_truncated": ("The agent's stream ended in the middle.", _AGAIN),
    "sandbox_died": ("The sandbox was ended while the agent worked.", _AGAIN),
    "sandbox_failed": (
        "The sandbox could not be started on the machine.",
        "Look into the sandbox's log on that machine, then send the message again.",
    ),
    "sandbox_down": ("The sandbox on the machine does not answer.", _AGAIN),
    "harness_crashed": ("The agent's program ended unexpectedly.", _AGAIN),
    "not_signed_in": (
        "The agent is not signed in on the machine.",
        "Sign in there, such as with `claude auth login`, then send the message again.",
    ),
    "cli_missing": (
        "The agent's program is not installed on the machine.",
        "Install it there, then send the message again.",
    ),
    "model_api_error": ("The model's provider refused the request.", "Wait a little. " + _AGAIN),
    "journal_broken": (
        "The sandbox could not write its journal.",
        "Look whether that machine's disk is full.",
    ),
    "journal_full": (
        "The sandbox's journal is full.",
        "Let the server catch up, then send the message again.",
    ),
    "tombstoned": ("The run was stopped before it began.", _AGAIN),
    "owner_lost": (
        "The process that worked on the answer was lost, again and again.",
        "Look into the log of the worker that ended, then send the message again.",
    ),
    "stale_fence": (
        "The machine knows a newer attempt of this run than the server does.",
        "The server's database was set back to an older copy. " + _AGAIN,
    ),
    "answer_too_large": (
        "The answer became too large to be kept whole.",
        "Its beginning is stored, and the sandbox has the files. Ask for less at once.",
    ),
    "answer_not_kept": (
        "The database could not keep the answer.",
        "The server's log says why. Ask for less at once.",
    ),
    "link_removed": (
        "The machine this chat runs on is no longer linked.",
        "Link it again with deco_link, or start a new chat.",
    ),
    "stuck": (
        "The agent said nothing for too long, so it was ended.",
        "Look on the machine whether its program hangs, then send the message again.",
    ),
    "expired": (
        "The machine did not come back in time, so the message was not sent to it.",
        "Send it again when the machine is online.",
    ),
    "withdrawn": (
        "The message was withdrawn before it went out.",
        "Nothing is to be done.",
    ),
    "internal_error": ("Something went wrong on the server.", "Try again; it was logged."),
}


def explain(code: str, text: str = "") -> tuple[str, str]:
    """Return the sentence and the hint for a run's error ``code``; ``text`` goes first."""
    sentence, hint = _TEXTS.get(code, ("The run failed.", _AGAIN))
    return text or sentence, hint
