"""Machines that the server calls at an address of their own instead of through a tunnel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from links.core import presence
from links.models import Link
from links.services.ownership import Claimed
from links.services.presence_events import notify_on_commit
from links.wire.addresses import is_localhost, is_permitted, parse_hosts
from mesh import keys

# After a deliberate stop or sign-out only a registration brings a machine back.
_DELIBERATE = (presence.STOPPED, presence.SIGNED_OUT)


@dataclass(frozen=True, slots=True)
class Reachable:
    """A machine that waits for a process to call it, with what that process needs."""

    link_id: UUID
    url: str
    secret: str
    fingerprint: str


def is_enabled() -> bool:
    """Return whether the operator allows machines to be called at an address."""
    return bool(settings.MESH_ALLOW_LOCALHOST_LINKS or settings.ENV.link_hosts)


def permitted_url(url: str) -> str:
    """Return ``url`` without a trailing slash if a machine may be called there, else ""."""
    is_allowed_localhost = settings.MESH_ALLOW_LOCALHOST_LINKS and is_localhost(url)
    hosts = parse_hosts(settings.ENV.link_hosts)
    return url.rstrip("/") if is_allowed_localhost or is_permitted(url, hosts=hosts) else ""


def fields_of(url: str, *, now: datetime) -> dict[str, Any]:
    """Return the fields to change for a registration at ``url``, which ends any process's hold."""
    if not url:
        return {"tunnel_url": ""}
    released = {"node": "", "node_address": "", "connection_id": "", "offline_after": None}
    return {"tunnel_url": url, "seen_at": now, **released}


def list_reachable() -> list[Reachable]:
    """Return the machines that are alive, may be called, and are not held by any process."""
    rows = _unheld().filter(seen_at__gt=timezone.now() - presence.GRACE, user__is_active=True)
    return [
        Reachable(row.pk, row.tunnel_url, keys.unseal(row.secret), row.secret_hash or "")
        for row in rows.exclude(cause__in=_DELIBERATE)
        if permitted_url(row.tunnel_url)  # the operator may have changed the setting
    ]


def claim_reachable(
    *, machine: Reachable, connection_id: str, node_address: str = ""
) -> Claimed | None:
    """Claim the machine for this process; return ``None`` if another claimed it first."""
    now = timezone.now()
    waiting = _unheld().filter(
        pk=machine.link_id, secret_hash=machine.fingerprint, tunnel_url=machine.url
    )
    with transaction.atomic():
        if not waiting.exclude(cause__in=_DELIBERATE).update(
            node=settings.MESH_NODE,
            node_address=node_address,
            connection_id=connection_id,
            offline_after=now + presence.GRACE,
            cause="",
        ):
            return None
        notify_on_commit(machine.link_id)
    return Claimed(machine.link_id, machine.secret, machine.fingerprint)


def note_unreachable(*, machine: Reachable) -> None:
    """Record that the machine is alive but does not answer at its address."""
    cause = presence.cause_of(presence.Fact.NO_ANSWER)
    waiting = _unheld().filter(pk=machine.link_id, secret_hash=machine.fingerprint)
    with transaction.atomic():
        if waiting.exclude(cause__in=[*_DELIBERATE, cause]).update(cause=cause):
            notify_on_commit(machine.link_id)


def _unheld() -> QuerySet[Link]:
    return Link.objects.filter(connection_id="").exclude(tunnel_url="")
