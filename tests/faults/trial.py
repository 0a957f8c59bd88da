"""A long run, broken in the middle of each of its bursts, and caught up with after each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.faults.laptop import Laptop
from tests.faults.reader import Reader
from tests.faults.relay import Relay
from tests.waiting import until

EVERY_MS = 4  # between two pieces of a burst
WITHIN = 60  # seconds, of whatever must come: a machine may be busy with more than this


@dataclass
class Trial:
    """The agent speaks as far as it is allowed to, so what breaks, and when, does not depend on
    how quick the machine is. ``caught_up``: after each fault, the seconds from when the laptop
    was connected again until the reader had everything that had been said."""

    laptop: Laptop
    relay: Relay
    reader: Reader
    pieces: int
    caught_up: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.laptop.allow(0)

    @property
    def prompt(self) -> str:
        return f"pieces {self.pieces} {EVERY_MS}"

    def go_through(self, faults: Sequence[Callable[[], None]]) -> None:
        """Let the agent say everything, a burst a fault, and a last one in peace."""
        for place, fault in enumerate(faults, 1):
            if fault == self.cut:  # a laptop backs off from a network that never holds
                until(self.relay.is_good, within=WITHIN, what="a connection to cut")
            begun, due = self.laptop.spoken, place * self.pieces // (len(faults) + 1)
            self.laptop.allow(due)
            self._said((begun + due) // 2)
            fault()
            self.relay.settle()
            self._come_back(due)
        self.laptop.allow(self.pieces)
        until(lambda: self.reader.is_done, within=WITHIN, what="the end")

    def cut(self) -> None:
        """Break the laptop's connection."""
        self.relay.cut()

    def kill_link(self) -> None:
        """Kill the laptop's link, and start it again."""
        self.laptop.kill_link()
        self.laptop.start()

    def _said(self, pieces: int) -> None:
        until(lambda: self.laptop.spoken >= pieces, within=WITHIN, what=f"piece {pieces}")

    def _come_back(self, due: int) -> None:
        until(lambda: self.relay.is_up, within=WITHIN, what="the laptop connected")
        self._said(due)
        since = time.monotonic()
        until(lambda: self.reader.deltas >= due, within=WITHIN, what="the reader caught up")
        self.caught_up.append(time.monotonic() - since)

    def figures(self) -> str:
        return (
            f"{self.reader.last} events, {self.relay.cuts} cuts, caught up in"
            f" {median(self.caught_up):.2f} s (median), {max(self.caught_up):.2f} s (longest)"
        )


def spread(cuts: int, act: Callable[[], None], others: Mapping[int, Sequence[Callable[[], None]]]):
    """Return ``cuts`` times ``act``, with ``others`` behind as many of them as their key says."""
    order: list[Callable[[], None]] = []
    for n in range(cuts + 1):
        order += [act] * bool(n)
        order += others.get(n, ())
    return order
