"""One commit of the journal's writer: the shares of many runs in one transaction."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from threads.core import executors
from threads.core.decide import Decision, Gap, Numbered, Question, RunFacts, decide
from threads.journal import rows
from threads.journal.agent_options import keep_options, note_end
from threads.journal.approval_status import (
    NO_STATUS,
    ApprovalStatus,
    approval_status_of,
    is_question,
    keep_questions,
)
from threads.journal.background import keep_background
from threads.journal.chunks import approval_chunk, status_chunk
from threads.journal.rows import Draft, EventRow
from threads.models import Approval, Run, Thread
from threads.run import state as run_state
from threads.run import transitions
from threads.run.ending import conclude
from threads.run.resuming import resume_run
from threads.run.state import Move
from threads.run.steering import keep_steers
from threads.run.unfinished_answer import UnfinishedAnswer

logger = logging.getLogger(__name__)


class Refused(Exception):
    """The journal takes no more events from this queue."""


class StaleFence(Refused):
    """A newer attempt of the run exists: this one must stop sending."""


class Missing(Refused):
    """A number of the producer is missing; read again from the last committed one."""


@dataclass(frozen=True, slots=True)
class Share:
    """The events that one queue brings to a commit.

    ``ahead`` is the fold of the events before, if the last of these ends a long answer.
    """

    run_id: UUID
    fence: int
    events: Sequence[Numbered]
    ahead: UnfinishedAnswer | None = None


@dataclass(slots=True)
class Outcome:
    """The result of a share. ``has_moved``: the run's state has changed; ``has_answered``: there
    is an answer to deliver; ``has_background``: what runs in the background has changed."""

    last_n: int = 0
    is_over: bool = False
    has_moved: bool = False
    has_answered: bool = False
    has_background: bool = False
    error: Exception | None = None
    rows: list[EventRow] = field(default_factory=list)
    thread_id: UUID | None = None
    owner_id: int | None = None


def commit(shares: Sequence[Share]) -> list[Outcome]:
    """Write all ``shares`` in one transaction and return the outcome of each.

    A stale fence or a missing number refuses its own share, and no other. Events that were
    committed before are dropped, so sending again is safe. A failure writes nothing.
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
                work.outcomes.append(Outcome(error=StaleFence(f"The fence is {run.fence} now.")))
            else:
                work.take(run, share, waits_for.get(run.id, {}))
        work.write()
    return work.outcomes


@dataclass(slots=True)
class _Thread:
    id: UUID
    owner_id: int
    last_seq: int


@dataclass(slots=True, kw_only=True)
class _Run:
    """The facts about a run that a commit needs, and the run's progress in it.

    ``before`` is the state in its row, ``move`` the state to write.
    """

    id: UUID
    thread: _Thread
    before: str
    move: Move
    message_id: str
    fence: int
    last_n: int
    is_stopping: bool
    resumptions: int
    can_resume: bool
    has_session: bool
    ahead: UnfinishedAnswer | None = None


_LOCK = """
    SELECT id FROM threads_thread
    WHERE id IN (SELECT thread_id FROM threads_run WHERE id = ANY(%s::uuid[]))
    ORDER BY id FOR UPDATE
"""
# The columns to read of each run, by field of ``_Run``.
_FACTS = {
    "key": "run.id",
    "message_id": "prompt.client_id",
    "fence": "run.fence",
    "last_n": "run.last_n",
    "state": "run.state",
    "is_stopping": "run.cancelled_at IS NOT NULL",
    "code": "run.error_code",
    "text": "run.error_text",
    "resumptions": "run.resumptions",
    "can_resume": "run.executor = 'link'",
    "has_session": "thread.session_ref <> ''",
    "thread_key": "thread.id",
    "owner_id": "thread.owner_id",
    "last_seq": "thread.last_seq",
}
_READ = f"""
    SELECT {", ".join(_FACTS.values())}
    FROM threads_run run
    JOIN threads_thread thread ON thread.id = run.thread_id
    JOIN threads_message prompt ON prompt.id = run.prompt_id
    WHERE run.id {{among}}
"""  # noqa: S608 - our own names
_KEEP_THREAD = "UPDATE threads_thread SET last_seq = %s WHERE id = %s"
_KEEP_THREADS = """
    UPDATE threads_thread SET last_seq = kept.last_seq
    FROM json_to_recordset(%s) AS kept (last_seq bigint, id uuid)
    WHERE threads_thread.id = kept.id
"""


