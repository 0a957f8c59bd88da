"""After ten wrong codes, a person or an address may not try again for a while.

A code has 34 bits and is valid for ten minutes, so guessing one is hopeless anyway; but anybody who
tries is an attacker, and must not get around the limit with many sessions or parallel requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from mesh.models import User, WrongCode
from mesh.pairing.errors import TooManyTries, UnknownCode

MOST: Final = 10
WINDOW: Final = timedelta(minutes=10)


@contextmanager
def guarded(*, user: User, address: str) -> Iterator[None]:
    """Count the block as an attempt; it stays counted only if it raises ``UnknownCode``.

    The attempt is recorded before the code is checked: of any number of simultaneous attempts,
    no more than ``MOST`` are answered.

    Raises:
        TooManyTries: the block is not entered.
    """
    now = timezone.now()
    WrongCode.objects.filter(created_at__lte=now - WINDOW).delete()
    if _most_tries(user, address) >= MOST:
        raise TooManyTries
    attempt = WrongCode.objects.create(user=user, address=address, created_at=now)
    try:
        if _most_tries(user, address) > MOST:
            raise TooManyTries
        yield
    except UnknownCode:
        raise
    except BaseException:
        attempt.delete()
        raise
    else:
        attempt.delete()


def _most_tries(user: User, address: str) -> int:
    tries = WrongCode.objects.filter(Q(user=user) | Q(address=address))
    rows = list(tries.values_list("user_id", "address"))
    return max(
        sum(one == user.pk for one, _ in rows),
        sum(one == address for _, one in rows),
    )
