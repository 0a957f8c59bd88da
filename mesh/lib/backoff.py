"""How long to wait before the next try; the one place where Mesh decides it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST = 0.5  # seconds
CEILING = 30.0
STABLE_AFTER = 60.0  # a connection that held this long starts again from FIRST


@dataclass(slots=True)
class Backoff:
    """Waits that double from ``first`` to ``ceiling``, each shortened by up to a half.

    The jitter keeps a thousand laptops apart when a server comes back. Waits get shorter again
    while each buys a connection as long as itself: a bad network is no server that refuses.
    """

    first: float = FIRST
    ceiling: float = CEILING
    stable_after: float = STABLE_AFTER
    random: Callable[[], float] = field(default=random.random)
    tries: int = 0
    last: float = 0.0  # the wait before this try, in seconds

    def next(self) -> float:
        """Return the seconds to wait now, and count the try."""
        # Capped before the power, or a laptop offline for a week overflows a float.
        whole = min(self.ceiling, self.first * 2.0 ** min(self.tries, 30))
        self.tries += 1
        self.last = whole * (1 - 0.5 * self.random())
        return self.last

    def connected_for(self, seconds: float) -> None:
        """Start again from ``first`` if a connection of that length counts as stable.

        One that held at least as long as the wait before it makes the next half as long.
        """
        if seconds >= self.stable_after:
            self.tries = 0
        elif self.last and seconds >= self.last:
            self.tries = max(0, self.tries - 2)  # that wait was counted already
