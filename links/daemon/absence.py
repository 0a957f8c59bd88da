"""What a machine that comes back says of its absence: did it sleep, or was it merely cut off?

The server sees silence both times, and takes the next silence for what this one was.
"""

from __future__ import annotations

from links.daemon.clock import Clock, SleepSense


class Absence:
    """Remembers, from one greeting to the next, how far apart the two clocks were."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sense: SleepSense | None = None

    def told(self) -> dict[str, bool]:
        """Return what to add to a greeting: nothing at the first."""
        if self._sense is None:
            self._sense = SleepSense(self._clock)
            return {}
        return {"slept": self._sense.slept()}
