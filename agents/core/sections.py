"""The agents that can be picked, and reasons for the others, from keys, machine and pins."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, Literal

from agents.core.tiers import Catalog, Kind, Tier
from mesh.agent_programs import load

State = Literal["enabled", "locked", "unavailable"]

LOCKED: Final = "Fixed for this thread: start a new chat to change."
CONNECT: Final = "Run deco_link on your machine to connect it."
CONNECTED_AGAIN: Final = "Wake it up, or run deco_link on it."
UPDATE: Final = "Update deco_link there and start it again."
LOOK_AGAIN: Final = "Start it once by hand there. Mesh checks again within a minute."


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


def _section(kind: Kind) -> Section:
    return Section(kind.kind, kind.title, kind.is_local, kind.tiers, kind.symbol)


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
