"""The clocks of a real program in a process of its own, moved by the test through a file.

Time goes on by itself as well; who waits for a while wakes as soon as the hands have passed it.
"""

import asyncio
import json
import time

from links.daemon.clock import Clock

STEP = 0.01


class Hands:
    """The test's end: how far both clocks are ahead of the real ones."""

    def __init__(self, path):
        self._path = path
        self._wall = self.steady = 0.0

    def pass_time(self, seconds):
        """Let so much time pass for a machine that is awake."""
        self._move(seconds, seconds)

    def sleep(self, seconds):
        """Close the lid for so long."""
        self._move(seconds, 0.0)

    def _move(self, wall, steady):
        self._wall += wall
        self.steady += steady
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps([self._wall, self.steady]))
        draft.replace(self._path)


def moved_clock(path):
    """Return the program's end."""

    def ahead():
        return json.loads(path.read_text()) if path.exists() else [0.0, 0.0]

    def steady():
        return time.monotonic() + ahead()[1]

    async def sleep(seconds):
        end = steady() + seconds
        while (left := end - steady()) > 0:
            await asyncio.sleep(min(STEP, left))

    return Clock(lambda: time.time() + ahead()[0], steady, sleep)
