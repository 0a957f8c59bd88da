"""What a thread is doing, told from the states of its runs."""

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

    ``active`` is the state of its run on a machine, ``queued`` whether one waits, ``last``
    the state of the run that ended last.
    """
    if active:
        return _OF_RUN[active]
    if queued:
        return "queued"
    return _OF_RUN[last] if last else "idle"


def is_unread(*, last: str | None, ended: datetime | None, seen: datetime) -> bool:
    """Say whether the run that ended last ended with something its owner has not seen.

    Who stops a run knows that it has stopped.
    """
    return ended is not None and last != run_state.CANCELLED and ended > seen
