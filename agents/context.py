"""The chat context: the available agents, tiers and machines, and reasons for unavailable ones.

One object per request; the page shows it and the handler of a message checks against it, so that
both agree. Pure except for the catalog, which is data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol
from uuid import UUID

from agents.catalog import load_catalog, load_runnable
from agents.core.offers import Offer
from agents.core.options import (
    DECOPILOT,
    Fine,
    default_harness,
    effective_harness,
    has_local_cli,
    parse_choice,
    parse_fine,
)
from agents.core.sections import (
    Known,
    Machine,
    Section,
    all_sections,
    trouble_of,
    with_levels,
)
from agents.core.source import Source
from agents.core.tiers import Catalog, Tier
from agents.models import Agent
from links.core.presence import SENTENCES
from links.selectors import LinkView

REMOVED: Final = "The machine of this thread was removed."
NEW_CHAT: Final = "Start a new chat to continue elsewhere."
NOT_HERE: Final = "This server can't run it."
NO_FILES: Final = "Not available for this agent: it has no repository."
GIVE_FILES: Final = "Choose another agent, or give this one a repository or folder."
ELSEWHERE: Final = "This agent's folder is on a machine that is not yours."
NO_MODEL: Final = "No model is set for it."
SET_MODEL: Final = "Choose one in the settings, under AI providers."


Offers = Callable[[LinkView | None], Mapping[str, Known]]


class Pins(Protocol):
    """The choices fixed by a thread's first message. Without a harness it is not locked yet."""

    @property
    def harness_id(self) -> str: ...

    @property
    def link_id(self) -> UUID | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPick:
    """A person's last choice: kind and tier (``claude-code:smart``), and a machine's id."""

    choice: str = ""
    link_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The organization's provider keys: whether there is one, and tier → model."""

    has_any: bool = False
    models: Mapping[str, str] = field(default_factory=dict)

    def answers_at(self, tier: str) -> bool:
        """Return whether Decopilot has a model at ``tier``, for the page and for messages."""
        return self.has_any and tier in self.models


@dataclass(frozen=True, slots=True)
class ChatContext:
    """``active`` is the chosen kind and tier, whose section may be unavailable; ``fine`` is the
    model and effort of its program.

    ``machine`` is where local agents would work; ``machines`` are the alternatives, empty without
    a choice. ``needs_provider``: only the demo can answer until a key is added or a machine with
    an agent is connected (chat-ui.md §4).
    """

    sections: tuple[Section, ...]
    active: tuple[str, str] | None
    locked: bool
    fine: Fine = Fine()
    machine: Machine | None = None
    machines: tuple[Machine, ...] = ()
    needs_provider: bool = False
    source: Source = Source("scratch")

    def find(self, kind: str) -> Section | None:
        """Return the section of a kind."""
        return next((section for section in self.sections if section.kind == kind), None)

    def allows(self, kind: str, tier: str) -> bool:
        """Return whether a message may be sent to ``kind`` at ``tier`` now."""
        section = self.find(kind)
        return (
            section is not None
            and section.state == "enabled"
            and any(each.key == tier for each in section.tiers)
        )


def chat_context(
    *,
    agent: Agent,
    links: Sequence[LinkView],
    pins: Pins | None,
    wanted: LastPick | None = None,
    keys: Keys | None = None,
    offers: Offers | None = None,
) -> ChatContext:
    """Return the chat context of a thread, or of a new one.

    ``links`` are the person's machines, the preferred one first; ``offers`` returns what each
    kind's program offers on one of them. Does no query itself.
    """
    wanted, keys, source = wanted or LastPick(), keys or Keys(), agent.source
    locked_kind = pins.harness_id if pins else ""
    offered = _offered_links(links, source)
    link = (
        _pinned(links, pins)
        if pins is not None and locked_kind
        else choose_link(offered, wanted.link_id)
    )
    machine = _machine(link) if link else None
    sections = all_sections(
        _offered(locked_kind, machine),
        has_any_key=keys.has_any,
        machine=machine,
        locked_kind=locked_kind,
    )
    if locked_kind:
        sections = [_corrected(s, locked_kind, is_removed=link is None) for s in sections]
    else:
        sections = [_restricted(s, source, has_link=link is not None) for s in sections]
    sections = [_with_models(section, keys) for section in sections]
    if offers is not None:
        known = offers(link)
        sections = [_with_offer(section, known.get(section.kind, Known())) for section in sections]
    active = _active(sections, agent, locked_kind, wanted.choice, machine, keys)
    return ChatContext(
        sections=tuple(sections),
        active=active,
        fine=_fine(sections, active, wanted.choice),
        locked=bool(locked_kind),
        machine=machine,
        machines=() if locked_kind or len(offered) < 2 else tuple(map(_machine, offered)),
        needs_provider=not keys.has_any and not _has_cli(source, machine),
        source=source,
    )


