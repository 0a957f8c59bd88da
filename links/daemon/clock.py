"""The program's two clocks and its way to wait, in one place that tests can control."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

TICK: Final = 1.0  # seconds between two checks for a wake-up, which no event reports
SLEPT: Final = 20.0  # seconds that the wall clock must gain on the steady one to mean sleep


@dataclass(frozen=True, slots=True)
class Clock:
    """``wall`` advances while the machine sleeps; ``steady`` and ``sleep`` don't."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def sleep_or_wake(self, seconds: float, detector: SleepDetector | None = None) -> None:
        """Wait for ``seconds``, or until the machine wakes from sleep.

        Returns immediately if it has slept since ``detector`` was created.
        """
        detector = detector or SleepDetector(self)
        end = self.steady() + seconds
        while (left := end - self.steady()) > 0 and not detector.slept():
            await self.sleep(min(TICK, left))


class SleepDetector:
    """Detects sleep: the wall clock advances meanwhile, the steady clock does not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = clock.wall() - clock.steady()

    def slept(self) -> bool:
        """Return whether the machine slept since this was last asked."""
        before, self._ahead = self._ahead, self._clock.wall() - self._clock.steady()
        return self._ahead - before > SLEPT
