"""A person or an admin puts a machine out: for a moment, until it registers, or for good.

Whoever holds the machine's socket looks at its row every few seconds (``links.upkeep``) and
closes it, whichever process that is.
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
from links.services.presence_events import tell
from links.services.registration import new_secret
from mesh.models import IssuedToken, Pairing, PairingState, User
from mesh.pairing.services import end, sign_out_machine
from mesh.services import revoke_issued_token

_GONE: dict[str, Any] = {
    "node": "",
    "node_address": "",
    "connection_id": "",
    "offline_after": None,
}


def revoke(*, link: Link) -> None:
    """Sign the machine out: tokens and secret are dead at once, the socket within seconds.

    With them ends the token that it last registered with, even where that one is a person's: it
    lies on the machine.

    It comes back only with a sign-in made after now: a new pairing, or a new token. The row
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
            **_GONE,
            cause=presence.cause_of(Fact.SIGN_IN_ENDED),
            revoked_at=timezone.now(),
            registered_with=None,
        )


def revoke_token(*, viewer: User, token_id: UUID) -> None:
    """End one of the viewer's tokens, and sign out the machines that work by it.

    Connections that stand on it end within five seconds.

    Raises:
        TokenUnknown: the viewer has no such token.
    """
    issued = IssuedToken.objects.filter(pk=token_id, token__user=viewer).first()
    paired = Pairing.objects.filter(pk=token_id, user=viewer, state=PairingState.PAIRED)
    machines = [row.machine_id for row in (issued, paired.first()) if row and row.machine_id]
    with transaction.atomic():
        works_by_it = Q(machine_id__in=machines)
        if issued is not None:
            works_by_it |= Q(registered_with=issued)
        for link in Link.objects.select_related("user").filter(works_by_it, user=viewer):
            revoke(link=link)
        if issued is not None:
            revoke_issued_token(issued=issued)
        elif not end(paired) and not machines:
            raise TokenUnknown


def rotate(*, link: Link) -> None:
    """Make the machine's secret worthless: it registers again, by itself, and gets a new one."""
    _, sealed = new_secret()
    cause = presence.cause_of(Fact.CLOSED_HERE) if link.connection_id else link.cause
    _change(link, **sealed, **_GONE, cause=cause)


def disconnect(*, link: Link) -> None:
    """Close the machine's socket; it comes back by itself."""
    if link.connection_id:
        _change(link, **_GONE, cause=presence.cause_of(Fact.CLOSED_HERE))


def _change(link: Link, **fields: Any) -> None:
    with transaction.atomic():
        Link.objects.filter(pk=link.pk).update(**fields)
        tell(link.pk)
