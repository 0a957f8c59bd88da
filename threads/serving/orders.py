"""What there is to do for the dispatcher, read from the rows. It sees all threads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from sandboxes.core.resolve import REMOTE_USER
from sandboxes.providers.base import Place
from threads.core import executors
from threads.core.decide import resumed_id
from threads.models import Approval, Run, Steer
from threads.run import state as run_state
from threads.services.attempts import is_lapsed
from threads.serving.turn_input import harness_input
from threads.targets import place_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a dispatcher serves, by ``executors`` (``core/executors.py``): for ``link`` the runs of
    the machines whose sockets are held here, for ``server`` those ``node`` has leased,
    and up to ``room`` more."""

    node: str
    executors: Collection[str]
    links: Collection[UUID]
    room: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run that is to be seen to. ``how``: claim it, follow it, or take it over from a
    process that is lost."""

    run_id: UUID
    executor: str
    kind: str
    harness_id: str
    how: Literal["claim", "follow", "take over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run on its way to, or on, a machine: all that its follower needs."""

    run_id: UUID
    executor: str
    place: Place
    harness_id: str
    fence: int
    last_n: int
    is_stopping: bool
    resting_since: datetime | None
    resting_code: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A stop, an answer or a steer that a sandbox has yet to be told, ``since`` then."""

    id: UUID  # of the run, or of the row of the approval or the steer
    run_id: UUID
    since: datetime
    executor: str
    place: Place
    harness_id: str
    fence: int = 0
    approval_id: str = ""
    decision: str = ""
    reason: str = ""
    answers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """``orphans`` have lost their machine for good; ``awaits_stop``: look again soon."""

    jobs: list[Job]
    stops: list[Delivery]
    answers: list[Delivery]
    steers: list[Delivery]
    orphans: list[UUID]
    awaits_stop: bool


def list_work(scope: Scope) -> Work:
    """Return what is to be done by who serves ``scope``."""
    now = timezone.now()
    unfinished = Run.objects.filter(state__in=run_state.UNFINISHED)
    return Work(
        jobs=_with_room([*_active(scope, now), *_first_queued(scope, now)], scope),
        stops=_stops(scope, now),
        answers=_answers(scope, now),
        steers=_steers(scope, now),
        orphans=list(
            unfinished.filter(
                thread__sandbox_provider_kind=REMOTE_USER, thread__link=None
            ).values_list("pk", flat=True)
        ),
        # Also those of other processes: who finds one overdue ends it.
        awaits_stop=Run.objects.filter(
            state__in=run_state.ACTIVE, cancelled_at__isnull=False
        ).exists(),
    )


# Told to run, and not yet told to stop.
_STOP_DUE = Q(stop_due_at__isnull=False, stop_delivered_at=None)
# A sandbox that can't be told to stop for so long, while its machine is there, does not come up:
# the thread's next message shows that to the person, instead of waiting behind it.
STOP_HOLDS_UP = timedelta(minutes=1)


def _is_awake(now: datetime) -> Q:
    return Q(retry_at=None) | Q(retry_at__lte=now)


def _link_executor(scope: Scope) -> Q:
    links = scope.links if executors.LINK in scope.executors else ()
    return Q(executor=executors.LINK, thread__link__pk__among=links)


def _ours_to_tell(scope: Scope, now: datetime) -> Q:
    """Return the condition of runs whose words are given by this process."""
    if executors.SERVER not in scope.executors:
        return _link_executor(scope)
    held = Q(node=scope.node) | is_lapsed(now)
    return _link_executor(scope) | Q(Q(executor=executors.SERVER), held)


def _active(scope: Scope, now: datetime) -> list[Job]:
    active = Run.objects.filter(
        _ours_to_tell(scope, now), _is_awake(now), state__in=run_state.ACTIVE
    )
    rows = active.order_by("created_at", "id").values_list(
        "pk", "executor", "leased_until", *_WHERE
    )
    jobs = []
    for run_id, executor, leased_until, *where in rows:
        is_lost = executor == executors.SERVER and (leased_until is None or leased_until < now)
        jobs.append(_job(run_id, executor, *where, how="take over" if is_lost else "follow"))
    return jobs


def _first_queued(scope: Scope, now: datetime) -> list[Job]:
    """Return the first queued run of each thread of which nothing else is going on."""
    where = _link_executor(scope)
    if executors.SERVER in scope.executors and scope.room > 0:
        # A loop in the server may need the person's machine for its tools.
        is_there = ~Q(thread__sandbox_provider_kind=REMOTE_USER) | Q(
            thread__link__offline_after__gt=now
        )
        where |= Q(Q(executor=executors.SERVER), is_there)
    in_the_way = Run.objects.filter(thread=OuterRef("thread")).filter(
        Q(state__in=run_state.ACTIVE)
        | Q(_STOP_DUE, Q(resting_since=None) | Q(resting_since__gt=now - STOP_HOLDS_UP))
    )
    queued = Run.objects.filter(where, ~Exists(in_the_way), state=run_state.QUEUED)
    first: dict[UUID, Job] = {}
    ordered = queued.order_by("position", "created_at")
    for thread_id, run_id, executor, *rest in ordered.values_list(
        "thread", "pk", "executor", *_WHERE
    ):
        first.setdefault(thread_id, _job(run_id, executor, *rest, how="claim"))
    return list(first.values())


_WHERE = ("thread__sandbox_provider_kind", "thread__harness_id")


def _job(run_id: UUID, executor: str, kind: str, harness_id: str, *, how: Any) -> Job:
    return Job(run_id=run_id, executor=executor, kind=kind, harness_id=harness_id, how=how)


def _with_room(jobs: list[Job], scope: Scope) -> list[Job]:
    """Leave out what this process has no room for; what it has leased already stays."""
    room = scope.room
    kept = []
    for job in jobs:
        if job.executor == executors.SERVER and job.how != "follow":
            if room <= 0:
                continue
            room -= 1
        kept.append(job)
    return kept


def _stops(scope: Scope, now: datetime) -> list[Delivery]:
    ours = Run.objects.filter(_ours_to_tell(scope, now), _STOP_DUE, _is_awake(now))
    return [
        Delivery(
            id=run.pk,
            run_id=run.pk,
            since=run.stop_due_at or now,
            executor=run.executor,
            place=place_of(run.thread),
            harness_id=run.thread.harness_id,
        )
        for run in ours.select_related("thread__agent")
    ]


def _answers(scope: Scope, now: datetime) -> list[Delivery]:
    ours = Run.objects.filter(_ours_to_tell(scope, now))
    due = _due_answers().filter(run__in=ours).select_related("run__thread__agent")
    return [
        Delivery(
            id=approval.pk,
            run_id=approval.run_id,
            since=approval.answered_at or now,
            executor=approval.run.executor,
            place=place_of(approval.run.thread),
            harness_id=approval.run.thread.harness_id,
            fence=approval.run.fence,
            # As the agent named it, see ``core/decide.py``.
            approval_id=approval.approval_id.removeprefix(resumed_id("", approval.run.resumptions)),
            decision=approval.decision,
            reason=approval.reason,
            answers=approval.answers,
        )
        for approval in due
    ]


def _due_answers() -> QuerySet[Approval]:
    """Return the answers that an agent waits for: none of a run that was told to stop."""
    return Approval.objects.filter(
        run__state__in=run_state.ACTIVE,
        run__cancelled_at=None,
        answered_at__isnull=False,
        delivered_at=None,
        lost_at=None,
    )


def is_answer_due(approval_id: UUID) -> bool:
    """Say whether an answer may still be delivered: the run may have been stopped meanwhile."""
    return _due_answers().filter(pk=approval_id).exists()


def _steers(scope: Scope, now: datetime) -> list[Delivery]:
    ours = Run.objects.filter(
        _ours_to_tell(scope, now), state__in=run_state.ACTIVE, cancelled_at=None
    )
    due = Steer.objects.filter(
        into__in=ours, run__state=run_state.QUEUED, taken_at=None, applied_at=None
    ).select_related("into__thread__agent")
    return [
        Delivery(
            id=steer.pk,
            run_id=steer.into_id,
            since=steer.asked_at,
            executor=steer.into.executor,
            place=place_of(steer.into.thread),
            harness_id=steer.into.thread.harness_id,
        )
        for steer in due
    ]


def find_order(run_id: UUID, *, node: str = "") -> Order | None:
    """Return what a process must know of an active run to follow it.

    ``node`` is its name, under which it holds leases.

    ``None`` when the run has ended, is queued, has lost its machine, or is another's by now.
    """
    reachable = Q(executor=executors.LINK, thread__link__isnull=False) | Q(
        executor=executors.SERVER, node=node
    )
    run = (
        Run.objects.select_related(
            "prompt", "thread__agent", "thread__owner", "thread__organization"
        )
        .filter(reachable, pk=run_id, state__in=run_state.ACTIVE)
        .first()
    )
    if run is None:
        return None
    return Order(
        run_id=run.pk,
        executor=run.executor,
        place=place_of(run.thread),
        harness_id=run.thread.harness_id,
        fence=run.fence,
        last_n=run.last_n,
        is_stopping=run.cancelled_at is not None,
        resting_since=run.resting_since,
        resting_code=run.resting_code,
        input=harness_input(run),
    )
