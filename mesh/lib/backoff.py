"""How long to wait before the next attempt; Mesh decides this nowhere else."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST = 0.5  # seconds
CEILING = 30.0
STABLE_AFTER = 60.0  # after a connection of this length, waits start again from FIRST


@dataclass(slots=True)
class Backoff:
    """Waits that double from ``first`` to ``ceiling``, each shortened by up to a half.

    The jitter spreads out a thousand laptops when a server comes back. Waits get shorter again
    while each leads to a connection as long as the wait: a bad network is not a refusing server.
    """

    first: float = FIRST
    ceiling: float = CEILING
    stable_after: float = STABLE_AFTER
    random: Callable[[], float] = field(default=random.random)
    tries: int = 0
    last: float = 0.0  # the wait before this attempt, in seconds

    def next(self) -> float:
        """Return the seconds to wait now, and count the attempt."""
        # Capped before the power, or a laptop offline for a week overflows a float.
        whole = min(self.ceiling, self.first * 2.0 ** min(self.tries, 30))
        self.tries += 1
        self.last = whole * (1 - 0.5 * self.random())
        return self.last

    def connected_for(self, seconds: float) -> None:
        """Start again from ``first`` if a connection of that length counts as stable.

        One that lasted at least as long as the wait before it halves the next wait.
        """
        if seconds >= self.stable_after:
            self.tries = 0
        elif self.last and seconds >= self.last:
            self.tries = max(0, self.tries - 2)  # that wait has already been counted
