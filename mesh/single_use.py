"""Tickets that work once: used ones are kept as rows until they would have expired anyway.

Rows and not cache entries: a cache drops entries when it is full and when it restarts, and then a
used ticket would work again.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction

from mesh.models import CacheEntry, Invitation, UsedTicket


def use_once(kind: str, value: str, *, expires_at: datetime) -> bool:
    """Use up ``value``; return whether this was its first use.

    ``expires_at`` is a time after which it would be refused anyway. If several processes use it at
    the same time, the insert lets only one through. Call it outside of a transaction that may be
    rolled back.
    """
    try:
        with transaction.atomic():
            UsedTicket.objects.create(digest=digest_of(kind, value), expires_at=expires_at)
    except IntegrityError:
        return False
    return True


def digest_of(kind: str, value: str) -> str:
    """Return the hash that is stored for a used value."""
    return hashlib.sha256(f"{kind}\n{value}".encode()).hexdigest()


def forget_expired(*, now: datetime) -> int:
    """Remove expired tickets, invitations, cache entries and sessions; return how many rows."""
    tickets, _ = UsedTicket.objects.filter(expires_at__lt=now).delete()
    invitations, _ = Invitation.objects.filter(expires_at__lt=now).delete()
    entries, _ = CacheEntry.objects.filter(expires__lt=now).delete()
    sessions, _ = Session.objects.filter(expire_date__lt=now).delete()
    return tickets + invitations + entries + sessions