def _lock(run_ids: Sequence[UUID]) -> dict[UUID, _Run]:
    """Lock the threads of the runs until the commit, in the order of their ids; return the runs.

    All code that changes a run's state locks its thread first, so that is enough. Plain SQL,
    because the ORM takes a millisecond to build these two statements, every time.
    """
    unique = list(dict.fromkeys(run_ids))
    keys = [rows.key(run_id) for run_id in unique]
    runs: dict[UUID, _Run] = {}
    threads: dict[UUID | str, _Thread] = {}
    with rows.together(), connection.cursor() as lock, connection.cursor() as read:
        # All ids in one parameter: the driver is slow with a hundred placeholders.
        if connection.vendor == "postgresql":
            ids = f"{{{','.join(map(str, keys))}}}"
            lock.execute(_LOCK, [ids])
            read.execute(_READ.format(among="= ANY(%s::uuid[])"), [ids])
        else:  # SQLite has one writer, and so nothing to lock
            among = "IN (SELECT value FROM json_each(%s))"
            read.execute(_READ.format(among=among), [json.dumps(keys)])
        found = read.fetchall()
    by_key = dict(zip(keys, unique, strict=True))
    for values in found:
        facts = dict(zip(_FACTS, values, strict=True))
        run_id, key = by_key[facts.pop("key")], facts.pop("thread_key")
        thread = _Thread(_uuid(key), facts.pop("owner_id"), facts.pop("last_seq"))
        state = facts.pop("state")
        move = Move(state=state, code=facts.pop("code"), text=facts.pop("text"))
        runs[run_id] = _Run(
            id=run_id, thread=threads.setdefault(key, thread), before=state, move=move, **facts
        )
    return runs


