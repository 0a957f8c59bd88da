"""What the program knows of time: two clocks and a way to wait, in one place that tests move."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

TICK: Final = 1.0  # seconds: no event tells of a wake-up, only the clocks, looked at this often
SLEPT: Final = 20.0  # seconds by which the wall clock ran ahead of the other: the machine slept


@dataclass(frozen=True, slots=True)
class Clock:
    """``wall`` goes on while the machine sleeps, ``steady`` and ``sleep`` stand still."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def sleep_or_wake(self, seconds: float, sense: SleepSense | None = None) -> None:
        """Wait; a machine that wakes from sleep does not wait any longer.

        Nor does one that has slept since ``sense`` was made.
        """
        sense = sense or SleepSense(self)
        end = self.steady() + seconds
        while (left := end - self.steady()) > 0 and not sense.slept():
            await self.sleep(min(TICK, left))


class SleepSense:
    """Tells sleep from the wall clock running ahead of the one that stands still meanwhile."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = clock.wall() - clock.steady()

    def slept(self) -> bool:
        """Return whether the machine slept since this was last asked."""
        before, self._ahead = self._ahead, self._clock.wall() - self._clock.steady()
        return self._ahead - before > SLEPT
