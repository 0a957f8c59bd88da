"""What the program reports beside its answer, as a notice for the person.

Each function takes a notification's parameters and returns a code and a sentence; ``None``:
nothing that a person should know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agents.harness.failures import plain
from agents.harness.lines import list_of, object_of, text_of
from agents.harness.mcp import SILENT

Params = dict[str, Any]
Notice = tuple[str, str]

COMPACTED: Final = ("compacted", "The conversation was shortened.")
REPEATED: Final = (
    "repeated",
    "The provider's answer broke off, so Codex asked again: what was said above is repeated.",
)
# Codex (seen in 0.169 and 0.171) reports no item for such a command.
REFUSED_UNSEEN: Final = (
    "refused_unseen",
    "A command that Codex's own sandbox refuses at once may not be shown here: Codex does not"
    " report it.",
)
# What stays the same as long as the program runs, and comes again with each turn.
LASTING: Final = frozenset({"mcp_server", "refused_unseen", "warning"})
_HOOKS: Final = {
    "blocked": "said no",
    "failed": "failed",
    "stopped": "stopped the turn",
}


def notice_of(method: str, params: Params) -> Notice | None:
    """Return the notice of a notification, if it is one."""
    tell = _NOTICES.get(method)
    return tell(params) if tell else None


def runs_on(command: str) -> Notice:
    return "runs_on", f"Still running in the background: {plain(command)}. Stop ends it."


def _message(params: Params) -> Notice | None:
    text = plain(text_of(params, "message"))
    return ("warning", text) if text else None


def _summary(params: Params) -> Notice | None:
    texts = (text_of(params, "summary"), text_of(params, "details"))
    text = plain(" ".join(text for text in texts if text))
    return ("warning", text) if text else None


def _rerouted(params: Params) -> Notice:
    before, now = text_of(params, "fromModel"), text_of(params, "toModel")
    words = f"Another model answers: {now or 'unknown'} instead of {before or 'the chosen one'}."
    return "model_changed", words


def _server(params: Params) -> Notice | None:
    if text_of(params, "status") != "failed":
        return None
    server, error = text_of(params, "name"), text_of(params, "error")
    if SILENT in error:  # Mesh itself tells it
        return None
    why = ": it does not answer" if "timed out" in error else ""
    return "mcp_server", f"Codex can't use the MCP server {server} here{why}."


def _hook(params: Params) -> Notice | None:
    run = object_of(params, "run")
    ended = _HOOKS.get(text_of(run, "status"))
    if ended is None:
        return None
    texts = [text_of(entry, "text") for entry in list_of(run, "entries")]
    why = plain("\n".join(text for text in texts if text) or text_of(run, "statusMessage"))
    event = text_of(run, "eventName")
    head = f"A {event} hook" if event else "A hook"
    return "hook", f"{head} {ended}: {why}" if why else f"{head} {ended}."


def _compacted(params: Params) -> Notice:
    return COMPACTED


def _item(params: Params) -> Notice | None:
    is_compaction = text_of(object_of(params, "item"), "type") == "contextCompaction"
    return COMPACTED if is_compaction else None


_NOTICES: Final[dict[str, Callable[[Params], Notice | None]]] = {
    "configWarning": _summary,
    "deprecationNotice": _summary,
    "guardianWarning": _message,
    "hook/completed": _hook,
    "item/completed": _item,
    "mcpServer/startupStatus/updated": _server,
    "model/rerouted": _rerouted,
    "thread/compacted": _compacted,
    "warning": _message,
}
