"""What the pages' templates need beyond Django's own tags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import segno
from django import template
from django.forms import BoundField
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from agents.catalog import load_catalog
from agents.core.tiers import Kind
from threads import stylesheet

register = template.Library()


@register.simple_tag
def stylesheet_url() -> str:
    """Return the address of the one stylesheet, which changes when it does."""
    return reverse("stylesheet", args=[stylesheet.current().digest])


@register.simple_tag
@lru_cache(maxsize=16)
def qr_of(address: str) -> SafeString:
    """Return the QR code of an address as inline SVG, without size: the stylesheet gives one."""
    code = segno.make(address, error="m", micro=False)
    return SafeString(code.svg_inline(omitsize=True, border=2, svgclass=None, lineclass=None))


@register.filter
def as_input(field: BoundField) -> SafeString:
    """Return the field's widget in our look, and named as wrong when it is."""
    attrs: dict[str, str | bool] = {"class": "input"}
    if field.errors:
        attrs["aria-invalid"] = "true"
    return field.as_widget(attrs=attrs)


# Why a machine is offline, short enough for a chip; links.core.presence has the sentences.
_CAUSES = {
    "disconnected": "coming back",
    "network": "asleep or no network",
    "stopped": "deco_link was stopped",
    "server_restarted": "coming back",
    "too_old": "needs an update",
    "unreachable": "can't be reached",
    "asleep": "asleep",
    "signed_out": "signed out",
}


@register.filter
def state_in_words(machine: Any) -> str:
    """Return what a machine's chip says of it: nothing alarming while nothing is known."""
    state, cause = _read(machine, "state"), _read(machine, "cause")
    if state == "offline":
        return f"offline · {_CAUSES.get(cause, cause)}" if cause else "offline"
    return "online" if state == "online" else "not seen yet"


@register.simple_tag
def mcp_notes() -> list[str]:
    """Return what a person should know before they give an agent MCP servers."""
    return [kind.mcp_note for kind in load_catalog() if kind.mcp_note]


@register.filter
def any_online(links: Iterable[Any]) -> bool:
    """Return whether one of the machines is online."""
    return any(machine.state == "online" for machine in links)


@register.filter
def first_online(links: Iterable[Any]) -> Any:
    """Return the first machine that is online, or nothing."""
    return next((machine for machine in links if machine.state == "online"), None)


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
    """Return whether a machine was looked at and no program on it can work."""
    return bool(machine.harnesses) and not ready_agents(machine)


@dataclass(frozen=True, slots=True)
class Program:
    """An agent's program on a machine, as its person reads of it."""

    title: str
    words: str  # version and account, or what is wrong with it
    is_ready: bool


_STATES = {"not_signed_in": "not signed in", "timed_out": "does not answer"}


@register.filter
def programs(machine: Any) -> list[Program]:
    """Return the programs that a machine was found to have: those that can work there first."""
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


@register.filter
def ago(moment: datetime) -> str:
    """Return how long ago it was, in words."""
    now = timezone.now()
    if now - moment < timedelta(minutes=1):
        return "just now"
    return f"{timesince(moment, now, depth=1)} ago"


@dataclass(frozen=True, slots=True)
class Missing:
    """A program that can't work on a machine: the command that installs it, or what to do."""

    title: str
    command: str = ""
    words: str = ""


@register.filter
def missing_agents(machine: Any) -> list[Missing]:
    """Return what its person can do there, for each program that is absent or not signed in."""
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


def _read(thing: Any, name: str) -> str:
    """Return a field of a view or of a summary."""
    return str((thing.get(name) if isinstance(thing, dict) else getattr(thing, name)) or "")


@register.filter
def tier_icon(tier: Any) -> str:
    """Return the symbol of a tier."""
    return str(tier.icon or "sparkles")


@dataclass(frozen=True, slots=True)
class Choice:
    """What the closed pill says: who answers now, and where."""

    section: Any
    tier: Any

    @property
    def icon(self) -> str:
        return tier_icon(self.tier) if self.tier else "circle-alert"

    @property
    def title(self) -> str:
        return str(self.section.title) if self.section else "No agent available"

    @property
    def words(self) -> str:
        words = f"{self.title} · {self.tier.label}" if self.tier else self.title
        machine = self.section.machine if self.section and self.section.is_local else None
        return f"{words} on {getattr(machine, 'name', machine)}" if machine else words


@register.filter
def active_choice(chat: Any) -> Choice:
    """Return the chosen section and tier of a chat context."""
    kind, key = chat.active or (None, None)
    section = next((each for each in chat.sections if each.kind == kind), None)
    tiers = section.tiers if section else ()
    return Choice(section, next((tier for tier in tiers if tier.key == key), None))


@register.filter
def is_active(chat: Any, section: Any) -> bool:
    """Return whether the chat's choice lies in ``section``."""
    return bool(chat.active) and chat.active[0] == section.kind


# Whatever asks for the person comes first; an idle thread is as done as a completed one.
_GROUPS = (
    ("needs", "Needs you", ("requires_action",)),
    ("running", "Running", ("queued", "running")),
    ("done", "Done", ()),
)


@dataclass(frozen=True, slots=True)
class Group:
    """A heading of the list and the thread summaries under it."""

    key: str
    title: str
    threads: list[dict[str, Any]]


@register.filter
def grouped(threads: Iterable[dict[str, Any]]) -> list[Group]:
    """Return thread summaries in their groups, in the given order; empty groups are left out."""
    found = {key: Group(key, title, []) for key, title, _ in _GROUPS}
    key_of = {status: key for key, _, statuses in _GROUPS for status in statuses}
    for thread in threads:
        found[key_of.get(thread["status"], "done")].threads.append(thread)
    return [group for group in found.values() if group.threads]
