"""Queries for links; each takes the viewer, who sees only their own machines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.utils import timezone

from links.core.presence import SENTENCES, SIGNED_OUT, State, presence_of
from links.models import Link
from links.wire import version
from links.wire.messages import Harnesses, parse_capabilities, parse_harnesses
from mesh.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A machine as its person sees it: never its secret, never its address."""

    id: UUID
    name: str
    machine_id: str
    state: State
    cause: str
    capabilities: tuple[str, ...]
    harnesses: Harnesses
    cli_version: str
    protocol_version: int
    created_at: datetime
    seen_at: datetime | None
    clock_ahead: int = 0

    @property
    def is_signed_out(self) -> bool:
        return self.cause == SIGNED_OUT

    @property
    def sentence(self) -> str:
        """Why it is offline, and what brings it back."""
        return SENTENCES.get(self.cause, "")

    @property
    def clock_sentence(self) -> str:
        """What is wrong with its clock, if it is online; else empty."""
        if not self.clock_ahead or not self.is_online:
            return ""
        which = "ahead of" if self.clock_ahead > 0 else "behind"
        return (
            f"Its clock is {_span(abs(self.clock_ahead))} {which} the server's. Its chats work"
            " all the same; set the clock from the network, so that its files get the right times."
        )

    @property
    def is_outdated(self) -> bool:
        """Whether its program is older than this server's, and lacks newer features."""
        return self.protocol_version < version.CURRENT

    @property
    def is_online(self) -> bool:
        return self.state == "online"


def list_links(*, viewer: User, machine_id: str | None = None) -> list[LinkView]:
    """Return the viewer's machines: online ones first, then by when they were last seen; the order
    is always the same.

    With ``machine_id`` only that one, for a machine's own request.
    """
    rows = Link.objects.filter(user=viewer).order_by("-seen_at", "-created_at", "pk")
    if machine_id is not None:
        rows = rows.filter(machine_id=machine_id)
    return sorted((view_of(row) for row in rows), key=lambda view: not view.is_online)


def find_link(*, viewer: User, link_id: UUID) -> LinkView | None:
    """Return the viewer's machine of that id."""
    row = Link.objects.filter(user=viewer, pk=link_id).first()
    return view_of(row) if row else None


def find_row(*, viewer: User, link_id: UUID) -> Link | None:
    """Return the row of the viewer's machine, for services that change it."""
    return Link.objects.select_related("user").filter(user=viewer, pk=link_id).first()


def find_online_link(*, viewer: User, machine_id: str | None = None) -> LinkView | None:
    """Return the viewer's machine that is online and was seen last.

    With ``machine_id`` that one or none, for a machine's own request.
    """
    rows = Link.objects.filter(user=viewer, offline_after__gt=timezone.now())
    if machine_id is not None:
        rows = rows.filter(machine_id=machine_id)
    row = rows.order_by("-seen_at").first()
    return view_of(row) if row else None


def find_owner(*, link_id: UUID) -> int | None:
    """Return the id of the machine's owner, to notify that user's pages.

    Cached: a machine never changes its owner, and each connect and disconnect asks for it.
    """
    try:
        return _get_owner(link_id)
    except Link.DoesNotExist:
        return None


@lru_cache(maxsize=20_000)
def _get_owner(link_id: UUID) -> int:
    return Link.objects.values_list("user_id", flat=True).get(pk=link_id)


def find_owner_address(*, link_id: UUID) -> str:
    """Return the address of the process that holds the machine's socket, or ""."""
    held = Link.objects.filter(pk=link_id, offline_after__gt=timezone.now())
    return held.values_list("node_address", flat=True).first() or ""


def link_as_json(view: LinkView) -> dict[str, Any]:
    """Return a machine as JSON, for the API and for live updates."""
    return {
        "id": str(view.id),
        "name": view.name,
        "machineId": view.machine_id,
        "state": view.state,
        "cause": view.cause,
        "capabilities": list(view.capabilities),
        "harnesses": view.harnesses,
        "cliVersion": view.cli_version,
        "clockAhead": view.clock_ahead,
    }


def _span(seconds: int) -> str:
    """Return a span of time in its largest unit of which it has two or more."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"


def view_of(row: Link) -> LinkView:
    """Return ``row`` as its person may see it now."""
    presence = presence_of(
        offline_after=row.offline_after,
        seen_at=row.seen_at,
        cause=row.cause,
        now=timezone.now(),
    )
    return LinkView(
        id=row.pk,
        name=str(row),
        machine_id=row.machine_id,
        state=presence.state,
        cause=presence.cause,
        capabilities=parse_capabilities(row.capabilities),
        harnesses=parse_harnesses(row.harnesses),
        cli_version=row.cli_version,
        protocol_version=row.protocol_version,
        created_at=row.created_at,
        seen_at=row.seen_at,
        clock_ahead=row.clock_ahead,
    )
