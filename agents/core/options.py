"""What a person may pick, and what a pick pins; chat-ui.md §1."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from mesh import agent_programs

CLAUDE_CODE: Final = "claude-code"
CODEX: Final = "codex"
DECOPILOT: Final = "decopilot"
DEMO: Final = "demo"

REMOTE_USER: Final = "remote-user"
# Kinds of sandbox in the cloud; "cluster" is an older name that rows may still have.
CLOUD_KINDS: Final = frozenset({"agent-sandbox", "cluster", "docker"})
# Older names of the person's own machine.
_OLD_REMOTE_USER: Final = frozenset({"desktop", "user-desktop"})

# Option → (harness, kind of sandbox); no kind: the server's choice.
OPTION_PINS: Final[dict[str, tuple[str, str | None]]] = {
    "decopilot": (DECOPILOT, None),
    **{
        f"{program.kind.removeprefix('acp:')}-laptop": (program.kind, REMOTE_USER)
        for program in agent_programs.load()
    },
}


def parse_option(value: object) -> str | None:
    """Return a stored pick; ``None`` when it is none of today's, such as ``decopilot-laptop``."""
    return value if isinstance(value, str) and value in OPTION_PINS else None


def pins_for_option(option: str) -> tuple[str, str | None]:
    """Return harness and kind of sandbox of an option.

    Raises:
        KeyError: there is no such option.
    """
    return OPTION_PINS[option]


def pins_to_option(harness: str | None, kind: str | None) -> str | None:
    """Return the option of a pair; ``None`` for a pair that no option makes."""
    if kind in _OLD_REMOTE_USER:
        kind = REMOTE_USER
    if harness == DECOPILOT and kind in CLOUD_KINDS:
        kind = None
    pairs = {pair: option for option, pair in OPTION_PINS.items()}
    return pairs.get((harness, kind)) if harness else None


def effective_option(pick: str | None, *, has_files: bool) -> str | None:
    """Return the option that is shown and sent for a pick (chat-ui.md §1).

    The pick itself is kept, and counts again for the next agent that has files.
    """
    if pick is None:
        return None
    harness, kind = pins_for_option(pick)
    effective = effective_harness(harness, is_local=kind == REMOTE_USER, has_files=has_files)
    return pick if effective == harness else effective


def effective_harness(harness: str, *, is_local: bool, has_files: bool) -> str:
    """Return who answers: an agent without files has nothing for a program on a machine to work
    on, so Decopilot does."""
    return DECOPILOT if is_local and not has_files else harness


def has_local_cli(*, is_online: bool, capabilities: Collection[str]) -> bool:
    """Say whether a coding agent can work on the machine now (U-F)."""
    return is_online and not set(_coding_agents()).isdisjoint(capabilities)


def default_harness(
    capabilities: Collection[str] | None,
    *,
    has_files: bool = True,
    has_any_key: bool = False,
    is_online: bool = True,
) -> str:
    """Return who answers when nobody was named.

    That is Claude Code, or else another coding agent of the machine; on a machine without any,
    and without a machine, Decopilot where the organization has a key. The demo comes last.
    ``capabilities`` is ``None`` when no machine is known.
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
    """Return the programs that make a machine worth more than its files, the first choice first."""
    return tuple(each.kind for each in agent_programs.load() if each.probe is not None)


def parse_choice(value: str | None) -> tuple[str, str]:
    """Return kind and tier of a choice such as ``claude-code:smart``; empty where not given.

    A kind may have a colon of its own (``acp:gemini``), so the last one counts.
    """
    kind, colon, tier = (value or "").rpartition(":")
    return (kind, tier) if colon else ("", "")
