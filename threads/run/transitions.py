"""Every transition of a run's state: the only module that writes it.

Each function follows the table in ``state`` and writes, with the state, all that the transition
owes: a stop for the machine, a deadline for a run that waits, the release of a lease. It returns
what it owes, or ``None`` if the run was no longer in a state for it. All of it happens in the
caller's transaction; a caller that changes a run which another process may change has its thread
locked.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from django.db import connection
from django.db.models import Case, F, Q, QuerySet, When

from threads.core import executors
from threads.core.run_errors import WITHDRAWN
from threads.journal import rows
from threads.models import Message, Run
from threads.run import state as run_state
from threads.run.state import Move, WrongMove, check

# How long a message waits for a machine that is away: a weekend, but not a holiday.
WAIT_FOR_MACHINE: Final = timedelta(days=3)
# The holder renews three times as often, so a lease lapses only after two failed renewals.
LEASE: Final = timedelta(seconds=12)
# Bounds of the wait before a machine is tried again: the wait is as long as the machine has been
# unreachable so far. A tunnel that reconnects is back within milliseconds.
FIRST_WAIT: Final = timedelta(seconds=0.05)
LONGEST_WAIT: Final = timedelta(seconds=5)
SHOWN_AFTER: Final = timedelta(seconds=2)  # pages show no reason for a shorter outage

_AWAKE: Final = {"resting_since": None, "resting_code": "", "retry_at": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What a transition of a run's state owes.

    ``stop_machine``: its machine may still work on it; the row says so until the stop is
    delivered. ``expires_at``: the end of its wait for its machine. ``releases_lease``: no process
    serves it any more, which is written too. ``notifies``: there is work for the dispatchers, so
    the caller notifies them after the commit.
    """

    stop_machine: bool = False
    expires_at: datetime | None = None
    releases_lease: bool = False
    notifies: bool = False


def create(*, may_wait: bool, now: datetime, **facts: Any) -> tuple[Run, Owed]:
    """Make a queued run. One that ``may_wait`` for an offline machine gets its deadline now;
    others get it once they wait."""
    expires_at = now + WAIT_FOR_MACHINE if may_wait else None
    run = Run.objects.create(
        state=run_state.QUEUED, created_at=now, progress_at=now, expires_at=expires_at, **facts
    )
    return run, Owed(expires_at=expires_at, notifies=True)


def claim(run_id: UUID, *, node: str, only: Any, now: datetime) -> Owed | None:
    """Take a queued run for ``node``, with the next fence, if the condition ``only`` holds.

    Raises:
        IntegrityError: another run of its thread is active.
    """
    moved = _write(
        Run.objects.filter(only, pk=run_id),
        before=[run_state.QUEUED],
        to=run_state.DISPATCHED,
        columns={
            "fence": F("fence") + 1,
            "last_n": 0,
            "node": node,
            "leased_until": Case(When(executor=executors.SERVER, then=now + LEASE), default=None),
            "progress_at": now,
            "error_code": "",  # that no worker had taken it yet
            **_AWAKE,
        },
    )
    return Owed() if moved else None


def restart(run: Run, *, now: datetime) -> Owed:
    """Start the next attempt of an active run whose attempt no process knows any more."""
    return _next_attempt(run, {"leased_until": now + LEASE, "usage": {}}, now=now)


def resume(run: Run, *, now: datetime) -> Owed:
    """Start the next attempt of a run whose sandbox died while a person was asked."""
    return _next_attempt(run, {"resumptions": run.resumptions + 1}, now=now)


def _next_attempt(run: Run, columns: Mapping[str, Any], *, now: datetime) -> Owed:
    if run.state not in run_state.ACTIVE:
        raise WrongMove(f"A run that is {run.state} has no attempt to follow.")
    fresh = {
        "fence": run.fence + 1,
        "last_n": 0,
        "error_code": "",
        "error_text": "",
        "progress_at": now,
        **_AWAKE,
    }
    _write_one(run, run_state.DISPATCHED, {**fresh, **columns})
    return Owed()


