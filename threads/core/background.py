"""What a sandbox tells of the work beside its runs, read from JSON.

A sandbox is on a person's own machine, so everything in it may be wrong: unknown and malformed
parts are dropped, and each list and text has a limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

MOST_TASKS: Final = 100  # of a thread
MOST_RUNS: Final = 100
MOST_THREADS: Final = 1_000
TITLE_LIMIT: Final = 300  # characters
REASON_LIMIT: Final = 500
# Turns that a program may begin by itself one after the other, without a word from a person.
MOST_IN_A_ROW: Final = 20
# A program that has nothing left in the background may still begin a turn because of it.
LINGER: Final = timedelta(seconds=60)
LEVELS: Final = ("auto", "readonly", "plan")  # each asks more than the one before

# Ids of tasks are part of addresses.
_ID: Final = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,99}")

# No database takes them in text.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnaskedRun:
    """A turn that a program has begun by itself; ``done_n`` is the number of its last event, 0
    while it is in progress."""

    id: UUID
    reason: str
    fence: int = 1
    done_n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadBackground:
    """What the agent of a thread does beside its runs: ``tasks`` that run, as JSON, and ``runs``
    that the server has not stored, the oldest first."""

    tasks: tuple[Json, ...] = ()
    runs: tuple[UnaskedRun, ...] = ()


NOTHING: Final = ThreadBackground()


def read_state(value: object) -> dict[UUID, ThreadBackground]:
    """Return the state of a sandbox by thread, as its feed tells it."""
    threads = value.get("threads") if isinstance(value, Mapping) else None
    found: dict[UUID, ThreadBackground] = {}
    for name, each in list(threads.items())[:MOST_THREADS] if isinstance(threads, dict) else ():
        thread_id = _uuid(name)
        if thread_id is not None and isinstance(each, Mapping):
            found[thread_id] = ThreadBackground(
                tasks=read_tasks(each.get("tasks")), runs=_read_runs(each.get("runs"))
            )
    return found


def read_tasks(value: object) -> tuple[Json, ...]:
    """Return the tasks in ``value``, each with ``id``, ``title``, ``kind`` and ``startedAt``."""
    tasks: dict[str, Json] = {}
    for each in value[:MOST_TASKS] if isinstance(value, list) else ():
        task_id = each.get("id") if isinstance(each, Mapping) else None
        if isinstance(task_id, str) and _ID.fullmatch(task_id):
            tasks.setdefault(task_id, _task(task_id, each))
    return tuple(tasks.values())


def is_stricter(level: str, than: str) -> bool:
    """Return whether an agent asks more at ``level`` than at the other."""
    known = level in LEVELS and than in LEVELS
    return known and LEVELS.index(level) > LEVELS.index(than)


def _task(task_id: str, value: Mapping[str, Any]) -> Json:
    started = value.get("startedAt")
    is_time = isinstance(started, float) and math.isfinite(started)
    return {
        "id": task_id,
        "title": _words(value.get("title"), TITLE_LIMIT) or "Something without a name",
        "kind": "agent" if value.get("kind") == "agent" else "command",
        "startedAt": started if is_time else 0.0,
    }


def _read_runs(value: object) -> tuple[UnaskedRun, ...]:
    runs: dict[UUID, UnaskedRun] = {}
    for each in value[:MOST_RUNS] if isinstance(value, list) else ():
        run_id = _uuid(each.get("runId")) if isinstance(each, Mapping) else None
        if run_id is not None and each.get("fence") == 1:
            reason, done_n = _words(each.get("reason"), REASON_LIMIT), each.get("doneN")
            is_number = isinstance(done_n, int) and 0 <= done_n < 2**31
            runs.setdefault(
                run_id, UnaskedRun(id=run_id, reason=reason, done_n=done_n if is_number else 0)
            )
    return tuple(runs.values())


def _words(value: object, limit: int) -> str:
    return (
        " ".join(_UNSTORABLE.sub("\ufffd", value).split())[:limit] if isinstance(value, str) else ""
    )


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
