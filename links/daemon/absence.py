"""What a machine that comes back says of its absence: did it sleep, or was it merely cut off?

The wall clock goes on while a machine sleeps, the monotonic one stands still. The server sees
silence both times, and takes the next silence for what this one was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SLEPT: Final = 20.0  # seconds between the clocks; what network time corrects is less


class Absence:
    """Remembers, from one connection to the next, how far apart the two clocks were."""

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._ahead: float | None = None

    def told(self) -> dict[str, bool]:
        """Return what to add to a greeting: nothing at the first."""
        before, self._ahead = self._ahead, self._wall() - self._steady()
        return {} if before is None else {"slept": self._ahead - before > SLEPT}
