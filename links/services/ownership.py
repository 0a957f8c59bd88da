"""Who holds a machine's socket, and the deadline by which it must be heard."""

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
from links.services.presence_events import tell
from links.wire.messages import MachineStatus
from mesh import keys
from mesh.models import User
from mesh.tokens import SignIn, bind

EXPIRED_AT_ONCE = 500  # machines that one look marks offline
_NOBODY = {"node": "", "node_address": "", "connection_id": ""}


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the holder of a machine's socket needs to know."""

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
    sign_in: SignIn | None = None,
    server_key: str | None = None,
) -> Claimed:
    """Make this process the owner of the machine's socket: the newest connection wins.

    ``slept`` is what the machine says of its absence, if it was away. ``sign_in`` is the token
    that it dialled in with. ``server_key`` is the public key of ours that it knows: it learns
    the present one by registering.

    Raises:
        WrongMachine: the token is another machine's.
        LinkUnknown: the person has no such machine, or it registered anew meanwhile; whoever
            asks must register first, or would take every request of ours for a forgery.
    """
    if server_key is not None and server_key != keys.public_key():
        raise LinkUnknown
    with transaction.atomic():
        own = Link.objects.filter(
            user=user, machine_id=machine_id, secret_hash=secret_fingerprint
        ).exclude(cause=presence.SIGNED_OUT)
        # Columns and an update, not a model and its save: a thousand machines may come at once.
        facts = own.select_for_update(no_key=True).values_list("pk", "secret", "cause").first()
        if facts is None:
            raise LinkUnknown
        if sign_in is not None:
            bind(sign_in, machine_id)  # one of an older server may not be bound yet
        link_id, sealed, cause = facts
        now = timezone.now()
        learnt = {}
        if cause in (presence.ASLEEP, presence.NETWORK) and (was := presence.silence_was(slept)):
            learnt["last_silence"] = was
        own.update(**_taken(connection_id, node_address, now), seen_at=now, **learnt)
        tell(link_id)
    return Claimed(link_id, keys.unseal(sealed), secret_fingerprint)


def release(*, connection_id: str, fact: Fact) -> str:
    """Mark the machine offline if ``connection_id`` still owns it; return the cause, else "".

    A connection that was superseded changes nothing: its successor owns the row. A cause that
    was told before (the person stopped it) stays.
    """
    owned = Link.objects.filter(connection_id=connection_id)
    with transaction.atomic():
        link = owned.only("pk", "cause", "last_silence").first()
        if link is None:
            return ""
        cause = link.cause or presence.cause_of(fact, last_silence=link.last_silence)
        if not owned.update(**_NOBODY, offline_after=None, cause=cause):
            return ""
        tell(link.pk)
    return cause


def keep_online(*, connection_ids: Collection[str]) -> set[str]:
    """Move the deadlines of the machines that were heard; return the connections that own
    theirs no more."""
    now = timezone.now()
    owned = Link.objects.filter(connection_id__among=connection_ids)
    if owned.update(offline_after=now + presence.GRACE, seen_at=now) == len(connection_ids):
        return set()
    return set(connection_ids) - set(owned.values_list("connection_id", flat=True))


def judge_holds(*, holds: Collection[Hold], node_address: str = "") -> dict[str, Close]:
    """Return the connections that must be closed, and how.

    One whose machine was marked offline although nobody else took it over takes it back.
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
    """Keep what the machine can do now, if ``connection_id`` still owns it."""
    owned = Link.objects.filter(connection_id=connection_id)
    with transaction.atomic():
        changed = owned.update(capabilities=list(status.capabilities), harnesses=status.harnesses)
        if changed:
            tell(owned.values_list("pk", flat=True)[0])


def expire() -> int:
    """Mark the machines offline whose deadline has passed; return how many there were.

    Safe to repeat, and in several processes at once: a deadline that moved meanwhile, or that
    another was first to take, is left alone.
    """
    due = Link.objects.filter(offline_after__lte=timezone.now())
    expired = 0
    for link in due.only("pk", "node", "cause", "last_silence", "offline_after")[:EXPIRED_AT_ONCE]:
        # A holder that lives moves the deadline, or releases the machine itself.
        fact = Fact.HOLDER_GONE if link.node else Fact.SILENCE
        expired += _let_go(link, fact, Q(offline_after=link.offline_after))
    return expired


def forget_former(*, before: datetime) -> int:
    """Mark the machines offline whose sockets this process's former self held; return how many.

    Only those seen before ``before``, which is when this process began. An embedded Mesh is one
    process, so there each socket of before is gone, whatever that process was called.
    """
    former = Link.objects.exclude(node="").filter(seen_at__lt=before)
    if not settings.MESH_EMBEDDED:
        former = former.filter(node=settings.MESH_NODE)
    unchanged = Q(seen_at__lt=before)
    return sum(_let_go(link, Fact.HOLDER_GONE, unchanged) for link in former)


def _doubtful(holds: Collection[Hold]) -> list[Hold]:
    """Return those of ``holds`` that need a look: as long as all is well, the database counts."""
    if not holds:
        return []
    ids = [hold.connection_id for hold in holds]
    ours = Link.objects.filter(connection_id__among=ids).exclude(cause=presence.SIGNED_OUT)
    if ours.count() == len(ids):
        return []
    known = set(ours.values_list("connection_id", flat=True))
    return [hold for hold in holds if hold.connection_id not in known]


def _taken(connection_id: str, node_address: str, now: datetime) -> dict[str, Any]:
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
        # Where it is not so any more, it is looked at again in a moment.
        if unheld.update(**_taken(hold.connection_id, node_address, timezone.now())):
            tell(hold.link_id)


def _let_go(link: Link, fact: Fact, unchanged: Q) -> int:
    cause = link.cause or presence.cause_of(fact, last_silence=link.last_silence)
    with transaction.atomic():
        own = Link.objects.filter(unchanged, pk=link.pk)
        if not own.update(**_NOBODY, offline_after=None, cause=cause):
            return 0
        tell(link.pk)
    return 1


def _rows_of(link_ids: Collection[UUID]) -> dict[UUID, Row]:
    if not link_ids:
        return {}
    found = Link.objects.filter(pk__among=link_ids)
    return {
        row.pk: Row(row.connection_id, row.secret_hash or "", row.cause)
        for row in found.only("pk", "connection_id", "secret_hash", "cause")
    }
