"""A person or an admin puts a machine out: for a moment, until it registers, or for good.

Whoever holds the machine's socket looks at its row every few seconds (``links.upkeep``) and
closes it, whichever process that is.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from links.core import presence
from links.core.presence import Fact
from links.models import Link
from links.services.registering import new_secret
from links.services.telling import tell
from mesh.pairing.services import sign_out_machine

_GONE: dict[str, Any] = {
    "node": "",
    "node_address": "",
    "connection_id": "",
    "offline_after": None,
}


def revoke(*, link: Link) -> None:
    """Sign the machine out: sign-ins and secret are dead at once, the socket within seconds.

    It comes back only with a sign-in made after now: a new pairing, or a new token. The row
    stays, because threads are pinned to it. Safe to repeat.
    """
    _, sealed = new_secret()
    with transaction.atomic():
        sign_out_machine(user=link.user, machine_id=link.machine_id)
        _change(
            link,
            **sealed,
            **_GONE,
            cause=presence.cause_of(Fact.SIGN_IN_ENDED),
            revoked_at=timezone.now(),
        )


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
