"""Decides whether and when a crashed dev server is restarted. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 3  # restarts in a row before giving up
FIRST_WAIT = 1.0  # seconds; doubled each time
STABLE_AFTER = 60.0  # seconds of running after which the count starts again


@dataclass(frozen=True, slots=True)
class Restarts:
    """The number of restarts in a row without a stable run in between."""

    count: int = 0

    def after_crash(self, *, ran_for: float) -> tuple[Restarts, float | None]:
        """Return the new count, and the seconds to wait; ``None`` to give up.

        ``ran_for`` is the number of seconds for which it answered before it crashed.
        """
        count = 0 if ran_for >= STABLE_AFTER else self.count
        if count >= MOST:
            return self, None
        return Restarts(count + 1), FIRST_WAIT * 2**count
