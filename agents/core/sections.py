"""The agents that can be picked, and reasons for the others, from keys, machine and pins."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from agents.core.offers import NOTHING, Offer, OfferedModel
from agents.core.tiers import Catalog, Kind, Tier
from mesh.agent_programs import load

State = Literal["enabled", "locked", "unavailable"]

LOCKED: Final = "Fixed for this thread: start a new chat to change."
CONNECT: Final = "Run deco_link on your machine to connect it."
CONNECTED_AGAIN: Final = "Wake it up, or run deco_link on it."
UPDATE: Final = "Update deco_link there and start it again."
# Of an agent that speaks ACP and is not in the table: only its program can say what it has.
UNKNOWN: Final = {
    "readonly": "Mesh does not know this agent: it may not ask. What it does unasked is marked.",
    "plan": "Mesh does not know this agent. Your message is refused if it has no plan mode.",
}
# The same, of one whose program has a mode that is called so.
ASKS: Final = (
    "Mesh does not know this agent: it works in a mode that asks, by its name. What it does unasked"
    " is marked."
)
NO_PLAN: Final = "{title} has no mode in which it changes nothing."
LOOK_AGAIN: Final = "Start it once by hand there. Mesh checks again within a minute."


# Codes of runs that say that the program can't be used on its machine.
TROUBLES: Final = {
    "agent_key_refused": "The key of {title} was refused when it last ran on {machine}.",
    "cli_missing": "{title} was not found when it last ran on {machine}.",
    "not_signed_in": "{title} was not signed in when it last ran on {machine}.",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a program on a machine: what it offers, and the code of its trouble."""

    offer: Offer = NOTHING
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """The person's machine, for agents. ``cause`` is a sentence: why it is offline.

    ``programs`` is the probe's result: kind → ``ready``, ``absent``, ``not_signed_in`` or
    ``timed_out``.
    """

    id: str
    name: str
    state: str
    cause: str
    capabilities: tuple[str, ...]
    programs: dict[str, str]

    @property
    def is_online(self) -> bool:
        return self.state == "online"


@dataclass(frozen=True, slots=True)
class Section:
    """One agent of the popover. ``reason`` and ``action`` are sentences, empty if enabled."""

    kind: str
    title: str
    is_local: bool
    tiers: tuple[Tier, ...]
    icon: str
    machine: Machine | None = None
    state: State = "enabled"
    reason: str = ""
    action: str = ""
    # By approval level: what a person should know before they send, and why one can't be chosen.
    level_notes: Mapping[str, str] = field(default_factory=dict)
    missing_levels: Mapping[str, str] = field(default_factory=dict)
    # What the program offers besides the tiers, and the chosen model's efforts.
    offer: Offer = NOTHING
    # Why its last run on the machine could not begin, as a sentence, though it seems ready.
    trouble: str = ""

    @property
    def models(self) -> tuple[OfferedModel, ...]:
        """The models that no tier names."""
        named = {(tier.model_id or "").removeprefix(f"{self.kind}:") for tier in self.tiers}
        return tuple(each for each in self.offer.models if each.id not in named)


def usable_sections(
    catalog: Catalog, *, has_any_key: bool, is_online: bool, capabilities: Collection[str]
) -> list[Section]:
    """Return the sections that can be used now (U-A1 to U-A8)."""
    met = {
        "key": lambda kind: has_any_key,
        "capability": lambda kind: is_online and kind.kind in capabilities,
        "machine": lambda kind: is_online,
    }
    return [_section(kind) for kind in catalog if met[kind.needs](kind)]


def all_sections(
    catalog: Catalog, *, has_any_key: bool, machine: Machine | None, locked_kind: str = ""
) -> list[Section]:
    """Return every section with its state; one that can't be picked has a reason and an action.

    In a locked thread only the section of its harness can be enabled.
    """
    usable = usable_sections(
        catalog,
        has_any_key=has_any_key,
        is_online=machine is not None and machine.is_online,
        capabilities=machine.capabilities if machine else (),
    )
    kinds = {section.kind for section in usable}
    return [_with_state(kind, kind.kind in kinds, machine, locked_kind) for kind in catalog]


