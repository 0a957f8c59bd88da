"""Ten wrong codes, and a person, or an address, may try no more for a while.

A code has 34 bits and lives ten minutes, so nobody guesses one anyway; but who tries is up to
no good, and must not be able to try from many sessions or processes at once either.
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
    """Count what happens in the block as a try; only ``UnknownCode`` stays counted.

    The try is written down before the code is looked at: however many come at once, no more
    than ``MOST`` of them are answered.

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
