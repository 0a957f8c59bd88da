"""Writing links: registration, ownership of the socket, presence."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from links.core import presence
from links.errors import BadProof, LinkUnknown, ProtocolTooOld
from links.models import Link
from links.wire import version
from links.wire.messages import MachineStatus, Registered, Registration
from links.wire.signing import fingerprint
from mesh import keys
from mesh.models import User

INSTALL_HINT = "git pull && make run"

# Called with a link's id after its presence or capabilities changed, on commit. The
# composition root adds to it; a doorbell, so what a callable raises must not matter to it.
presence_changed: list[Callable[[UUID], None]] = []

_AT_ONCE = 500  # SQLite takes so many values in one list


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the holder of a machine's socket needs to know."""

    link_id: UUID
    secret: str


def register(*, user: User, registration: Registration) -> Registered:
    """Make or renew the link of this person's machine; return its new secret.

    Safe to repeat: the same machine keeps its link and gets another secret, and the old one is
    dead at once.

    Raises:
        ProtocolTooOld: nothing is kept.
    """
    if not version.is_supported(registration.protocol_version):
        raise ProtocolTooOld(requiredVersion=version.MINIMUM, installHint=INSTALL_HINT)
    secret = secrets.token_urlsafe(32)
    fields = {
        "hostname": registration.hostname,
        "cli_version": registration.cli_version,
        "protocol_version": registration.protocol_version,
        "capabilities": list(registration.capabilities),
        "harnesses": registration.harnesses,
        "secret": keys.seal(secret),
        "secret_hash": fingerprint(secret),
        "tunnel_url": _permitted_url(registration.tunnel_url),
        "cause": "",
    }
    with transaction.atomic():
        link, _ = Link.objects.update_or_create(
            user=user, machine_id=registration.machine_id, defaults=fields
        )
        _tell(link.pk)
    return Registered(link_id=str(link.pk), link_secret=secret, user_sub=str(user.pk))


def claim(*, user: User, machine_id: str, secret_fingerprint: str, connection_id: str) -> Claimed:
    """Make this process the owner of the machine's socket: the newest connection wins.

    Raises:
        LinkUnknown: the person has no such machine, or it registered anew meanwhile; whoever
            asks must register first, or would take every request of ours for a forgery.
    """
    with transaction.atomic():
        link = (
            Link.objects.select_for_update(no_key=True)
            .filter(user=user, machine_id=machine_id, secret_hash=secret_fingerprint)
            .first()
        )
        if link is None:
            raise LinkUnknown
        now = timezone.now()
        link.node, link.connection_id, link.cause = settings.MESH_NODE, connection_id, ""
        link.offline_after, link.seen_at = now + presence.GRACE, now
        link.save(update_fields=["node", "connection_id", "cause", "offline_after", "seen_at"])
        _tell(link.pk)
    return Claimed(link_id=link.pk, secret=keys.unseal(link.secret))


def release(*, connection_id: str, cause: str) -> bool:
    """Mark the machine offline if ``connection_id`` still owns it; return whether it did.

    A connection that was superseded changes nothing: its successor owns the row. A cause that
    was told before (the person stopped it) stays.
    """
    owned = Link.objects.filter(connection_id=connection_id)
    with transaction.atomic():
        link = owned.first()
        if link is None:
            return False
        gone = {"node": "", "connection_id": "", "offline_after": None}
        if not owned.update(**gone, cause=link.cause or cause):
            return False
        _tell(link.pk)
    return True


def keep_online(*, connection_ids: Collection[str]) -> set[str]:
    """Move the deadlines of the machines that were heard; return the connections that own
    theirs no more."""
    now = timezone.now()
    lost: set[str] = set()
    wanted = list(connection_ids)
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        owned = Link.objects.filter(connection_id__in=part)
        if owned.update(offline_after=now + presence.GRACE, seen_at=now) < len(part):
            lost |= set(part) - set(owned.values_list("connection_id", flat=True))
    return lost


def change_status(*, connection_id: str, status: MachineStatus) -> None:
    """Keep what the machine can do now, if ``connection_id`` still owns it."""
    owned = Link.objects.filter(connection_id=connection_id)
    with transaction.atomic():
        changed = owned.update(capabilities=list(status.capabilities), harnesses=status.harnesses)
        if changed:
            _tell(owned.values_list("pk", flat=True)[0])


def heartbeat(*, user_sub: str, secret: str) -> None:
    """Move the deadline of a machine that has no tunnel.

    Raises:
        BadProof: no live link has this secret.
    """
    now = timezone.now()
    alive = Link.objects.filter(user_id=_user_id(user_sub), secret_hash=fingerprint(secret))
    # One that was stopped has to register again.
    if not alive.exclude(cause=presence.STOPPED).update(
        offline_after=now + presence.GRACE, seen_at=now
    ):
        raise BadProof


def stop(*, user_sub: str, secret: str) -> None:
    """Mark a machine as stopped by its person. Safe to repeat.

    The row stays, because threads are pinned to it.

    Raises:
        BadProof: no link has this secret.
    """
    own = Link.objects.filter(user_id=_user_id(user_sub), secret_hash=fingerprint(secret))
    with transaction.atomic():
        if not own.update(offline_after=None, cause=presence.STOPPED):
            raise BadProof
        _tell(own.values_list("pk", flat=True)[0])


def _tell(link_id: UUID) -> None:
    def ring() -> None:  # a function: Django logs a robust one that fails by its name
        for hook in presence_changed:
            hook(link_id)

    transaction.on_commit(ring, robust=True)


def _user_id(user_sub: str) -> int:
    if not (user_sub.isascii() and user_sub.isdecimal() and len(user_sub) < 19):
        raise BadProof
    return int(user_sub)


def _permitted_url(url: str) -> str:
    """Return ``url`` if a machine may be called there directly, else nothing."""
    if not settings.MESH_ALLOW_LOCALHOST_LINKS:
        return ""
    try:
        parts = urlsplit(url)
        return url if parts.scheme == "http" and parts.hostname == "localhost" else ""
    except ValueError:
        return ""
