"""The states of a run: which may follow which, and the form of a change."""

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
STEERED: Final = "steered"  # its message was handed over to the run that was going on

FINISHED: Final = (COMPLETED, FAILED, CANCELLED, EXPIRED, STEERED)
# On a machine, or on the way to it: at most one per thread.
ACTIVE: Final = (DISPATCHED, RUNNING, WAITING)
UNFINISHED: Final = (QUEUED, *ACTIVE)

# Dispatched may fall back to queued: the laptop was gone before it took the run. What is active
# may be dispatched again: the process that had it was lost, and the next attempt begins.
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
    """A bug of ours: the table does not let a run go there from where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where a run goes, or stays, and why.

    ``is_told``: its sandbox has said so itself, and all of it; else it is the server's word, of
    which the machine knows nothing. ``begins_anew``: with a new attempt of the agent.
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
    """Let a run go from ``before`` to ``after``.

    Raises:
        WrongMove: the table does not.
    """
    if after not in AFTER[before]:
        raise WrongMove(f"A run that is {before} can't become {after}.")


def states_before(state: str) -> tuple[str, ...]:
    """Return the states that ``state`` may follow."""
    return tuple(before for before, after in AFTER.items() if state in after)
