"""The states of a run, and which state may follow which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

QUEUED: Final = "queued"
DISPATCHED: Final = "dispatched"
RUNNING: Final = "running"
WAITING: Final = "waiting"  # for an approval
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
EXPIRED: Final = "expired"
STEERED: Final = "steered"  # its message was handed over to the run that was active

FINISHED: Final = (COMPLETED, FAILED, CANCELLED, EXPIRED, STEERED)
# On a machine, or on the way to it: at most one per thread.
ACTIVE: Final = (DISPATCHED, RUNNING, WAITING)
UNFINISHED: Final = (QUEUED, *ACTIVE)

# Dispatched may fall back to queued: the laptop was offline before it took the run. An active run
# may be dispatched again: the process that had it was lost, and the next attempt starts.
AFTER: Final[dict[str, tuple[str, ...]]] = {
    QUEUED: (DISPATCHED, CANCELLED, EXPIRED, FAILED, STEERED),
    DISPATCHED: (QUEUED, DISPATCHED, RUNNING, WAITING, COMPLETED, FAILED, CANCELLED, EXPIRED),
    RUNNING: (DISPATCHED, WAITING, COMPLETED, FAILED, CANCELLED),
    WAITING: (DISPATCHED, RUNNING, COMPLETED, FAILED, CANCELLED),
    COMPLETED: (),
    FAILED: (),
    CANCELLED: (),
    EXPIRED: (),
    STEERED: (),
}


class WrongMove(Exception):
    """A bug of ours: the table has no such transition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The state that a run moves to, or stays in, and why.

    ``is_told``: its sandbox reported the end itself, after all else; otherwise the server decided,
    and the machine does not know. ``begins_anew``: with a new attempt of the agent.
    """

    state: str
    code: str = ""
    text: str = ""
    is_told: bool = False
    begins_anew: bool = False

    @property
    def ends(self) -> bool:
        return self.state in FINISHED


def check(before: str, after: str) -> None:
    """Do nothing if a run may go from ``before`` to ``after``.

    Raises:
        WrongMove: the table has no such transition.
    """
    if after not in AFTER[before]:
        raise WrongMove(f"A run that is {before} can't become {after}.")


def states_before(state: str) -> tuple[str, ...]:
    """Return the states that ``state`` may follow."""
    return tuple(before for before, after in AFTER.items() if state in after)
