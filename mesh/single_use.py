"""What may be used once: remembered as rows until it would have expired anyway.

Rows and not entries of a cache: a cache forgets what it has no room for, and all of it when it
restarts, and then a ticket that was used is good again.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction

from mesh.models import CacheEntry, UsedTicket


def use_once(kind: str, value: str, *, expires_at: datetime) -> bool:
    """Use ``value`` up; return whether nobody had used it before.

    ``expires_at`` is a moment after which it is refused for its age. Of several processes at
    once, the insert lets one through. Call it outside of a transaction that may be rolled back.
    """
    try:
        with transaction.atomic():
            UsedTicket.objects.create(digest=digest_of(kind, value), expires_at=expires_at)
    except IntegrityError:
        return False
    return True


def digest_of(kind: str, value: str) -> str:
    """Return what is kept of a value that was used."""
    return hashlib.sha256(f"{kind}\n{value}".encode()).hexdigest()


def forget_expired(*, now: datetime) -> int:
    """Remove what is too old to matter, also the cache's entries and the sessions of browsers;
    return how many rows."""
    tickets, _ = UsedTicket.objects.filter(expires_at__lt=now).delete()
    entries, _ = CacheEntry.objects.filter(expires__lt=now).delete()
    sessions, _ = Session.objects.filter(expire_date__lt=now).delete()
    return tickets + entries + sessions
