"""How far the clocks of machines are from ours.

A machine checks the time in each signed request by its own clock, so one whose clock is wrong would
refuse all of them. It says its time when it connects, and in every refusal for that reason, and the
server signs by that time; AWS's clients do the same (clock skew correction). A machine that tells a
wrong time gets signatures that it refuses itself: they are valid for that machine only.

Each process knows what it was told itself; one that was told nothing is corrected by the first
refusal.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

import httpx

from links.wire.errors import CLOCK

WORTH_CORRECTING: Final = 5  # seconds; as much as a slow greeting may take
_REMEMBERED: Final = 10_000  # machines
_FURTHEST: Final = 12  # digits of a time in seconds, as in a signature


class MachineClock:
    """``ahead``: the seconds by which the machine's clock is ahead of ours; 0 if it is about right
    or unknown."""

    __slots__ = ("ahead",)

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> float:
        """Return the time by the machine's clock."""
        return time.time() + self.ahead

    def learn(self, told: object) -> bool:
        """Take the machine's time, in whole seconds, as it was told just now; return whether we
        took it for another. Anything but a time changes nothing."""
        text = str(told)
        if isinstance(told, bool) or not (text.isascii() and text.isdigit()):
            return False
        if len(text) > _FURTHEST:
            return False
        ahead = int(text) - int(time.time())
        ahead = ahead if abs(ahead) >= WORTH_CORRECTING else 0
        if abs(ahead - self.ahead) < WORTH_CORRECTING:
            return False
        self.ahead = ahead
        return True

    def learn_from(self, refusal: httpx.Response) -> bool:
        """Return whether ``refusal`` is one because of the clock, and the request may now pass."""
        return refusal.status_code == 401 and self.learn(refusal.headers.get(CLOCK))


_known: OrderedDict[object, MachineClock] = OrderedDict()


def clock_of(machine: object) -> MachineClock:
    """Return what this process knows of the clock of ``machine``: a link's id, or the handle of a
    sandbox that is on no link."""
    clock = _known.setdefault(machine, MachineClock())
    _known.move_to_end(machine)
    if len(_known) > _REMEMBERED:
        _known.popitem(last=False)
    return clock
