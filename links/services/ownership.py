"""Which process holds a machine's socket, and the deadline until which it counts as online."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from links.core import ownership, presence
from links.core.ownership import Close, Hold, Row
from links.core.presence import Fact
from links.errors import LinkUnknown
from links.models import Link
from links.services.presence_events import notify_on_commit
from links.wire.messages import MachineStatus
from mesh import keys
from mesh.models import User
from mesh.tokens import SignIn, bind

EXPIRE_BATCH = 500  # machines that one call marks offline
_FURTHEST = 2**31 - 1  # seconds that the column holds
_NOBODY = {"node": "", "node_address": "", "connection_id": ""}


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claimed machine, for the holder of its socket."""

    link_id: UUID
    secret: str
    fingerprint: str


def claim(
    *,
    user: User,
    machine_id: str,
    secret_fingerprint: str,
    connection_id: str,
    node_address: str = "",
    slept: object = None,
    clock_ahead: int = 0,
    sign_in: SignIn | None = None,
    server_key: str | None = None,
) -> Claimed:
    """Make this process the owner of the machine's socket: the newest connection wins.

    ``slept`` is the machine's report about its absence, if it was away; ``clock_ahead`` the seconds
    by which its clock is ahead of ours. ``sign_in`` is the token
    of its connection. ``server_key`` is our public key as it knows it: it gets the present one by
    registering.

    Raises:
        WrongMachine: the token is another machine's.
        LinkUnknown: the person has no such machine, or it has registered again meanwhile, or it
            knows another key. It must register first, or it would refuse all our requests.
    """
    if server_key is not None and server_key != keys.public_key():
        raise LinkUnknown
    with transaction.atomic():
        own = Link.objects.filter(
            user=user, machine_id=machine_id, secret_hash=secret_fingerprint
        ).exclude(cause=presence.SIGNED_OUT)
        # Columns and an update, no model instances: a thousand machines may connect at a time.
        facts = own.select_for_update(no_key=True).values_list("pk", "secret", "cause").first()
        if facts is None:
            raise LinkUnknown
        if sign_in is not None:
            bind(sign_in, machine_id)  # a token of an older server may not be bound yet
        link_id, sealed, cause = facts
        now = timezone.now()
        learned: dict[str, Any] = {"clock_ahead": max(-_FURTHEST, min(clock_ahead, _FURTHEST))}
        if cause in (presence.ASLEEP, presence.NETWORK) and (was := presence.silence_was(slept)):
            learned["last_silence"] = was
        own.update(**_held_here(connection_id, node_address, now), seen_at=now, **learned)
        notify_on_commit(link_id)
    return Claimed(link_id, keys.unseal(sealed), secret_fingerprint)


def release(*, connection_id: str, fact: Fact) -> str:
    """Mark the machine offline if ``connection_id`` still owns it; return the cause, else "".

    A superseded connection changes nothing: its successor owns the row. A cause that was recorded
    before (the person stopped it) stays.
    """
    owned = Link.objects.filter(connection_id=connection_id)
    with transaction.atomic():
        link = owned.only("pk", "cause", "last_silence").first()
        if link is None:
            return ""
        cause = link.cause or presence.cause_of(fact, last_silence=link.last_silence)
        if not owned.update(**_NOBODY, offline_after=None, cause=cause):
            return ""
        notify_on_commit(link.pk)
    return cause


def keep_online(*, connection_ids: Collection[str]) -> set[str]:
    """Extend the deadlines of these connections' machines; return the connections that no longer
    own theirs."""
    now = timezone.now()
    owned = Link.objects.filter(connection_id__among=connection_ids)
    if owned.update(offline_after=now + presence.GRACE, seen_at=now) == len(connection_ids):
        return set()
    return set(connection_ids) - set(owned.values_list("connection_id", flat=True))


