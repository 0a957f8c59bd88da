"""Whether a dev server that crashed is started once more, and when. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 3  # starts in a row after which it is left alone
FIRST_WAIT = 1.0  # seconds; twice as long each time
STABLE_AFTER = 60.0  # seconds: one that ran so long is no server that crashes at once


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often a server was started once more without having run for a while in between."""

    count: int = 0

    def after_crash(self, *, ran_for: float) -> tuple[Restarts, float | None]:
        """Return the count from now on, and the seconds to wait; ``None``: it is given up.

        ``ran_for``: the seconds for which it answered before it crashed.
        """
        count = 0 if ran_for >= STABLE_AFTER else self.count
        if count >= MOST:
            return self, None
        return Restarts(count + 1), FIRST_WAIT * 2**count
