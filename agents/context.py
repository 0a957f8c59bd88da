"""The chat context: who can be asked, at which tier, on which machine, and why not.

One object a request; the page shows it and the handler of a message checks against it, so what
is shown is what is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol
from uuid import UUID

from agents.catalog import load_catalog, load_runnable
from agents.core.options import default_harness, parse_choice
from agents.core.sections import Machine, Section, all_sections
from agents.core.tiers import Catalog
from agents.models import Agent
from links.core.presence import SENTENCES
from links.selectors import LinkView

REMOVED: Final = "The machine of this thread was removed."
NEW_CHAT: Final = "Start a new chat to go on elsewhere."
NOT_HERE: Final = "This server can't run it."


class Pins(Protocol):
    """What a thread's first message fixed. No harness: not locked yet."""

    @property
    def harness_id(self) -> str: ...

    @property
    def link_id(self) -> UUID | None: ...


@dataclass(frozen=True, slots=True)
class ChatContext:
    """``active`` is kind and tier of who answers now; it may be unavailable, and says so."""

    sections: tuple[Section, ...]
    active: tuple[str, str] | None
    locked: bool

    def find(self, kind: str) -> Section | None:
        """Return the section of a kind."""
        return next((section for section in self.sections if section.kind == kind), None)

    def allows(self, kind: str, tier: str) -> bool:
        """Say whether a message may be sent to ``kind`` at ``tier`` now."""
        section = self.find(kind)
        return (
            section is not None
            and section.state == "enabled"
            and any(each.key == tier for each in section.tiers)
        )


def chat_context(
    *, agent: Agent, links: Sequence[LinkView], pins: Pins | None, choice: str | None
) -> ChatContext:
    """Return who can be asked in a thread.

    ``links`` are the person's machines, the one to use first; ``choice`` is the last pick,
    such as ``claude-code:smart``. Does no query.
    """
    locked_kind = pins.harness_id if pins else ""
    link = _link(links, pins if locked_kind else None)
    machine = _machine(link) if link else None
    # No provider keys yet; every agent of the catalog that needs one is still to come.
    sections = all_sections(
        _offered(locked_kind), has_any_key=False, machine=machine, locked_kind=locked_kind
    )
    if locked_kind:
        sections = [_corrected(s, locked_kind, is_removed=link is None) for s in sections]
    return ChatContext(
        sections=tuple(sections),
        active=_active(sections, locked_kind, choice, machine),
        locked=bool(locked_kind),
    )


def _offered(locked_kind: str) -> Catalog:
    """Return what can be run here, and what a thread is pinned to even if it can't."""
    runnable = load_runnable()
    pinned = load_catalog().find(locked_kind)
    if pinned is None or runnable.find(locked_kind):
        return runnable
    return Catalog((*runnable.kinds, pinned))


def _link(links: Sequence[LinkView], pins: Pins | None) -> LinkView | None:
    if pins is not None:
        return next((link for link in links if link.id == pins.link_id), None)
    return next(iter(links), None)


def _machine(link: LinkView) -> Machine:
    return Machine(
        id=str(link.id),
        name=link.name,
        state=link.state,
        cause=SENTENCES.get(link.cause, ""),
        capabilities=link.capabilities,
        programs={kind: report.get("state", "") for kind, report in link.harnesses.items()},
    )


def _corrected(section: Section, locked_kind: str, *, is_removed: bool) -> Section:
    """Say of a locked thread's own section what no other thread has."""
    if section.kind != locked_kind:
        return section
    if load_runnable().find(locked_kind) is None:
        return replace(section, state="unavailable", reason=NOT_HERE, action=NEW_CHAT)
    if is_removed and section.is_local:
        return replace(section, state="unavailable", reason=REMOVED, action=NEW_CHAT)
    return section


def _active(
    sections: Sequence[Section], locked_kind: str, choice: str | None, machine: Machine | None
) -> tuple[str, str] | None:
    """Return the pinned kind, else the pick (also while it is unavailable: it comes back by
    itself), else the default."""
    kind, tier = parse_choice(choice)
    default = default_harness(machine.capabilities if machine else None)
    by_kind = {section.kind: section for section in sections}
    for wanted in (locked_kind, kind, default):
        if section := by_kind.get(wanted):
            return wanted, _tier(section, tier)
    return None


def _tier(section: Section, wanted: str) -> str:
    kind = load_catalog().find(section.kind)
    assert kind is not None
    return kind.tier(wanted).key