def judge_holds(*, holds: Collection[Hold], node_address: str = "") -> dict[str, Close]:
    """Return the connections that must be closed, and how.

    A machine that was marked offline but not taken over is reclaimed.
    """
    doubtful = _doubtful(holds)
    rows = _rows_of({hold.link_id for hold in doubtful})
    closing: dict[str, Close] = {}
    for hold in doubtful:
        verdict = ownership.judge(hold, rows.get(hold.link_id))
        if isinstance(verdict, Close):
            closing[hold.connection_id] = verdict
        elif verdict == "reclaim":
            _reclaim(hold, node_address)
    return closing


def change_status(*, connection_id: str, status: MachineStatus) -> None:
    """Store the machine's capabilities, if ``connection_id`` still owns it."""
    owned = Link.objects.filter(connection_id=connection_id)
    with transaction.atomic():
        changed = owned.update(capabilities=list(status.capabilities), harnesses=status.harnesses)
        if changed:
            notify_on_commit(owned.values_list("pk", flat=True)[0])


def expire() -> int:
    """Mark machines whose deadline has passed offline; return how many.

    Safe to repeat, and to run concurrently: a deadline that was extended meanwhile, or handled by
    another process, is skipped.
    """
    due = Link.objects.filter(offline_after__lte=timezone.now())
    expired = 0
    for link in due.only("pk", "node", "cause", "last_silence", "offline_after")[:EXPIRE_BATCH]:
        # A live holder extends the deadline, or releases the machine itself.
        fact = Fact.HOLDER_GONE if link.node else Fact.SILENCE
        expired += _mark_offline(link, fact, Q(offline_after=link.offline_after))
    return expired


def release_previous(*, before: datetime) -> int:
    """Mark machines that this process's predecessor held offline; return how many.

    Only those seen before ``before``, which is when this process started. An embedded Mesh is one
    process, so there every earlier socket is closed, whatever that process's name was.
    """
    previous = Link.objects.exclude(node="").filter(seen_at__lt=before)
    if not settings.MESH_EMBEDDED:
        previous = previous.filter(node=settings.MESH_NODE)
    unchanged = Q(seen_at__lt=before)
    return sum(_mark_offline(link, Fact.HOLDER_GONE, unchanged) for link in previous)


def _doubtful(holds: Collection[Hold]) -> list[Hold]:
    """Return the ``holds`` to judge; usually a single COUNT shows that there are none."""
    if not holds:
        return []
    ids = [hold.connection_id for hold in holds]
    ours = Link.objects.filter(connection_id__among=ids).exclude(cause=presence.SIGNED_OUT)
    if ours.count() == len(ids):
        return []
    known = set(ours.values_list("connection_id", flat=True))
    return [hold for hold in holds if hold.connection_id not in known]


def _held_here(connection_id: str, node_address: str, now: datetime) -> dict[str, Any]:
    """Return the fields of a machine whose socket this process holds."""
    return {
        "node": settings.MESH_NODE,
        "node_address": node_address,
        "connection_id": connection_id,
        "offline_after": now + presence.GRACE,
        "cause": "",
    }


def _reclaim(hold: Hold, node_address: str) -> None:
    unheld = Link.objects.filter(
        pk=hold.link_id,
        connection_id="",
        secret_hash=hold.fingerprint,
        cause__in=presence.REVOCABLE,
    )
    with transaction.atomic():
        # If this no longer applies, the next check judges the hold again.
        if unheld.update(**_held_here(hold.connection_id, node_address, timezone.now())):
            notify_on_commit(hold.link_id)


def _mark_offline(link: Link, fact: Fact, unchanged: Q) -> int:
    cause = link.cause or presence.cause_of(fact, last_silence=link.last_silence)
    with transaction.atomic():
        own = Link.objects.filter(unchanged, pk=link.pk)
        if not own.update(**_NOBODY, offline_after=None, cause=cause):
            return 0
        notify_on_commit(link.pk)
    return 1


def _rows_of(link_ids: Collection[UUID]) -> dict[UUID, Row]:
    if not link_ids:
        return {}
    found = Link.objects.filter(pk__among=link_ids)
    return {
        row.pk: Row(row.connection_id, row.secret_hash or "", row.cause)
        for row in found.only("pk", "connection_id", "secret_hash", "cause")
    }
