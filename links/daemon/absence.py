"""What a reconnecting machine reports about its absence: asleep, or only cut off?

The server sees silence in both cases, and assumes that the next silence has the same cause.
"""

from __future__ import annotations

from links.daemon.clock import Clock, SleepDetector


class Absence:
    """Compares the drift of the two clocks from one greeting to the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sense: SleepDetector | None = None

    def greeting_fields(self) -> dict[str, bool]:
        """Return the fields to add to a greeting; none for the first."""
        if self._sense is None:
            self._sense = SleepDetector(self._clock)
            return {}
        return {"slept": self._sense.slept()}