def _uuid(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _open_approvals(runs: Iterable[_Run]) -> dict[UUID, dict[str, Question]]:
    waiting = [run.id for run in runs if run.before == run_state.WAITING]
    if not waiting:
        return {}
    found: dict[UUID, dict[str, Question]] = defaultdict(dict)
    open_ones = Approval.objects.filter(run__in=waiting, applied_at=None, lost_at=None)
    open_ones = open_ones.filter(withdrawn_at=None)
    fields = ("run_id", "approval_id", "tool_call_id", "decision", "tool")
    for run_id, approval_id, *question in open_ones.values_list(*fields):
        found[run_id][approval_id] = Question(*question)
    return found


class _Commit:
    """Collects what the shares of one transaction write, so that few statements write it."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.outcomes: list[Outcome] = []
        self.numbered: list[tuple[EventRow, Draft]] = []
        self.runs: dict[UUID, _Run] = {}  # runs whose ``last_n`` has changed

    def take(self, run: _Run, share: Share, waits_for: Mapping[str, Question]) -> None:
        """Decide on a share, and collect what follows from it."""
        run.ahead = share.ahead
        # Few shares contain a question: only they read what the person allows.
        approvals = approval_status_of(run.id) if any(map(is_question, share.events)) else NO_STATUS
        facts = RunFacts(
            state=run.move.state,
            last_n=run.last_n,
            is_stopping=run.is_stopping,
            error_code=run.move.code,
            error_text=run.move.text,
            waits_for=waits_for,
            policy=approvals.policy,
            resumptions=run.resumptions,
            can_resume=bool(run.can_resume),
            has_session=bool(run.has_session),
        )
        status = partial(status_chunk, run_id=run.id, message_id=run.message_id)
        try:
            decision = decide(facts, share.events, status=status)
        except Gap as exc:
            self.outcomes.append(Outcome(last_n=run.last_n, error=Missing(str(exc))))
            return
        outcome = Outcome(
            last_n=decision.last_n,
            is_over=decision.move.ends,
            has_moved=decision.move.begins_anew or run.move.state != decision.move.state,
            thread_id=run.thread.id,
            owner_id=run.thread.owner_id,
        )
        self.outcomes.append(outcome)
        if not run.move.ends and decision.last_n > run.last_n:
            outcome.has_answered = any(asked.answered_by for asked in decision.asked)
            self.keep(run, decision, outcome, approvals)

    def keep(
        self,
        run: _Run,
        decision: Decision,
        outcome: Outcome,
        approvals: ApprovalStatus = NO_STATUS,
    ) -> None:
        drafts = [Draft(chunk, run.id, run.fence, n) for chunk, n in decision.chunks]
        if decision.taken or decision.steered or decision.not_steered:
            drafts = keep_steers(run.id, decision, drafts, now=self.now)
        drafts += keep_questions(run.id, decision.asked, approvals, now=self.now)
        if decision.applied:
            drafts += self.applied(run, decision)
        if decision.withdrawn:
            drafts += self.withdrawn(run, decision)
        run.last_n = decision.last_n
        self.runs[run.id] = run
        if decision.session_ref or decision.title:
            self.thread_facts(run, decision)
        if decision.options is not None:
            keep_options(thread_id=run.thread.id, data=decision.options)
        if decision.background is not None:
            outcome.has_background = keep_background(
                thread_id=run.thread.id,
                tasks=decision.background.tasks,
                executor=executors.LINK if run.can_resume else executors.SERVER,
                has_unclaimed=decision.background.has_unclaimed,
                now=self.now,
            )
        if decision.move.ends:
            outcome.rows = self.end(run, decision, drafts)
            return
        if decision.move.begins_anew:
            outcome.rows = self.resume(run, drafts)
            return
        if decision.finish is not None:
            drafts.append(Draft(decision.finish[0], run.id, run.fence, decision.finish[1]))
        numbered = rows.number(run.thread.id, run.thread.last_seq, drafts)
        run.thread.last_seq += len(numbered)
        self.numbered += numbered
        outcome.rows = [row for row, _ in numbered]
        run.move = _clean(decision.move)
        if decision.usage:
            self.usage(run, decision)

    def end(self, run: _Run, decision: Decision, drafts: list[Draft]) -> list[EventRow]:
        """End the run; return all rows that this writes."""
        self.write()  # ``conclude`` reads the run's rows, and continues their numbers
        row = Run.objects.select_related("prompt").get(pk=run.id)
        row.usage = {**row.usage, **rows.clean(decision.usage)}
        move = _clean(decision.move)
        ended = conclude(
            row, move, before=drafts, finish=decision.finish, ahead=run.ahead, now=self.now
        )
        if ended.owed.stop_machine:
            logger.warning(
                "run %s: the agent continued with an answer that Mesh did not give; stopping it",
                run.id,
            )
        run.before, run.thread.last_seq = row.state, ended.rows[-1].seq
        run.move = replace(move, state=row.state)
        note_end(thread_id=run.thread.id, state=row.state, code=move.code)
        return ended.rows

    def resume(self, run: _Run, drafts: list[Draft]) -> list[EventRow]:
        """Resume the run under the next fence: its sandbox died while a person was asked.

        Its follower reads the row again and dispatches the new attempt.
        """
        self.write()
        written = rows.append(run.thread.id, [*drafts, *resume_run(run.id, now=self.now)])
        run.thread.last_seq = written[-1].seq
        run.before, run.move = run_state.DISPATCHED, Move(state=run_state.DISPATCHED)
        run.fence, run.last_n = run.fence + 1, 0
        return written

    def applied(self, run: _Run, decision: Decision) -> list[Draft]:
        """Record which answers the agent has; return the drafts that tell readers."""
        drafts = []
        open_ones = Approval.objects.filter(
            run=run.id, approval_id__in=decision.applied, applied_at=None
        )
        for approval in open_ones:
            approval.delivered_at = approval.delivered_at or self.now
            # Another process may have stamped it since this commit began.
            approval.applied_at = max(self.now, approval.delivered_at)
            approval.sealed_answers = ""
            approval.save(update_fields=["applied_at", "delivered_at", "sealed_answers"])
            drafts.append(Draft(approval_chunk(approval, "applied"), run.id))
        return drafts

    def withdrawn(self, run: _Run, decision: Decision) -> list[Draft]:
        """Record which questions the agent took back, answered or not; return the drafts that tell
        readers."""
        drafts = []
        open_ones = Approval.objects.filter(
            run=run.id, approval_id__in=decision.withdrawn, applied_at=None, withdrawn_at=None
        )
        for approval in open_ones:
            approval.withdrawn_at, approval.sealed_answers = self.now, ""
            approval.save(update_fields=["withdrawn_at", "sealed_answers"])
            drafts.append(Draft(approval_chunk(approval, "withdrawn"), run.id))
        return drafts

    def thread_facts(self, run: _Run, decision: Decision) -> None:
        facts = {"session_ref": decision.session_ref, "title": decision.title}
        Thread.objects.filter(pk=run.thread.id).update(
            **{name: rows.clean(value) for name, value in facts.items() if value}
        )

    def usage(self, run: _Run, decision: Decision) -> None:
        before = Run.objects.values_list("usage", flat=True).get(pk=run.id)
        usage = {**before, **rows.clean(decision.usage)}
        Run.objects.filter(pk=run.id).update(usage=usage)

    def write(self) -> None:
        """Write what was collected so far."""
        if not self.runs:
            return
        rows.insert(self.numbered, now=self.now)
        threads = {run.thread.id: run.thread for run in self.runs.values()}
        with rows.together():
            rows.update_many(
                _KEEP_THREAD,
                _KEEP_THREADS,
                [{"last_seq": one.last_seq, "id": rows.key(one.id)} for one in threads.values()],
            )
            transitions.advance(self.runs.values(), now=self.now)
        for run in self.runs.values():
            run.before = run.move.state
        self.numbered, self.runs = [], {}


def _clean(move: Move) -> Move:
    return replace(move, text=rows.clean(move.text)) if move.text else move
