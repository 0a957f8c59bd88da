"""Template filters about machines: whether they are reachable, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import template

register = template.Library()


# Why a machine is offline, short enough for a chip; links.core.presence has the sentences.
_CAUSES = {
    "disconnected": "reconnecting",
    "network": "asleep or no network",
    "stopped": "deco_link was stopped",
    "server_restarted": "reconnecting",
    "too_old": "needs an update",
    "unreachable": "can't be reached",
    "asleep": "asleep",
    "signed_out": "signed out",
}


@register.filter
def state_in_words(machine: Any) -> str:
    """Return the text of a machine's chip; neutral while its state is unknown."""
    state, cause = _read(machine, "state"), _read(machine, "cause")
    if state == "offline":
        return f"offline · {_CAUSES.get(cause, cause)}" if cause else "offline"
    return "online" if state == "online" else "not seen yet"


@register.filter
def any_online(links: Iterable[Any]) -> bool:
    """Return whether one of the machines is online."""
    return any(machine.state == "online" for machine in links)


@register.filter
def first_online(links: Iterable[Any]) -> Any:
    """Return the first machine that is online, or nothing."""
    return next((machine for machine in links if machine.state == "online"), None)


def _read(thing: Any, name: str) -> str:
    """Return a field of a view or of a summary."""
    return str((thing.get(name) if isinstance(thing, dict) else getattr(thing, name)) or "")