def choose_link(links: Sequence[LinkView], wanted_id: str) -> LinkView | None:
    """Return the picked machine, even if it is offline: work never moves to another machine
    silently. Without a pick return the first, which is online if any is."""
    picked = next((link for link in links if str(link.id) == wanted_id), None)
    return picked or next(iter(links), None)


def choose_kind(*, agent: Agent, kind: str, machine: Machine | None, keys: Keys) -> str:
    """Return the harness that answers for a picked ``kind`` (empty: none); page and API use it."""
    by_default, _ = parse_choice(agent.default_choice)
    kind, has_files = kind or by_default, agent.source.has_files
    if kind:
        known = load_catalog().find(kind)
        is_local = known is not None and known.is_local
        return effective_harness(kind, is_local=is_local, has_files=has_files)
    return default_harness(
        machine.capabilities if machine else None,
        has_files=has_files,
        has_any_key=keys.has_any and load_runnable().find(DECOPILOT) is not None,
        is_online=machine is None or machine.state != "offline",
    )


def machine_of(link: LinkView) -> Machine:
    """Return a link as the core sees it."""
    return _machine(link)


def _offered_links(links: Sequence[LinkView], source: Source) -> list[LinkView]:
    """Return the machines that can have this agent's files."""
    if source.kind == "folder" and source.link_id:
        return [link for link in links if str(link.id) == source.link_id]
    return list(links)


def _offered(locked_kind: str, machine: Machine | None) -> Catalog:
    """Return the agents that can run here, plus the one that the thread is pinned to."""
    runnable = load_runnable()
    shown = tuple(
        kind
        for kind in runnable
        if kind.kind == locked_kind or kind.listed == "always" or _is_found(kind.kind, machine)
    )
    pinned = load_catalog().find(locked_kind)
    if pinned is None or runnable.find(locked_kind):
        return Catalog(shown)
    return Catalog((*shown, pinned))


def _is_found(kind: str, machine: Machine | None) -> bool:
    return machine is not None and machine.programs.get(kind, "absent") != "absent"


def _pinned(links: Sequence[LinkView], pins: Pins) -> LinkView | None:
    return next((link for link in links if link.id == pins.link_id), None)


def _machine(link: LinkView) -> Machine:
    return Machine(
        id=str(link.id),
        name=link.name,
        state=link.state,
        cause=SENTENCES.get(link.cause, ""),
        capabilities=link.capabilities,
        programs={kind: report.get("state", "") for kind, report in link.harnesses.items()},
    )


def _has_cli(source: Source, machine: Machine | None) -> bool:
    return (
        source.has_files
        and machine is not None
        and has_local_cli(is_online=machine.is_online, capabilities=machine.capabilities)
    )


def _corrected(section: Section, locked_kind: str, *, is_removed: bool) -> Section:
    """Return a section with the reasons that apply only to a locked thread's own one."""
    if section.kind != locked_kind:
        return section
    if load_runnable().find(locked_kind) is None:
        return replace(section, state="unavailable", reason=NOT_HERE, action=NEW_CHAT)
    if is_removed and section.is_local:
        return replace(section, state="unavailable", reason=REMOVED, action=NEW_CHAT)
    return section


