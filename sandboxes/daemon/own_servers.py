"""MCP servers that a program asks itself, and for which it waits before it works on a message.

Mesh does not start those of the person's own settings, nor ask those that only the machine reaches
or that have no secret; but of some programs it knows how to start them without. So it gives such a
program a while, then starts it again without them, and does so from the beginning for some
minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from agents.harness.base import Opens, Out

TELL_AFTER: Final = 2.0  # seconds
# Seconds. For a session more than our own gateway takes to give up a server of the agent's
# (``agents.core.mcp``): the program may wait for one of those as well. To start, a program needs
# some itself.
LIMITS: Final[dict[Opens, float]] = {"program": 15.0, "session": 10.0, "message": 10.0}
SILENT_FOR: Final = 300.0  # seconds


class SilentServers:
    """Which servers each kind of agent was started without, for some minutes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, tuple[float, tuple[str, ...]]] = {}

    def note(self, harness: str, servers: Sequence[str]) -> None:
        self._until[harness] = (self._clock() + SILENT_FOR, tuple(servers))

    def of(self, harness: str) -> tuple[str, ...]:
        """Return the servers without which a program of this kind is to start."""
        until, servers = self._until.get(harness, (0.0, ()))
        return servers if self._clock() < until else ()


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
