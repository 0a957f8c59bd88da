"""Disconnects, rotates or revokes a machine, for its person or an admin.

The process that holds the machine's socket checks its row every few seconds (``links.upkeep``),
and closes the socket.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from links.core import presence
from links.core.presence import Fact
from links.errors import TokenUnknown
from links.models import Link
from links.services.presence_events import notify_on_commit
from links.services.registration import new_secret
from mesh.models import IssuedToken, Pairing, PairingState, User
from mesh.pairing.services import end, sign_out_machine
from mesh.services import revoke_issued_token

_RELEASED: dict[str, Any] = {
    "node": "",
    "node_address": "",
    "connection_id": "",
    "offline_after": None,
}


def revoke(*, link: Link) -> None:
    """Sign the machine out: its tokens and secret end now, its socket within seconds.

    The token that it last registered with is revoked too, even if it is a person's: it is stored
    on the machine.

    It can reconnect only with a sign-in issued later: a new pairing, or a new token. The row
    stays, because threads are pinned to it. Safe to repeat.
    """
    _, sealed = new_secret()
    with transaction.atomic():
        sign_out_machine(user=link.user, machine_id=link.machine_id)
        for issued in IssuedToken.objects.filter(registered=link):
            revoke_issued_token(issued=issued)
        _change(
            link,
            **sealed,
            **_RELEASED,
            cause=presence.cause_of(Fact.SIGN_IN_ENDED),
            revoked_at=timezone.now(),
            registered_with=None,
        )


def revoke_token(*, viewer: User, token_id: UUID) -> None:
    """Revoke one of the viewer's tokens, and sign out the machines that use it.

    Connections that depend on it end within five seconds.

    Raises:
        TokenUnknown: the viewer has no such token.
    """
    issued = IssuedToken.objects.filter(pk=token_id, token__user=viewer).first()
    paired = Pairing.objects.filter(pk=token_id, user=viewer, state=PairingState.PAIRED)
    machines = [row.machine_id for row in (issued, paired.first()) if row and row.machine_id]
    with transaction.atomic():
        uses_it = Q(machine_id__in=machines)
        if issued is not None:
            uses_it |= Q(registered_with=issued)
        for link in Link.objects.select_related("user").filter(uses_it, user=viewer):
            revoke(link=link)
        if issued is not None:
            revoke_issued_token(issued=issued)
        elif not end(paired) and not machines:
            raise TokenUnknown


def rotate(*, link: Link) -> None:
    """Invalidate the machine's secret: it registers again automatically, and gets a new one."""
    _, sealed = new_secret()
    cause = presence.cause_of(Fact.CLOSED_HERE) if link.connection_id else link.cause
    _change(link, **sealed, **_RELEASED, cause=cause)


def disconnect(*, link: Link) -> None:
    """Close the machine's socket; it reconnects automatically."""
    if link.connection_id:
        _change(link, **_RELEASED, cause=presence.cause_of(Fact.CLOSED_HERE))


def _change(link: Link, **fields: Any) -> None:
    with transaction.atomic():
        Link.objects.filter(pk=link.pk).update(**fields)
        notify_on_commit(link.pk)
