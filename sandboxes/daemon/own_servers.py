"""MCP servers that a program asks itself, and for which it waits before it works on a message.

Mesh does not start those of the person's own settings, nor ask those that only the machine reaches
or that have no secret; but of some programs it knows how to start them without. So it gives such a
program a while, then starts it again without them, and does so from the beginning for some
minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from agents.harness.base import Opens, Out
from mesh.plain_files import read_plain, write_plain

logger = logging.getLogger(__name__)

TELL_AFTER: Final = 2.0  # seconds
# Seconds. For a session more than our own gateway takes to give up a server of the agent's
# (``agents.core.mcp``): the program may wait for one of those as well. To start, a program needs
# some itself.
LIMITS: Final[dict[Opens, float]] = {"program": 15.0, "session": 10.0, "message": 10.0}
SILENT_FOR: Final = 300.0  # seconds


NAME: Final = "silent-servers.json"
MOST: Final = 500  # servers that are remembered


class SilentServers:
    """Without which servers programs were started, for some minutes.

    A file at ``path`` has them for all sandboxes of the machine, as hashes, with the time until
    when each counts. Where it can't be read or written, each sandbox remembers its own.
    """

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock
        self._until: dict[str, float] = {}  # hash → time

    def note(self, servers: Iterable[str]) -> None:
        """Remember servers by their hashes. Blocking, as ``among``."""
        until = self._clock() + SILENT_FOR
        known = sorted(self._known().items(), key=lambda item: item[1])
        every = dict(known) | dict.fromkeys(servers, until)
        self._until = dict(list(every.items())[-MOST:])  # the newest
        if self._path is None:
            return
        # Of two sandboxes that write at once, one may lose what the other has just noted: then it
        # is found out again.
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            write_plain(draft, json.dumps(self._until))
            draft.replace(self._path)
        except OSError as exc:
            logger.warning("silent MCP servers can't be kept for other sandboxes: %s", exc)

    def among(self, servers: Mapping[str, str]) -> tuple[str, ...]:
        """Return the names of those of ``servers``, name → hash, without which to start."""
        known = self._known() if servers else {}
        return tuple(name for name, key in servers.items() if key in known)

    def _known(self) -> dict[str, float]:
        now, kept = self._clock(), dict(self._until)
        if self._path is not None:
            with contextlib.suppress(OSError, ValueError, RecursionError):
                found = json.loads(read_plain(self._path))
                kept |= found if isinstance(found, dict) else {}
        # One that counts for longer than we ever say was noted by another clock.
        return {
            key: until
            for key, until in kept.items()
            if isinstance(until, int | float) and now < until <= now + SILENT_FOR
        }


class OpeningWatch:
    """Acts when a program takes long for what it ``opens``; ``act`` gets a function that returns
    the adapter's outputs."""

    def __init__(
        self,
        opens: Opens,
        tell: Callable[[], Sequence[Out]],
        give_up: Callable[[], Sequence[Out]],
        act: Callable[[Callable[[], Sequence[Out]]], None],
    ) -> None:
        self.opens = opens
        later = asyncio.get_running_loop().call_later
        limit = LIMITS[opens]
        # What a program takes to start is no wait for others yet.
        first = limit / 2 if opens == "program" else TELL_AFTER
        self._timers = (later(first, act, tell), later(limit, act, give_up))

    def end(self) -> None:
        for timer in self._timers:
            timer.cancel()
