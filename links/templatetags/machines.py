"""What templates say of machines: whether they can be reached, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import template

register = template.Library()


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
