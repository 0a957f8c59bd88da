"""The stages of a deleted thread, from hidden to purged.

===================  ==========================================  ==============================
Time since deletion  State of its runs                           Step
===================  ==========================================  ==============================
(not deleted)        any                                         ``NONE``
any time             one is unfinished                           ``STOP``: it is told to stop
less than ``keep``   finished                                    ``KEEP``: it can be restored
``keep`` or more     a machine has yet to be told to stop one    ``WAIT``, for ``STOP_OWED`` more
``keep`` or more     finished, and every stop was delivered      ``PURGE``
(purge has begun)    finished                                    ``PURGE``, whatever ``keep`` says
===================  ==========================================  ==============================

A purge that has begun is finished even if the operator prolongs ``keep`` meanwhile: half of the
rows are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

# A run on an offline machine still has to be stopped when the machine is back. If it has not
# come back by then, it is not expected to.
STOP_OWED: Final = timedelta(days=30)


class Step(Enum):
    """The next action for a thread."""

    NONE = "none"
    STOP = "stop"
    KEEP = "keep"
    WAIT = "wait"
    PURGE = "purge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts that decide about one thread."""

    deleted_at: datetime | None
    purge_began_at: datetime | None = None
    has_unfinished_run: bool = False
    owes_stop: bool = False


def step_of(facts: Facts, *, now: datetime, keep: timedelta) -> Step:
    """Return the next action for a thread that can be restored for ``keep`` after its deletion."""
    if facts.deleted_at is None:
        return Step.NONE
    if facts.has_unfinished_run:
        return Step.STOP
    if facts.purge_began_at is not None:
        return Step.PURGE
    age = now - facts.deleted_at
    if age < keep:
        return Step.KEEP
    if facts.owes_stop and age < keep + STOP_OWED:
        return Step.WAIT
    return Step.PURGE


def is_restorable(facts: Facts, *, now: datetime, keep: timedelta) -> bool:
    """Return whether a deleted thread can be restored completely."""
    if facts.deleted_at is None or facts.purge_began_at is not None:
        return False
    return now - facts.deleted_at < keep


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one model that belong to a thread, and how many one transaction removes.

    ``path`` leads from the model to the thread. SQLite has one writer at a time, so ``batch`` is
    small where one row may hold megabytes.
    """

    model: str
    path: str
    batch: int


# The order in which a thread's rows are removed: a row before the rows it refers to.
PURGED: Final = (
    Rows("Event", "thread", 1_000),
    Rows("Steer", "run__thread", 200),
    Rows("Approval", "run__thread", 200),
    Rows("ApprovalRule", "thread", 200),
    Rows("BackgroundWork", "thread", 200),
    Rows("AgentOptions", "thread", 200),
    Rows("Attachment", "thread", 10),
    Rows("Run", "thread", 100),
    Rows("Message", "thread", 50),
)
