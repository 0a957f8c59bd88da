"""What the program reports beside its answer, as a notice for the person.

Each function takes a ``system`` line and returns a code and a sentence; ``None``: nothing that a
person should know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agents.harness.lines import list_of, object_of, text_of
from agents.harness.usage import count

Line = dict[str, Any]
Notice = tuple[str, str]

# Why an allowed call was not run after all; any other word means the same.
_LATE: Final = {
    "call_gone": "the agent had already given it up",
    "expired": "the question had expired",
    "turn_running": "the agent had already continued",
}
_DISK: Final = {
    "ENOSPC": "The disk of the machine is full",
    "EDQUOT": "The disk quota on the machine is used up",
}


def notice_of(message: Line) -> Notice | None:
    """Return the notice of a ``system`` line, if it is one."""
    tell = _NOTICES.get(text_of(message, "subtype"))
    return tell(message) if tell else None


def is_known(subtype: str) -> bool:
    return subtype in _NOTICES or subtype in QUIET


def _content(code: str) -> Callable[[Line], Notice | None]:
    def tell(message: Line) -> Notice | None:
        content = text_of(message, "content")
        return (code, content) if content else None

    return tell


def _model(message: Line) -> Notice:
    before, now = text_of(message, "original_model"), text_of(message, "fallback_model")
    words = f"Another model answers: {now or 'unknown'} instead of {before or 'the chosen one'}."
    return "model_changed", text_of(message, "content") or words


def _refused(message: Line) -> Notice:
    explained = text_of(message, "api_refusal_explanation") or text_of(message, "content")
    return "model_refused", explained or "The model refused to answer this."


def _late_allow(message: Line) -> Notice:
    why = _LATE.get(text_of(message, "reason"), "it came too late")
    return "not_run", f"You allowed a call that was not run: {why}."


def _lost_writes(message: Line) -> Notice:
    why = _DISK.get(text_of(message, "error_code"), "The machine could not save")
    does = "so Claude Code may not remember this part of the conversation later"
    return "session_not_saved", f"{why}, {does}."


def _instructions(message: Line) -> Notice:
    total, limit = count(message, "total_chars"), count(message, "total_limit_chars")
    words = f"The project's instructions (CLAUDE.md) have {total:,} characters"
    return "instructions_long", f"{words}, more than the {limit:,} that Claude Code recommends."


def _missing_files(message: Line) -> Notice:
    missing = len(list_of(message, "missing")) or 1
    files = "1 attached file" if missing == 1 else f"{missing} attached files"
    return "files_missing", f"Claude Code could not read {files} of your message."


def _notification(message: Line) -> Notice | None:
    text = text_of(message, "text")
    is_urgent = text_of(message, "priority") in ("high", "immediate")
    return ("warning", text) if text and is_urgent else None


def _compacted(message: Line) -> Notice:
    facts = object_of(message, "compact_metadata")
    before, after = count(facts, "pre_tokens"), count(facts, "post_tokens")
    sizes = f": {before:,} tokens became {after:,}" if before and after else ""
    return "compacted", f"The conversation was shortened{sizes}."


def _status(message: Line) -> Notice | None:
    if text_of(message, "compact_result") != "failed":
        return None
    why = text_of(message, "compact_error")
    return "compact_failed", why or "The conversation could not be shortened."


_NOTICES: Final[dict[str, Callable[[Line], Notice | None]]] = {
    "compact_boundary": _compacted,
    "file_attachments_missing": _missing_files,
    "informational": _content("warning"),
    "instruction_size_warning": _instructions,
    "late_allow_not_run": _late_allow,
    "model_consent_fallback": _model,
    "model_fallback": _model,
    "model_refusal_fallback": _model,
    "model_refusal_no_fallback": _refused,
    "notification": _notification,
    "session_writes_lost": _lost_writes,
    "status": _status,
}
# Known subtypes that readers do not need.
QUIET: Final = frozenset(
    {
        "code_change_published",
        "commands_changed",
        "control_request_progress",
        "elicitation_complete",
        "files_persisted",
        "hook_progress",
        "hook_response",
        "hook_started",
        "local_command_output",
        "memory_recall",
        "memory_saved",
        "mirror_error",
        "permission_check_status",
        "permission_retry",
        "plugin_install",
        "post_turn_summary",
        "session_state_changed",
        "task_progress",
        "task_started",
        "task_updated",
        "thinking_tokens",
        "turn_duration",
        "turn_preempted",
        "vcs_state_changed",
        "worker_shutting_down",
    }
)
