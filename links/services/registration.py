"""A machine's registration, heartbeats and stop, authenticated by token or secret."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from links.core import presence
from links.core.presence import Fact
from links.errors import BadProof, MachineInUse, MachineRevoked, ProtocolTooOld
from links.models import Link
from links.services.direct_machines import fields_of, permitted_url
from links.services.presence_events import notify_on_commit
from links.wire import version
from links.wire.messages import MachineStatus, Registered, Registration
from links.wire.signing import fingerprint
from mesh import keys
from mesh.models import IssuedToken, User
from mesh.tokens import SignIn, WrongMachine, bind, signed_in_at


def register(
    *,
    user: User,
    registration: Registration,
    sign_in: SignIn | None = None,
    install_hint: str = "",
) -> Registered:
    """Create or renew the link of this person's machine; return its new secret.

    ``sign_in`` is the request's token; a machine's token is bound to this machine. Safe to
    repeat: the same machine keeps its link and gets a new secret, and the old one is invalid
    immediately. ``install_hint`` is the update command for a program that is too old.

    Raises:
        WrongMachine: the token is another machine's; nothing is stored.
        ProtocolTooOld: nothing is stored.
        MachineRevoked: the person signed the machine out after that token was issued.
        MachineInUse: another copy of the machine's files is linked now, and stays so.
    """
    if sign_in is not None and not sign_in.speaks_for(registration.machine_id):
        raise WrongMachine
    if not version.is_supported(registration.protocol_version):
        refuse_outdated(user=user, machine_id=registration.machine_id)
        raise ProtocolTooOld(requiredVersion=version.MINIMUM, installHint=install_hint)
    secret, sealed = new_secret()
    url = permitted_url(registration.tunnel_url)
    fields = {
        "hostname": registration.hostname,
        "cli_version": registration.cli_version,
        "protocol_version": registration.protocol_version,
        "capabilities": list(registration.capabilities),
        "harnesses": registration.harnesses,
        "installation": registration.installation,
        **sealed,
        **fields_of(url, now=timezone.now()),
        "cause": "",
        "revoked_at": None,
        "registered_with": _issued_token(sign_in),
    }
    with transaction.atomic():
        if sign_in is not None:
            bind(sign_in, registration.machine_id)
        link, is_new = Link.objects.select_for_update(no_key=True).get_or_create(
            user=user, machine_id=registration.machine_id, defaults=fields
        )
        if not is_new:
            if link.revoked_at and sign_in and _is_before(sign_in, link.revoked_at):
                raise MachineRevoked
            if _is_used_by_another(link, registration):
                raise MachineInUse
            Link.objects.filter(pk=link.pk).update(**fields)
        notify_on_commit(link.pk)
    return Registered(
        link_id=str(link.pk),
        link_secret=secret,
        user_sub=str(user.pk),
        server_key=keys.public_key(),
        tunnel_url=url,
    )


def refuse_outdated(*, user: User, machine_id: str) -> None:
    """Record for an offline machine that its program is too old."""
    cause = presence.cause_of(Fact.OUTDATED)
    own = Link.objects.filter(user=user, machine_id=machine_id, connection_id="")
    with transaction.atomic():
        if own.exclude(cause=cause).update(cause=cause, offline_after=None):
            notify_on_commit(own.values_list("pk", flat=True)[0])


def prove(*, user_sub: str, secret: str) -> None:
    """Check that a live link has this secret, before its body is read.

    Raises:
        BadProof: no live link has it.
    """
    own = Link.objects.filter(user_id=_user_id(user_sub), secret_hash=fingerprint(secret))
    if not own.exists():
        raise BadProof


def heartbeat(
    *,
    user_sub: str,
    secret: str,
    sign_in: SignIn | None = None,
    status: MachineStatus | None = None,
    server_key: str | None = None,
) -> None:
    """Record that a machine without a tunnel is alive, and its ``status`` if it sent one.

    One that is called at an address stays online only as long as it answers there
    (``links.direct``). Its heartbeats need ``sign_in`` as well: it has no socket that depends on a
    sign-in, and a machine that was signed out must no longer be called.

    Raises:
        BadProof: no live link has this secret, or the required sign-in has ended; or the machine
            knows another ``server_key`` than ours, which it gets by registering.
    """
    if server_key is not None and server_key != keys.public_key():
        raise BadProof
    now = timezone.now()
    alive = Link.objects.filter(user_id=_user_id(user_sub), secret_hash=fingerprint(secret))
    # A stopped machine must register again.
    alive = alive.exclude(cause=presence.STOPPED)
    with transaction.atomic():
        link = alive.only("pk", "offline_after", "tunnel_url", "user_id", "machine_id").first()
        if link is None or (link.tunnel_url and not _is_signed_in(link, sign_in)):
            raise BadProof
        if status is not None:
            alive.update(capabilities=list(status.capabilities), harnesses=status.harnesses)
            notify_on_commit(link.pk)
        if link.tunnel_url:
            alive.update(seen_at=now)
            return
        was_online = link.offline_after is not None and link.offline_after > now
        alive.update(offline_after=now + presence.GRACE, seen_at=now, cause="")
        if not was_online:
            notify_on_commit(link.pk)


def stop(*, user_sub: str, secret: str) -> None:
    """Mark a machine as stopped by its person. Safe to repeat.

    The row stays, because threads are pinned to it.

    Raises:
        BadProof: no link has this secret.
    """
    own = Link.objects.filter(user_id=_user_id(user_sub), secret_hash=fingerprint(secret))
    with transaction.atomic():
        if not own.update(offline_after=None, cause=presence.cause_of(Fact.GOODBYE)):
            raise BadProof
        notify_on_commit(own.values_list("pk", flat=True)[0])


def new_secret() -> tuple[str, dict[str, str]]:
    """Return a new secret, and the row's fields that store it."""
    secret = secrets.token_urlsafe(32)
    return secret, {"secret": keys.seal(secret), "secret_hash": fingerprint(secret)}


def _issued_token(sign_in: SignIn | None) -> IssuedToken | None:
    if sign_in is None or sign_in.pairing_id:
        return None
    return IssuedToken.objects.filter(token=sign_in.token_id).first()


def _is_used_by_another(link: Link, registration: Registration) -> bool:
    """Return whether the machine is online from other files than those that register.

    One that has just started anew looks the same, until it counts as offline.
    """
    installations = {link.installation, registration.installation}
    is_online = link.offline_after is not None and link.offline_after > timezone.now()
    return is_online and len(installations) > 1 and "" not in installations


def _is_before(sign_in: SignIn, moment: datetime) -> bool:
    made = signed_in_at(sign_in)
    return made is not None and made <= moment


def _is_signed_in(link: Link, sign_in: SignIn | None) -> bool:
    """Return whether the token is the link's person's and, if a machine's, of that machine."""
    return (
        sign_in is not None
        and sign_in.user.pk == link.user_id
        and sign_in.speaks_for(link.machine_id)
    )


def _user_id(user_sub: str) -> int:
    if not (user_sub.isascii() and user_sub.isdecimal() and len(user_sub) < 19):
        raise BadProof
    return int(user_sub)
