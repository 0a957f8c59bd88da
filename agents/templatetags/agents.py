"""Template tags about agents: a machine's programs, and a chat's present choice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from agents.catalog import load_catalog
from agents.core.offers import Effort, OfferedModel
from agents.core.options import Fine
from agents.core.tiers import Kind

register = template.Library()


@register.simple_tag
def mcp_notes() -> list[str]:
    """Return notes for a person who adds MCP servers to an agent."""
    return [kind.mcp_note for kind in load_catalog() if kind.mcp_note]


@register.filter
def ready_agents(machine: Any) -> list[str]:
    """Return the titles of the programs on a machine that can work there now."""
    return [kind.title for kind in _programs() if _state_of(machine, kind) == "ready"]


@register.filter
def agents_on(machine: Any) -> list[str]:
    """Return the titles of the coding agents that a machine of a chat context offers now."""
    if machine.state != "online":
        return []
    return [kind.title for kind in _programs() if kind.kind in machine.capabilities]


@register.filter
def lacks_agents(machine: Any) -> bool:
    """Return whether a machine was probed and no program on it can work."""
    return bool(machine.harnesses) and not ready_agents(machine)


@dataclass(frozen=True, slots=True)
class Program:
    """An agent's program on a machine, for its owner."""

    title: str
    words: str  # version and account, or what is wrong with it
    is_ready: bool


_STATES = {"not_signed_in": "not signed in", "timed_out": "does not answer"}


@register.filter
def programs(machine: Any) -> list[Program]:
    """Return the programs found on a machine, those that can work there first."""
    found = []
    for kind in _programs():
        report = machine.harnesses.get(kind.kind, {})
        state = report.get("state", "")
        if state == "ready":
            words = " · ".join(filter(None, [report.get("version"), report.get("detail")]))
            found.append(Program(kind.title, words, is_ready=True))
        elif state in _STATES:
            found.append(Program(kind.title, _STATES[state], is_ready=False))
    return sorted(found, key=lambda program: not program.is_ready)


@dataclass(frozen=True, slots=True)
class Missing:
    """A program that can't work on a machine: the command that installs it, or a hint."""

    title: str
    command: str = ""
    words: str = ""


@register.filter
def missing_agents(machine: Any) -> list[Missing]:
    """Return the remedy for each program that is absent or not signed in on a machine."""
    found = []
    for kind in _programs():
        state = _state_of(machine, kind)
        if state == "absent" and kind.install:
            _, _, command = kind.install.rpartition(": ")
            found.append(Missing(kind.title, command=command))
        elif state == "not_signed_in" and kind.sign_in:
            found.append(Missing(kind.title, words=kind.sign_in))
    return found


def _programs() -> list[Kind]:
    return [kind for kind in load_catalog() if kind.needs == "capability"]


def _state_of(machine: Any, kind: Kind) -> str:
    return str(machine.harnesses.get(kind.kind, {}).get("state", ""))


@register.filter
def tier_icon(tier: Any) -> str:
    """Return the symbol of a tier."""
    return str(tier.icon or "sparkles")


@dataclass(frozen=True, slots=True)
class Choice:
    """The label of the closed pill: the chosen agent and its machine."""

    section: Any
    tier: Any
    fine: Fine = Fine()

    @property
    def label(self) -> str:
        """The tier or the model, with the effort; empty if nothing is chosen."""
        if self.tier is None:
            return ""
        model = self.section.offer.find(self.fine.model)
        efforts = self.section.offer.efforts_of(
            model.id if model else _own(self.section, self.tier)
        )
        effort = next((each.title for each in efforts if each.id == self.fine.effort), "")
        name = model.title if model else self.tier.label
        return f"{name} · {effort}" if effort else str(name)

    @property
    def icon(self) -> str:
        return tier_icon(self.tier) if self.tier else "circle-alert"

    @property
    def title(self) -> str:
        return str(self.section.title) if self.section else "No agent available"

    @property
    def words(self) -> str:
        words = f"{self.title} · {self.label}" if self.tier else self.title
        machine = self.section.machine if self.section and self.section.is_local else None
        return f"{words} on {getattr(machine, 'name', machine)}" if machine else words


@register.filter
def active_choice(chat: Any) -> Choice:
    """Return the chosen section and tier of a chat context."""
    kind, key = chat.active or (None, None)
    section = next((each for each in chat.sections if each.kind == kind), None)
    tiers = section.tiers if section else ()
    return Choice(section, next((tier for tier in tiers if tier.key == key), None), chat.fine)


@register.filter
def level_attributes(section: Any) -> SafeString:
    """Return the attributes by which the page knows what the section's levels lack; each input has
    them."""
    notes = [("note", *each) for each in section.level_notes.items()]
    missing = [("missing", *each) for each in section.missing_levels.items()]
    return format_html_join("", ' data-{}-{}="{}"', [*notes, *missing])


@register.filter
def efforts_at(section: Any, row: Any) -> str:
    """Return the ids of the efforts that a tier or a model of the section has, as JSON."""
    model = row.id if isinstance(row, OfferedModel) else _own(section, row)
    return json.dumps([each.id for each in section.offer.efforts_of(model)])


@register.filter
def efforts(section: Any) -> list[Effort]:
    """Return all efforts of the section's program, each once."""
    offer = section.offer
    every = [*offer.efforts, *(each for m in offer.models for each in offer.efforts_of(m.id))]
    return list({each.id: each for each in every}.values())


@register.simple_tag
def model_choice(chat: Any, section: Any, model: OfferedModel) -> str:
    """Return the value that chooses a model: it keeps the tier, for when it is left."""
    is_active_one = chat.active is not None and chat.active[0] == section.kind
    key = chat.active[1] if is_active_one else section.tiers[0].key
    return Fine(model=model.id).after(f"{section.kind}:{key}")


def _own(section: Any, tier: Any) -> str:
    return str(tier.model_id or "").removeprefix(f"{section.kind}:")


@register.filter
def is_active(chat: Any, section: Any) -> bool:
    """Return whether the chat's choice lies in ``section``."""
    return bool(chat.active) and chat.active[0] == section.kind
