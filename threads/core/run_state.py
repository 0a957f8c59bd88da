"""Which state of a run may follow which: the one table of it."""

from __future__ import annotations

from typing import Final

QUEUED: Final = "queued"
DISPATCHED: Final = "dispatched"
RUNNING: Final = "running"
WAITING: Final = "waiting"  # for an approval
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
EXPIRED: Final = "expired"
STEERED: Final = "steered"  # its message was handed over to the run that was going on

FINISHED: Final = (COMPLETED, FAILED, CANCELLED, EXPIRED, STEERED)
# On a machine, or on the way to it: at most one per thread.
ACTIVE: Final = (DISPATCHED, RUNNING, WAITING)
UNFINISHED: Final = (QUEUED, *ACTIVE)

# Dispatched may fall back to queued: the laptop was gone before it took the run. What ran may
# be dispatched again: the process that had it was lost, and the next attempt begins.
AFTER: Final[dict[str, tuple[str, ...]]] = {
    QUEUED: (DISPATCHED, CANCELLED, EXPIRED, FAILED, STEERED),
    DISPATCHED: (QUEUED, RUNNING, WAITING, COMPLETED, FAILED, CANCELLED),
    RUNNING: (DISPATCHED, WAITING, COMPLETED, FAILED, CANCELLED),
    WAITING: (DISPATCHED, RUNNING, COMPLETED, FAILED, CANCELLED),
    COMPLETED: (),
    FAILED: (),
    CANCELLED: (),
    EXPIRED: (),
    STEERED: (),
}


def states_before(state: str) -> tuple[str, ...]:
    """Return the states that ``state`` may follow."""
    return tuple(before for before, after in AFTER.items() if state in after)
