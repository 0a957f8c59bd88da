"""Error texts of runs: for each code a sentence and what to do next."""

from __future__ import annotations

from typing import Final

# The code of a run whose message was withdrawn before it went out: pages show neither.
WITHDRAWN: Final = "withdrawn"

_AGAIN: Final = "Send the message again."
_PROVIDERS: Final = "Ask an admin to check the settings under AI providers, then send it again."

# Codes of runs whose message and answer no model is sent again: it would refuse what follows, too.
REFUSED: Final = ("model_refused", "content_filtered", "file_refused")

# The sentence is used when the sandbox or the agent gave none of its own.
_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "stream_truncated": ("The connection to the agent broke.", _AGAIN),
    "upload_stalled": (
        "The connection to the machine stalled while the message was sent.",
        "Check the machine's network. " + _AGAIN,
    ),
    "no_answer": (
        "The sandbox did not answer in time.",
        "Check whether its machine is busy. " + _AGAIN,
    ),
    "answered_elsewhere": (
        "The agent continued without your answer, so it was stopped.",
        "Something on its machine answered in your place. Check what its last steps did, and"
        " update the link program there.",
    ),
    "sandbox_died": (
        "The sandbox stopped while the agent was working.",
        "Check what its last steps did, then send the message again.",
    ),
    "sandbox_failed": (
        "The sandbox could not be started on the machine.",
        "Check the sandbox's log on that machine, then send the message again.",
    ),
    "sandbox_deleted": ("The sandbox was stopped while it started.", _AGAIN),
    "sandbox_down": ("The sandbox on the machine does not answer.", _AGAIN),
    "harness_crashed": ("The agent's program ended unexpectedly.", _AGAIN),
    "not_signed_in": (
        "The agent is not signed in on the machine.",
        "Sign in there, then send the message again.",
    ),
    "cli_missing": (
        "The agent's program is not installed on the machine.",
        "Install it there, then send the message again.",
    ),
    "level_unavailable": (
        "The agent can't plan without changing anything.",
        "Choose “Ask before edit” or another agent, then send the message again.",
    ),
    "level_not_held": (
        "The agent did not switch to the approval level, so nothing was sent to it.",
        "Send the message again. If it happens again, choose another level or another agent.",
    ),
    "project_runs_programs": (
        "The project contains programs that this agent would run without asking you.",
        "Remove them, choose another agent, or send the message with “Auto approve”.",
    ),
    "agent_key_refused": (
        "The model's provider refused the agent's key or sign-in.",
        "Sign in again on the machine, or set another key there and start the link anew. " + _AGAIN,
    ),
    "usage_limit": (
        "The limit of the agent's plan is reached.",
        "Wait until it resets, or choose another agent. Nothing has to be signed in again.",
    ),
    "context_full": (
        "This conversation is too long for the model.",
        "Send the message again: the agent shortens the conversation first.",
    ),
    "model_refused": (
        "The model refused to answer.",
        "Say it in other words. The chat goes on: your message and this answer are left out of what"
        " the model is sent from now on.",
    ),
    "file_refused": (
        "The model's provider refused a picture.",
        "Send the message again without it. The chat goes on: this message and its answer are left"
        " out of what the model is sent from now on.",
    ),
    "model_unavailable": (
        "The model is not available to the agent's account.",
        "Choose another tier or model, then send the message again.",
    ),
    "provider_unreachable": (
        "The model's provider could not be reached from the machine.",
        "Check the machine's network, its proxy and its certificates. " + _AGAIN,
    ),
    "harness_too_old": (
        "The agent's program is too old.",
        "Update it on the machine, then send the message again.",
    ),
    "harness_failed": (
        "The agent's program stopped.",
        "Send the message again. If it stops again, run the program in a terminal there.",
    ),
    "disk_full": (
        "The disk of the machine is full.",
        "Free some space there, then send the message again.",
    ),
    "model_api_error": ("The model's provider refused the request.", "Wait a moment. " + _AGAIN),
    "request_refused": (
        "The model's provider refused the request.",
        "It would be refused again: change the message, or choose another tier.",
    ),
    # For models that the organization's own key pays for.
    "no_model": ("No model is set for this tier.", _PROVIDERS),
    "key_refused": ("The model's provider refused the organization's key.", _PROVIDERS),
    "key_unreadable": ("The key can't be decrypted with the server's encryption keys.", _PROVIDERS),
    "quota_exceeded": (
        "The organization's account has no credit left.",
        "Add credit there, or choose another model in the settings under AI providers.",
    ),
    "rate_limited": (
        "The model's provider accepts no more requests for now.",
        "Wait a minute. " + _AGAIN,
    ),
    "provider_overloaded": ("The model's provider is overloaded.", "Wait a minute. " + _AGAIN),
    "provider_failed": (
        "The model's provider failed on its side.",
        "Wait a moment. " + _AGAIN,
    ),
    "model_unknown": ("The provider does not know the model.", _PROVIDERS),
    "model_timeout": ("The model's provider did not answer in time.", _AGAIN),
    "model_unreachable": (
        "The model's provider could not be reached.",
        "Check the server's network. " + _AGAIN,
    ),
    "address_refused": ("The provider's address is not public.", _PROVIDERS),
    "temperature_unsupported": (
        "The model does not accept a temperature.",
        "Send the message without one, or choose another tier.",
    ),
    "context_too_long": (
        "This conversation is too long for the model.",
        "Shorten the message, start a new chat, or choose another tier.",
    ),
    "content_filtered": ("The provider stopped the answer.", "Rephrase the message."),
    "output_too_long": (
        "The answer is longer than the model allows.",
        "Ask for part of it.",
    ),
    "too_many_steps": (
        "The agent took too many steps without finishing.",
        "Say what to do next, in smaller steps.",
    ),
    "bad_answer": (
        "The model's provider sent an answer that can't be read.",
        "Try again, or choose another tier. An admin can check its address.",
    ),
    "model_confused": (
        "The model's tool calls are invalid: too many at the same time, or two with the same id.",
        "Try again, or choose another tier.",
    ),
    "agent_failed": ("Decopilot failed on this message.", "Try again; the error was logged."),
    "journal_broken": (
        "The sandbox could not write its journal.",
        "Check whether that machine's disk is full.",
    ),
    "journal_full": (
        "The sandbox's journal is full.",
        "Wait until the server has caught up, then send the message again.",
    ),
    "tombstoned": ("The run was stopped before it started.", _AGAIN),
    "owner_lost": (
        "The process that worked on the answer died several times.",
        "Check the log of the worker that died, then send the message again.",
    ),
    "stale_fence": (
        "The machine knows a newer attempt of this run than the server does.",
        "The server's database was restored from an older copy. " + _AGAIN,
    ),
    "answer_too_large": (
        "The answer is too large to be stored whole.",
        "Its start is stored, and the sandbox has the files. Ask for less in one message.",
    ),
    "answer_not_kept": (
        "The database could not store the answer.",
        "The server's log says why. Ask for less in one message.",
    ),
    "link_removed": (
        "The machine this chat runs on is no longer linked.",
        "Link it again with deco_link, or start a new chat.",
    ),
    "stuck": (
        "The agent sent nothing for too long, so it was stopped.",
        "Check on the machine whether its program hangs, then send the message again.",
    ),
    "expired": (
        "The machine did not come back in time, so the message was not sent to it.",
        "Send it again when the machine is online.",
    ),
    "waits_for_worker": (
        "No worker of this server has taken the message yet.",
        "It is sent as soon as one does.",
    ),
    "no_worker": (
        "No worker of this server took the message in time.",
        "Tell the server's operator that its worker is down or overloaded. " + _AGAIN,
    ),
    WITHDRAWN: (
        "The message was withdrawn before it was sent.",
        "You need not do anything.",
    ),
    "internal_error": ("Something went wrong on the server.", "Try again; the error was logged."),
}


# For runs that can't be reached at the moment and are retried.
_RESTING: Final = {
    "link_offline": "Your machine is not connected. The answer arrives when it is back online.",
    "timestamp_drift": (
        "Your machine's clock is wrong, so it refuses requests. The answer arrives when the clock"
        " is right."
    ),
    "sandbox_down": "The sandbox does not answer. Trying again…",
    "upload_stalled": "The connection to your machine has stalled. Trying again…",
    "no_answer": "The sandbox did not answer in time. Trying again…",
    "stream_truncated": "The connection to the sandbox keeps breaking. Trying again…",
}


def explain_rest(code: str) -> str:
    """Return why a run can't be reached at the moment, and what happens next."""
    return _RESTING.get(code, "The sandbox accepts no requests at the moment. Trying again…")


def explain(code: str, text: str = "", *, instead: str = "") -> tuple[str, str]:
    """Return the sentence and the hint for a run's error ``code``; ``text`` takes precedence. The
    hint names the tier that may answer ``instead``."""
    sentence, hint = _TEXTS.get(code, ("The run failed.", _AGAIN))
    if instead:
        hint = f"Choose “{instead}”, or another tier or model, then send the message again."
    return text or sentence, hint