def requeue(run: Run, *, now: datetime) -> Owed:
    """Queue a run again that was never sent. From now on it waits for its machine."""
    expires_at = run.expires_at or now + WAIT_FOR_MACHINE
    _write_one(
        run,
        run_state.QUEUED,
        {"node": "", "leased_until": None, "expires_at": expires_at, **_AWAKE},
    )
    return Owed(expires_at=expires_at, releases_lease=True)


def expect_machine(runs: QuerySet[Run], *, now: datetime) -> int:
    """Give a deadline to those queued ``runs`` that have none; return how many."""
    waiting = runs.filter(state=run_state.QUEUED, expires_at=None)
    return waiting.update(expires_at=now + WAIT_FOR_MACHINE)


def cancel(run: Run, *, now: datetime) -> Owed:
    """Record that a person stops an active run: a stop is due at its machine, once."""
    if run.cancelled_at is None:
        run.cancelled_at, run.stop_due_at = now, run.stop_due_at or now
        Run.objects.filter(pk=run.pk).update(
            cancelled_at=run.cancelled_at, stop_due_at=run.stop_due_at
        )
    return Owed(stop_machine=True, notifies=True)


def stop_delivered(run_id: UUID, *, now: datetime) -> Owed:
    """Record that the machine has the stop of the run. The thread's next message may go."""
    due = Run.objects.filter(pk=run_id, stop_delivered_at=None)
    due.update(stop_delivered_at=now, **_AWAKE)
    return Owed(notifies=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """How a run rests: ``since`` when it can't be reached, and why: the ``code``, once the outage
    is long enough to be shown."""

    since: datetime
    code: str
    retry_at: datetime


def rest(runs: QuerySet[Run], *, since: datetime | None, code: str, now: datetime) -> Rest | None:
    """Let a run rest, or a stop that is due: its machine has been unreachable ``since`` then.

    Without ``since``, the outage starts now. ``runs`` matches the run if it is still as its caller
    knows it; otherwise nothing is written. The longer the outage, the longer the wait. In the
    server executor the run's holder keeps the lease.
    """
    since = since or now
    wait = min(max(now - since, FIRST_WAIT), LONGEST_WAIT)
    found = Rest(
        since=since,
        code=code if now - since >= SHOWN_AFTER else "",
        # Jitter, up to a half: runs that were cut off together are not tried together.
        retry_at=now + wait * (1 - 0.5 * random.random()),  # noqa: S311 - no secret
    )
    renewed = Case(When(leased_until=None, then=None), default=now + LEASE)
    written = runs.update(
        resting_since=since,
        resting_code=found.code,
        retry_at=found.retry_at,
        leased_until=renewed,
    )
    return found if written else None


def wake(run: Run, *, now: datetime) -> Owed:
    """Record that the machine of an active run sends its stream again.

    The outage does not count as the agent's silence; if its length is unknown, all of the silence
    so far is forgiven.
    """
    away = now - run.resting_since if run.resting_since else now - run.progress_at
    run.progress_at = min(now, run.progress_at + away)
    run.resting_since, run.resting_code, run.retry_at = None, "", None
    run.save(update_fields=["progress_at", *_AWAKE])
    return Owed()


def retry_now(runs: QuerySet[Run]) -> int:
    """Have the resting ``runs`` tried again at the next look; return how many."""
    resting = runs.filter(resting_since__isnull=False)
    # While the machine was offline, an undelivered stop says nothing about its sandbox.
    stops = resting.filter(state__in=run_state.FINISHED).update(**_AWAKE)
    return stops + resting.update(retry_at=None)


def end(run: Run, move: Move, *, answer: Message, now: datetime) -> Owed:
    """End a run; its ``last_n`` and ``usage`` are written from ``run``.

    If its machine may still work on it, a stop is due there. In the server executor the holder
    keeps the lease until the stop is delivered: only that process reaches its own loop.
    """
    must_stop = run.state in run_state.ACTIVE and not move.is_told
    duties: dict[str, Any] = (
        {"stop_due_at": run.stop_due_at or now} if must_stop else {"leased_until": None}
    )
    _write_one(
        run,
        move.state,
        {
            "finished_at": now,
            "progress_at": now,
            "answer": answer,
            "error_code": move.code,
            "error_text": move.text,
            "last_n": run.last_n,
            "usage": run.usage,
            # A dispatched run is queued again only if it was not sent.
            "never_sent": run.state == run_state.QUEUED,
            **_AWAKE,
            **duties,
        },
    )
    return Owed(stop_machine=must_stop, releases_lease=not must_stop, notifies=True)


def withdraw_unsent(run: Run) -> None:
    """Record that a person has withdrawn a message that was never sent, after its run ended."""
    run.error_code = WITHDRAWN
    run.save(update_fields=["error_code"])


def hand_over(run: Run, *, now: datetime) -> Owed | None:
    """End a queued run whose message the agent of another run has."""
    moved = _write(
        Run.objects.filter(pk=run.pk),
        before=[run_state.QUEUED],
        to=run_state.STEERED,
        columns={"finished_at": now, "progress_at": now},
    )
    return Owed() if moved else None


class Progress(Protocol):
    """A run that was in the state ``before``, with the progress of its attempt's events."""

    @property
    def id(self) -> UUID: ...

    @property
    def before(self) -> str: ...

    @property
    def last_n(self) -> int: ...

    @property
    def move(self) -> Move: ...


# The columns that the journal writes with each commit, and their types in PostgreSQL.
_PROGRESS: Final = {
    "last_n": "bigint",
    "progress_at": "timestamptz",
    "state": "text",
    "error_code": "text",
    "error_text": "text",
}
_KEEP_RUN: Final = (
    f"UPDATE threads_run SET {', '.join(f'{name} = %s' for name in _PROGRESS)} WHERE id = %s"  # noqa: S608 - our own names
)
_KEEP_RUNS: Final = f"""
    UPDATE threads_run SET {", ".join(f"{name} = kept.{name}" for name in _PROGRESS)}
    FROM json_to_recordset(%s) AS kept
        ({", ".join(f"{name} {type}" for name, type in _PROGRESS.items())}, id uuid)
    WHERE threads_run.id = kept.id
"""  # noqa: S608 - our own names


def advance(made: Iterable[Progress], *, now: datetime) -> None:
    """Write the progress of many runs, none of which ends, with every commit of the journal; in
    PostgreSQL with one statement."""
    stamp = connection.ops.adapt_datetimefield_value(now)
    values = []
    for each in made:
        move = each.move
        if move.state != each.before:
            check(each.before, move.state)
            if move.ends:
                raise WrongMove("Only end() ends a run.")
        values.append(
            {  # in the order of _PROGRESS
                "last_n": each.last_n,
                "progress_at": stamp,
                "state": move.state,
                "error_code": move.code,
                "error_text": move.text,
                "id": rows.key(each.id),
            }
        )
    rows.update_many(_KEEP_RUN, _KEEP_RUNS, values)


def _write_one(run: Run, to: str, columns: Mapping[str, Any]) -> None:
    """Move a run that the caller has locked, in its row and in ``run``."""
    if not _write(Run.objects.filter(pk=run.pk), before=[run.state], to=to, columns=columns):
        raise WrongMove(f"Run {run.pk} is not {run.state} any more.")
    run.state = to
    for name, value in columns.items():
        setattr(run, name, value)


def _write(
    runs: QuerySet[Run], *, before: Collection[str], to: str, columns: Mapping[str, Any]
) -> int:
    """Move those of ``runs`` that are in a state of ``before``; return how many."""
    for each in before:
        check(each, to)
    return runs.filter(Q(state__in=before)).update(state=to, **columns)
