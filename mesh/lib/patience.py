"""A limit of time that counts only while this process runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

# Seconds that count between two looks at the most. Who looks more often and sees more was frozen:
# stopped by a signal or a debugger, or on a machine that stood still.
MOST: Final = 1.0


class Patience:
    """Ends ``seconds`` after it was made, without the time in which nobody could look.

    For waits that look about every few milliseconds: a process that was frozen in the middle of
    one would otherwise blame the other side for its own absence.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._left, self._clock = seconds, clock
        self._last = clock()

    @property
    def is_over(self) -> bool:
        """Look once more; return whether the time is up."""
        now = self._clock()
        self._left -= min(now - self._last, MOST)
        self._last = now
        return self._left <= 0
