"""Why a run ended badly, in words: for each code a sentence and what to do next."""

from __future__ import annotations

from typing import Final

# The code of a run whose message was taken back before it went out: pages show neither.
WITHDRAWN: Final = "withdrawn"

_AGAIN: Final = "Send the message again."
_PROVIDERS: Final = "An admin looks into the settings, under AI providers; then send it again."

# The sentence is used when the sandbox or the agent gave none of its own.
_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "stream_truncated": ("The agent's stream ended in the middle.", _AGAIN),
    "upload_stalled": (
        "The connection to the machine took no more of the message.",
        "Look at the machine's network. " + _AGAIN,
    ),
    "no_answer": (
        "The sandbox did not answer in time.",
        "Look whether its machine is busy. " + _AGAIN,
    ),
    "answered_elsewhere": (
        "The agent went on without your answer, so it was stopped.",
        "Something on its machine answered in your place. See what its last steps have done, and"
        " update the link program there.",
    ),
    "sandbox_died": (
        "The sandbox was ended while the agent worked.",
        "See what its last steps have done, then send the message again.",
    ),
    "sandbox_failed": (
        "The sandbox could not be started on the machine.",
        "Look into the sandbox's log on that machine, then send the message again.",
    ),
    "sandbox_deleted": ("The sandbox was ended while it started.", _AGAIN),
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
    "project_runs_programs": (
        "The project brings programs that this agent would run without asking you.",
        "Remove them, choose another agent, or send the message with “Auto approve”.",
    ),
    "model_api_error": ("The model's provider refused the request.", "Wait a little. " + _AGAIN),
    # Of a model that the organization's own key pays for.
    "no_model": ("No model is set for this tier.", _PROVIDERS),
    "key_refused": ("The model's provider refused the organization's key.", _PROVIDERS),
    "key_unreadable": ("The key can't be opened with this server's encryption keys.", _PROVIDERS),
    "quota_exceeded": (
        "The organization's account has no credit left.",
        "Add credit there, or choose another model in the settings under AI providers.",
    ),
    "rate_limited": (
        "The model's provider takes no more requests for now.",
        "Wait a minute. " + _AGAIN,
    ),
    "provider_overloaded": ("The model's provider is overloaded.", "Wait a minute. " + _AGAIN),
    "provider_failed": (
        "The model's provider has a problem of its own.",
        "Wait a little. " + _AGAIN,
    ),
    "model_unknown": ("The provider does not know the model.", _PROVIDERS),
    "model_timeout": ("The model's provider did not answer in time.", _AGAIN),
    "model_unreachable": (
        "The model's provider could not be reached.",
        "Check the server's network. " + _AGAIN,
    ),
    "address_refused": ("The address of the provider is not public.", _PROVIDERS),
    "temperature_unsupported": (
        "The model takes no temperature.",
        "Send the message without one, or choose another tier.",
    ),
    "context_too_long": (
        "This conversation is too long for the model.",
        "Start a new chat, or choose another tier.",
    ),
    "content_filtered": ("The provider stopped the answer.", "Say it in other words."),
    "output_too_long": (
        "The answer became longer than the model can make it.",
        "Ask for a part of it.",
    ),
    "too_many_steps": (
        "The agent took too many steps without coming to an end.",
        "Say what to do next, in smaller pieces.",
    ),
    "bad_answer": (
        "The model's provider gave an answer that can't be read.",
        "Try again, or choose another tier. An admin can look whether its address is right.",
    ),
    "model_confused": (
        "The model called tools in a way that can't be followed: too many at once, or two under"
        " one id.",
        "Try again, or choose another tier.",
    ),
    "agent_failed": ("Decopilot failed on this message.", "Try again; it was logged."),
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
    "waits_for_worker": (
        "No worker of this server has taken the message yet.",
        "It goes out as soon as one does.",
    ),
    "no_worker": (
        "No worker of this server took the message in time.",
        "Tell who runs the server that its worker is missing or has too much to do. " + _AGAIN,
    ),
    WITHDRAWN: (
        "The message was withdrawn before it went out.",
        "Nothing is to be done.",
    ),
    "internal_error": ("Something went wrong on the server.", "Try again; it was logged."),
}


# Of a run that can't be reached just now, and is tried again.
_RESTING: Final = {
    "link_offline": "Your machine is not connected. The answer comes when it is back.",
    "timestamp_drift": (
        "The clock of your machine is wrong, so it takes no requests. The answer comes when the"
        " clock is right."
    ),
    "sandbox_down": "The sandbox does not answer. Trying again…",
    "upload_stalled": "The connection to your machine takes nothing more. Trying again…",
    "no_answer": "The sandbox does not answer in time. Trying again…",
    "stream_truncated": "The connection to the sandbox breaks again and again. Trying again…",
}


def explain_rest(code: str) -> str:
    """Return why a run is not followed just now, and what happens next."""
    return _RESTING.get(code, "The sandbox takes no requests just now. Trying again…")


def explain(code: str, text: str = "") -> tuple[str, str]:
    """Return the sentence and the hint for a run's error ``code``; ``text`` goes first."""
    sentence, hint = _TEXTS.get(code, ("The run failed.", _AGAIN))
    return text or sentence, hint
