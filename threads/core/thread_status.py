"""A thread's status, derived from the states of its runs."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from threads.run import state as run_state

_OF_RUN: Final = {
    run_state.QUEUED: "queued",
    run_state.DISPATCHED: "running",
    run_state.RUNNING: "running",
    run_state.WAITING: "requires_action",
    run_state.COMPLETED: "completed",
    run_state.FAILED: "failed",
    run_state.EXPIRED: "failed",
    run_state.CANCELLED: "cancelled",
    run_state.STEERED: "completed",
}


def thread_status(*, active: str | None, queued: bool, last: str | None) -> str:
    """Return the status of a thread.

    ``active`` is the state of its run on a machine, ``queued`` whether a run is waiting, and
    ``last`` the state of the run that ended last.
    """
    if active:
        return _OF_RUN[active]
    if queued:
        return "queued"
    return _OF_RUN[last] if last else "idle"


def is_unread(*, last: str | None, ended: datetime | None, seen: datetime) -> bool:
    """Return whether the run that ended last has a result its owner has not seen.

    A cancelled run does not count: its owner stopped it.
    """
    return ended is not None and last != run_state.CANCELLED and ended > seen