def _restricted(section: Section, source: Source, *, has_link: bool) -> Section:
    """Return a new thread's section, unavailable if the agent's files rule it out."""
    if not section.is_local:
        return section
    if not source.has_files:
        return replace(section, state="unavailable", reason=NO_FILES, action=GIVE_FILES)
    if source.kind == "folder" and source.link_id and not has_link:
        return replace(section, state="unavailable", reason=ELSEWHERE, action=GIVE_FILES)
    return section


def _with_models(section: Section, keys: Keys) -> Section:
    """Add the names of the organization's models to Decopilot's tiers; a tier without a model is
    not offered."""
    if section.kind != DECOPILOT or section.state != "enabled":
        return section
    tiers = tuple(_named(tier, keys.models) for tier in section.tiers if keys.answers_at(tier.key))
    if tiers:
        return replace(section, tiers=tiers)
    return replace(section, state="unavailable", reason=NO_MODEL, action=SET_MODEL)


def _with_offer(section: Section, known: Known) -> Section:
    """Add what the program offers. A tier whose model it does not list can't be chosen."""
    if not section.is_local or section.state != "enabled":
        return section
    tiers = tuple(_listed(tier, section, known.offer) for tier in section.tiers)
    trouble = trouble_of(section, known.trouble)
    section = with_levels(section, known.offer.levels)
    return replace(section, tiers=tiers, offer=known.offer, trouble=trouble)


def _listed(tier: Tier, section: Section, offer: Offer) -> Tier:
    model = (tier.model_id or "").removeprefix(f"{section.kind}:")
    if not model or offer.lists(model):
        return tier
    return replace(tier, description=f"{section.title} does not offer it here", is_missing=True)


def _fine(sections: Sequence[Section], active: tuple[str, str] | None, choice: str) -> Fine:
    """Return the chosen model and effort, as far as the active program has them; and where it has
    none of the models that its tiers name, the model with which it works by itself."""
    section = next((each for each in sections if active and each.kind == active[0]), None)
    if section is None or active is None:
        return Fine()
    offer, tier = section.offer, next(each for each in section.tiers if each.key == active[1])
    picked = parse_fine(choice) if parse_choice(choice)[0] == section.kind else Fine()
    model = picked.model if offer.find(picked.model) else ""
    if not model and tier.is_missing:
        current = next((each for each in offer.models if each.is_current), offer.models[0])
        model = current.id
    own = model or (tier.model_id or "").removeprefix(f"{section.kind}:")
    efforts = {each.id for each in offer.efforts_of(own)}
    return Fine(model=model, effort=picked.effort if picked.effort in efforts else "")


def _named(tier: Tier, models: Mapping[str, str]) -> Tier:
    return replace(tier, description=f"{tier.description} · {models[tier.key]}")


def _active(
    sections: Sequence[Section],
    agent: Agent,
    locked_kind: str,
    choice: str,
    machine: Machine | None,
    keys: Keys,
) -> tuple[str, str] | None:
    """Return the pinned kind, else the pick (even if unavailable: that may pass), else the agent's
    own, else the default."""
    by_kind = {section.kind: section for section in sections}
    kind, tier = parse_choice(choice)
    by_default, default_tier = parse_choice(agent.default_choice)
    kind = kind if kind in by_kind else ""
    wanted = locked_kind or choose_kind(agent=agent, kind=kind, machine=machine, keys=keys)
    fallback = choose_kind(
        agent=Agent(metadata=agent.metadata), kind="", machine=machine, keys=keys
    )
    for each in (wanted, fallback):
        if section := by_kind.get(each):
            asked = tier or (default_tier if each == by_default else "")
            return each, _tier(section, asked)
    return None


def _tier(section: Section, wanted: str) -> str:
    kind = load_catalog().find(section.kind)
    assert kind is not None
    there = tuple(tier for tier in section.tiers if not tier.is_missing)
    return replace(kind, tiers=there or section.tiers).tier(wanted).key
