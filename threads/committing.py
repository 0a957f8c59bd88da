"""One commit of the journal's writer: the shares of many runs in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from threads import rows
from threads.chunks import approval_chunk, status_chunk
from threads.core import run_state
from threads.core.decide import Decision, Gap, Numbered, RunFacts, decide
from threads.ending import Ending, conclude
from threads.models import Approval, Run, Thread
from threads.rows import Draft, EventRow

PROGRESS_EVERY = timedelta(seconds=5)


class Refused(Exception):
    """The journal takes nothing more from this lane."""


class StaleFence(Refused):
    """A newer attempt of the run exists: who still sends for this one must go."""


class Missing(Refused):
    """A number of the producer is missing; read again from the last one committed."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one lane brings to a commit."""

    run_id: UUID
    fence: int
    events: Sequence[Numbered]


@dataclass(slots=True)
class Outcome:
    """What became of a share. ``has_moved``: the run's state is another now."""

    last_n: int = 0
    is_over: bool = False
    has_moved: bool = False
    error: Exception | None = None
    rows: list[EventRow] = field(default_factory=list)
    thread_id: UUID | None = None
    owner_id: int | None = None


def commit(shares: Sequence[Share]) -> list[Outcome]:
    """Write all ``shares`` in one transaction and return what became of each.

    A stale fence and a missing number refuse the share they are in, and no other; events that
    were committed before are dropped, so sending again is safe. All or nothing goes in.
    """
    now = timezone.now()
    with transaction.atomic():
        runs = _lock([share.run_id for share in shares])
        waits_for = _open_approvals(runs.values())
        work = _Commit(now)
        for share in shares:
            run = runs.get(share.run_id)
            if run is None:
                work.outcomes.append(Outcome(error=Refused("The run is gone.")))
            elif run.fence != share.fence:
                work.outcomes.append(Outcome(error=StaleFence(f"fence {run.fence} by now")))
            else:
                work.take(run, share, waits_for.get(run.pk, frozenset()))
        work.write()
    return work.outcomes


def _lock(run_ids: Sequence[UUID]) -> dict[UUID, Run]:
    """Return the runs with their threads, both locked: threads first, in the order of ids."""
    threads = Thread.objects.filter(runs__in=run_ids).distinct().values("pk")
    locked = {
        thread.pk: thread
        for thread in Thread.objects.select_for_update()
        .filter(pk__in=threads)
        .order_by("pk")
        .only("pk", "last_seq", "owner_id")
    }
    found = Run.objects.select_for_update(of=("self",)).select_related("prompt")
    runs = {
        run.pk: run
        for run in found.filter(pk__in=run_ids).defer("prompt__parts", "prompt__metadata")
    }
    for run in runs.values():
        run.thread = locked[run.thread_id]
    return runs


def _open_approvals(runs: Any) -> dict[UUID, frozenset[str]]:
    waiting = [run.pk for run in runs if run.state == run_state.WAITING]
    if not waiting:
        return {}
    found: dict[UUID, set[str]] = defaultdict(set)
    open_ones = Approval.objects.filter(run__in=waiting, applied_at=None)
    for run_id, approval_id in open_ones.values_list("run_id", "approval_id"):
        found[run_id].add(approval_id)
    return {run_id: frozenset(ids) for run_id, ids in found.items()}


