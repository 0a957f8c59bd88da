"""The choice of the agent that answers; chat-ui.md §1."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from mesh import agent_programs

CLAUDE_CODE: Final = "claude-code"
CODEX: Final = "codex"
DECOPILOT: Final = "decopilot"
DEMO: Final = "demo"

REMOTE_USER: Final = "remote-user"


def effective_harness(harness: str, *, is_local: bool, has_files: bool) -> str:
    """Return the harness that answers: Decopilot instead of a program on a machine if the agent
    has no files."""
    return DECOPILOT if is_local and not has_files else harness


def has_local_cli(*, is_online: bool, capabilities: Collection[str]) -> bool:
    """Return whether a coding agent can work on the machine now (U-F)."""
    return is_online and not set(_coding_agents()).isdisjoint(capabilities)


def default_harness(
    capabilities: Collection[str] | None,
    *,
    has_files: bool = True,
    has_any_key: bool = False,
    is_online: bool = True,
) -> str:
    """Return the harness that answers if none was picked.

    That is Claude Code, or else another coding agent of the machine; on a machine without any,
    and without a machine, Decopilot if the organization has a key. The demo comes last.
    ``capabilities`` is ``None`` without a machine.
    """
    if not has_files:
        return DECOPILOT
    if capabilities is not None and is_online:
        for kind in _coding_agents():
            if kind in capabilities:
                return kind
    if has_any_key:
        return DECOPILOT
    return CLAUDE_CODE if capabilities is None or CLAUDE_CODE in capabilities else DEMO


def _coding_agents() -> tuple[str, ...]:
    """Return the programs that are coding agents, in order of preference."""
    return tuple(each.kind for each in agent_programs.load() if each.probe is not None)


def parse_choice(value: str | None) -> tuple[str, str]:
    """Return kind and tier of a choice such as ``claude-code:smart``; empty if missing.

    A kind may have a colon of its own (``acp:gemini``), so the last one counts.
    """
    kind, colon, tier = (value or "").rpartition(":")
    return (kind, tier) if colon else ("", "")
