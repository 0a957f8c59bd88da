"""Finds the sandbox that a person has, or would get, of an agent and a branch: for tools, proxy,
events and previews, so that all of them see the one that the thread works in."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from agents.models import Agent
from links import selectors as links
from links.selectors import LinkView
from mesh.models import User
from sandboxes.core.kinds import REMOTE_USER, KindFacts, choose_kind
from sandboxes.core.vm_map import VmEntry
from sandboxes.places import place_for
from sandboxes.providers.base import Place
from sandboxes.selectors import recorded_cell


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSandbox:
    """A sandbox that is recorded, or that would be started. ``link`` is its machine."""

    place: Place
    entry: VmEntry | None
    link: LinkView | None

    @property
    def is_away(self) -> bool:
        """Whether it is on a machine that can't be reached now."""
        return self.place.kind == REMOTE_USER and not (self.link and self.link.is_online)


def find_sandbox(*, viewer: User, agent: Agent, branch: str, kind: str = "") -> ResolvedSandbox:
    """Return the viewer's sandbox of ``agent`` and ``branch``: of ``kind``, else the recorded kind,
    else the default; the caller checks whether it is available.

    A sandbox stays on its machine, because no other one has its files.
    """
    cell = recorded_cell(agent=agent, user_id=viewer.pk, branch=branch)
    online = None if kind or cell else links.find_online_link(viewer=viewer)
    chosen = choose_kind(
        KindFacts(
            explicit=kind,
            recorded=next(iter(cell), ""),
            is_link_online=online is not None,
            default=settings.STUDIO_SANDBOX_RUNNER,
        )
    )
    entry, link = cell.get(chosen), None
    if chosen == REMOTE_USER:
        link = _machine(viewer, entry) or online or links.find_online_link(viewer=viewer)
    place = place_for(
        agent=agent,
        user_id=viewer.pk,
        branch=branch,
        kind=chosen,
        link_id=link.id if link else None,
    )
    return ResolvedSandbox(place=place, entry=entry, link=link)


def place_of_entry(*, agent: Agent, user_id: int, branch: str, entry: VmEntry) -> Place:
    """Return the place of a recorded sandbox: its own kind and machine, even if others are now
    preferred."""
    return place_for(
        agent=agent,
        user_id=user_id,
        branch=branch,
        kind=entry.kind,
        link_id=entry.machine,
    )


def _machine(viewer: User, entry: VmEntry | None) -> LinkView | None:
    """Return the recorded machine, unless it was removed."""
    named = entry.machine if entry is not None else None
    return links.find_link(viewer=viewer, link_id=named) if named else None