class _Commit:
    """Gathers what the shares of one transaction write, so that it goes in few statements."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.outcomes: list[Outcome] = []
        self.numbered: list[tuple[EventRow, Draft]] = []
        self.threads: dict[UUID, Thread] = {}
        self.progress: dict[UUID, Run] = {}
        self.changed: dict[UUID, Run] = {}

    def take(self, run: Run, share: Share, waits_for: frozenset[str]) -> None:
        facts = RunFacts(
            state=run.state,
            last_n=run.last_n,
            is_stopping=run.cancel_requested_at is not None,
            error_code=run.error_code,
            error_text=run.error_text,
            waits_for=waits_for,
        )
        try:
            decision = decide(facts, share.events, status=partial(status_chunk, run))
        except Gap as exc:
            self.outcomes.append(Outcome(last_n=run.last_n, error=Missing(str(exc))))
            return
        is_over = bool(decision.end) or run.state in run_state.FINISHED
        outcome = Outcome(
            last_n=decision.last_n,
            is_over=is_over,
            has_moved=run.state != (decision.end or decision.state),
            thread_id=run.thread_id,
            owner_id=run.thread.owner_id,
        )
        self.outcomes.append(outcome)
        if run.state in run_state.FINISHED or decision.last_n == run.last_n:
            return
        self.keep(run, decision, outcome)

    def keep(self, run: Run, decision: Decision, outcome: Outcome) -> None:
        drafts = [Draft(chunk, run.pk, run.fence, n) for chunk, n in decision.chunks]
        drafts += self.approvals(run, decision)
        run.last_n = decision.last_n
        self.progress[run.pk] = run
        if self._is_worth_a_save(run, decision):
            run.progress_at, run.usage = self.now, {**run.usage, **decision.usage}
            self.changed[run.pk] = run
        self.thread_facts(run, decision)
        if decision.end:
            self.write()  # conclude reads the run's rows, and numbers on from the table
            ending = Ending(
                state=decision.end,
                code=decision.error_code,
                text=decision.error_text,
                finish=decision.finish,
            )
            outcome.rows, _ = conclude(run, ending, before=drafts, now=self.now)
            run.thread.last_seq = outcome.rows[-1].seq
            return
        if decision.finish is not None:
            drafts.append(Draft(decision.finish[0], run.pk, run.fence, decision.finish[1]))
        numbered = rows.number(run.thread_id, run.thread.last_seq, drafts)
        run.thread.last_seq += len(numbered)
        self.threads[run.thread_id] = run.thread
        self.numbered += numbered
        outcome.rows = [row for row, _ in numbered]
        run.state = decision.state
        run.error_code, run.error_text = decision.error_code, decision.error_text

    def _is_worth_a_save(self, run: Run, decision: Decision) -> bool:
        """Say whether more than the cursor changes; progress itself is noted every few seconds."""
        return (
            decision.state != run.state
            or decision.error_code != run.error_code
            or bool(decision.usage)
            or self.now - run.progress_at > PROGRESS_EVERY
        )

    def approvals(self, run: Run, decision: Decision) -> list[Draft]:
        """Keep the questions asked and applied; return what readers are told of it."""
        for asked in decision.asked:
            Approval.objects.get_or_create(
                run=run,
                approval_id=asked.approval_id,
                defaults={
                    "tool_call_id": asked.tool_call_id,
                    "tool": rows.clean(asked.tool),
                    "input": rows.clean(asked.input),
                    "level": run.approval_level,
                    "asked_at": self.now,
                },
            )
        drafts = []
        for approval_id in decision.applied:
            applied = Approval.objects.filter(run=run, approval_id=approval_id, applied_at=None)
            for approval in applied:
                approval.applied_at = self.now
                approval.delivered_at = approval.delivered_at or self.now
                approval.save(update_fields=["applied_at", "delivered_at"])
                drafts.append(Draft(approval_chunk(approval, "applied"), run.pk))
        return drafts

    def thread_facts(self, run: Run, decision: Decision) -> None:
        facts = {}
        if decision.session_ref:
            facts["session_ref"] = rows.clean(decision.session_ref)
        if decision.title:
            facts["title"] = rows.clean(decision.title)
        if facts:
            Thread.objects.filter(pk=run.thread_id).update(**facts)

    def write(self) -> None:
        """Write what was gathered so far."""
        if not self.numbered and not self.progress:
            return
        rows.insert(self.numbered, now=self.now)
        _update(Thread, "last_seq", [(t.last_seq, t.pk) for t in self.threads.values()])
        _update(Run, "last_n", [(run.last_n, run.pk) for run in self.progress.values()])
        for run in self.changed.values():
            run.save(update_fields=["state", "usage", "error_code", "error_text", "progress_at"])
        self.numbered, self.threads, self.progress, self.changed = [], {}, {}, {}


def _update(model: type[Thread] | type[Run], column: str, values: list[tuple[int, UUID]]) -> None:
    """Set one number in many rows; the rows are locked, so no condition is needed."""
    quote = connection.ops.quote_name
    plain_id = connection.vendor == "sqlite"
    sql = f"UPDATE {quote(model._meta.db_table)} SET {quote(column)} = %s WHERE id = %s"  # noqa: S608  # names of our own columns
    with connection.cursor() as cursor:
        cursor.executemany(sql, [(n, pk.hex if plain_id else pk) for n, pk in values])
