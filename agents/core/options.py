"""The choice of the agent that answers; chat-ui.md §1."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlencode

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
    kind, colon, tier = (value or "").partition("?")[0].rpartition(":")
    return (kind, tier) if colon else ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fine:
    """The model and the effort of a choice, by the program's own ids; empty if not chosen."""

    model: str = ""
    effort: str = ""

    def after(self, choice: str) -> str:
        """Return ``choice`` with these: ``codex:smart?model=gpt-5.5``."""
        chosen = {"model": self.model, "effort": self.effort}
        words = urlencode({name: value for name, value in chosen.items() if value})
        return f"{choice}?{words}" if words else choice


def parse_fine(value: str | None) -> Fine:
    """Return model and effort of a choice such as ``codex:smart?model=gpt-5.5&effort=high``."""
    try:
        found = parse_qs((value or "").partition("?")[2], max_num_fields=4)
    except ValueError:
        return Fine()
    return Fine(model=found.get("model", [""])[0][:200], effort=found.get("effort", [""])[0][:40])