def trouble_of(section: Section, code: str) -> str:
    """Return the sentence of a code, with what to do; empty for any other code."""
    words, kind = TROUBLES.get(code, ""), section.kind
    if not words or section.machine is None:
        return ""
    program = next((each for each in load() if each.kind == kind), None)
    does = program.sign_in_at("there") if program and code != "cli_missing" else ""
    return f"{words.format(title=section.title, machine=section.machine.name)} {does}".rstrip()


def _section(kind: Kind) -> Section:
    return Section(
        kind.kind,
        kind.title,
        kind.is_local,
        kind.tiers,
        kind.symbol,
        level_notes=_level_notes(kind),
        missing_levels=_missing_levels(kind),
    )


def _level_notes(kind: Kind) -> Mapping[str, str]:
    """Return what a person should know before they send at a level."""
    is_known = not kind.kind.startswith("acp:") or kind.kind in {each.kind for each in load()}
    return kind.level_notes if is_known else {**UNKNOWN, **kind.level_notes}


def with_levels(section: Section, levels: Collection[str] | None) -> Section:
    """Return the section of an agent that the table does not have, with what its program said last
    of its ``levels``; any other, and without that, as it is."""
    if levels is None or section.kind in {each.kind for each in load()}:
        return section
    notes = {name: text for name, text in section.level_notes.items() if UNKNOWN.get(name) != text}
    notes = {"readonly": ASKS if "readonly" in levels else UNKNOWN["readonly"], **notes}
    missing = {} if "plan" in levels else {"plan": NO_PLAN.format(title=section.title)}
    return replace(section, level_notes=notes, missing_levels=missing)


def _missing_levels(kind: Kind) -> dict[str, str]:
    """Return why a level can't be chosen: a message would be refused (``level_unavailable``)."""
    program = next((each for each in load() if each.kind == kind.kind), None)
    if program is None or program.acp is None or program.acp.can_plan:
        return {}
    return {"plan": NO_PLAN.format(title=kind.title)}


def _with_state(kind: Kind, is_usable: bool, machine: Machine | None, locked_kind: str) -> Section:
    section = replace(_section(kind), machine=machine if kind.is_local else None)
    if locked_kind and kind.kind != locked_kind:
        return replace(section, state="locked", reason=LOCKED)
    if is_usable:
        return section
    reason, action = _why_not(kind, machine)
    return replace(section, state="unavailable", reason=reason, action=action)


def _why_not(kind: Kind, machine: Machine | None) -> tuple[str, str]:
    """Return why an agent can't be used, and what to do about it."""
    if not kind.is_local:
        return "No AI provider is connected.", kind.install
    if machine is None:
        return "No machine is connected.", CONNECT
    if machine.state == "unknown":  # no alarm while the state is unknown
        return f"Waiting for {machine.name}.", CONNECTED_AGAIN
    if not machine.is_online:
        return f"{machine.name} is offline. {machine.cause}".rstrip(), CONNECTED_AGAIN
    return _why_no_program(kind, machine)


def _why_no_program(kind: Kind, machine: Machine) -> tuple[str, str]:
    state = machine.programs.get(kind.kind)
    if state is None and machine.programs and kind.kind in {each.kind for each in load()}:
        return f"The deco_link on {machine.name} is too old to look for {kind.title}.", UPDATE
    if state == "not_signed_in":
        return f"{kind.title} is not signed in on {machine.name}.", kind.sign_in
    if state == "timed_out":
        return f"{kind.title} did not answer on {machine.name}.", LOOK_AGAIN
    return f"{kind.title} was not found on {machine.name}.", kind.install
