"""The dispatcher's work, read from the rows of all threads."""

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
from threads.models import Approval, BackgroundWork, Run, Steer, Thread
from threads.run import state as run_state
from threads.services.attempts import is_lapsed
from threads.services.revoked_access import owner_may_run
from threads.serving.turn_input import harness_input
from threads.targets import place_of


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkScope:
    """What a dispatcher serves, by ``executors`` (``core/executors.py``): for ``link`` the runs of
    the machines whose sockets this process holds, for ``server`` those that ``node`` has leased,
    and up to ``capacity`` more."""

    node: str
    executors: Collection[str]
    links: Collection[UUID]
    capacity: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run to serve. ``how``: claim it, follow it, or take it over from a process that is
    lost."""

    run_id: UUID
    executor: str
    kind: str
    harness_id: str
    how: Literal["claim", "follow", "take over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run on its way to a machine, or on it: all that its follower needs."""

    run_id: UUID
    executor: str
    place: Place
    harness_id: str
    fence: int
    last_n: int
    is_stopping: bool
    is_unasked: bool  # the agent's program began it by itself: it can be followed, never sent
    resting_since: datetime | None
    resting_code: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A stop, an answer or a steer that a sandbox has not received yet; it is due ``since``."""

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
class Watch:
    """A sandbox to watch, because agents work there in the background. ``threads``: for each of
    its threads with such work what its row says, and whether that must end."""

    executor: str
    place: Place
    harness_id: str
    threads: dict[UUID, tuple[Any, ...]]

    @property
    def key(self) -> tuple[str, str]:
        place = self.place
        return "watch", f"{place.kind} {place.link_id} {place.handle}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """``orphans`` have lost their machine for good; ``awaits_stop``: look again soon."""

    jobs: list[Job]
    stops: list[Delivery]
    answers: list[Delivery]
    steers: list[Delivery]
    watches: list[Watch]
    orphans: list[UUID]
    awaits_stop: bool


def list_work(scope: WorkScope) -> Work:
    """Return the work of the process that serves ``scope``."""
    now = timezone.now()
    unfinished = Run.objects.filter(state__in=run_state.UNFINISHED)
    return Work(
        jobs=_within_capacity([*_active(scope, now), *_first_queued(scope, now)], scope),
        stops=_stops(scope, now),
        answers=_answers(scope, now),
        steers=_steers(scope, now),
        watches=_watches(scope, now),
        orphans=list(
            unfinished.filter(thread__sandbox_provider_kind=REMOTE_USER, thread__link=None)
            .order_by("position")
            .values_list("pk", flat=True)
        ),
        # Stops of other processes too: any process ends a run whose stop is overdue.
        awaits_stop=Run.objects.filter(
            state__in=run_state.ACTIVE, cancelled_at__isnull=False
        ).exists(),
    )


# The machine may still work on the run, and has not received the stop.
_STOP_DUE = Q(stop_due_at__isnull=False, stop_delivered_at=None)
# A sandbox that takes no stop for so long, while its machine is online, does not come up: the
# thread's next message no longer waits for it, and shows the person what is wrong.
STOP_HOLDS_UP = timedelta(minutes=1)


def _is_awake(now: datetime) -> Q:
    return Q(retry_at=None) | Q(retry_at__lte=now)


def _link_executor(scope: WorkScope) -> Q:
    links = scope.links if executors.LINK in scope.executors else ()
    return Q(executor=executors.LINK, thread__link__pk__among=links)


def _ours_to_serve(scope: WorkScope, now: datetime) -> Q:
    """Return the condition of active runs that this process serves, or takes over."""
    if executors.SERVER not in scope.executors:
        return _link_executor(scope)
    held = Q(node=scope.node) | is_lapsed(now)
    return _link_executor(scope) | Q(Q(executor=executors.SERVER), held)


def _active(scope: WorkScope, now: datetime) -> list[Job]:
    active = Run.objects.filter(
        _ours_to_serve(scope, now), _is_awake(now), state__in=run_state.ACTIVE
    )
    rows = active.order_by("created_at", "id").values_list(
        "pk", "executor", "leased_until", *_TARGET
    )
    jobs = []
    for run_id, executor, leased_until, *target in rows:
        is_lost = executor == executors.SERVER and (leased_until is None or leased_until < now)
        jobs.append(_job(run_id, executor, *target, how="take over" if is_lost else "follow"))
    return jobs


def _first_queued(scope: WorkScope, now: datetime) -> list[Job]:
    """Return the first queued run of each thread that has no active run and no stop due."""
    servable = _link_executor(scope)
    if executors.SERVER in scope.executors and scope.capacity > 0:
        # A loop in the server may need the person's machine for its tools.
        is_online = ~Q(thread__sandbox_provider_kind=REMOTE_USER) | Q(
            thread__link__offline_after__gt=now
        )
        servable |= Q(Q(executor=executors.SERVER), is_online)
    # Two subqueries, because each has an index of its own.
    active = Run.objects.filter(
        thread=OuterRef("thread"), finished_at=None, state__in=run_state.ACTIVE
    )
    being_stopped = Run.objects.filter(
        Q(resting_since=None) | Q(resting_since__gt=now - STOP_HOLDS_UP), _STOP_DUE
    )
    is_blocked = Exists(active) | Q(thread__in=being_stopped.values("thread"))
    queued = Run.objects.filter(servable, ~is_blocked, state=run_state.QUEUED)
    first: dict[UUID, Job] = {}
    ordered = queued.order_by("position", "created_at")
    for thread_id, run_id, executor, *target in ordered.values_list(
        "thread", "pk", "executor", *_TARGET
    ):
        first.setdefault(thread_id, _job(run_id, executor, *target, how="claim"))
    return list(first.values())


_TARGET = ("thread__sandbox_provider_kind", "thread__harness_id")


def _job(run_id: UUID, executor: str, kind: str, harness_id: str, *, how: Any) -> Job:
    return Job(run_id=run_id, executor=executor, kind=kind, harness_id=harness_id, how=how)


def _within_capacity(jobs: list[Job], scope: WorkScope) -> list[Job]:
    """Leave out jobs beyond the capacity of this process; runs that it has leased stay."""
    left = scope.capacity
    kept = []
    for job in jobs:
        if job.executor == executors.SERVER and job.how != "follow":
            if left <= 0:
                continue
            left -= 1
        kept.append(job)
    return kept


def _stops(scope: WorkScope, now: datetime) -> list[Delivery]:
    ours = Run.objects.filter(_ours_to_serve(scope, now), _STOP_DUE, _is_awake(now))
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


def _answers(scope: WorkScope, now: datetime) -> list[Delivery]:
    ours = Run.objects.filter(_ours_to_serve(scope, now))
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
            answers=approval.whole_answers,
        )
        for approval in due
    ]


def _due_answers() -> QuerySet[Approval]:
    """Return the answers that an agent waits for; a run that is being stopped has none."""
    return Approval.objects.filter(
        run__state__in=run_state.ACTIVE,
        run__cancelled_at=None,
        answered_at__isnull=False,
        delivered_at=None,
        lost_at=None,
        withdrawn_at=None,
    )


def is_answer_due(approval_id: UUID) -> bool:
    """Say whether an answer may still be delivered: the run may have been stopped meanwhile."""
    return _due_answers().filter(pk=approval_id).exists()


def _steers(scope: WorkScope, now: datetime) -> list[Delivery]:
    ours = Run.objects.filter(
        _ours_to_serve(scope, now), state__in=run_state.ACTIVE, cancelled_at=None
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


def _watches(scope: WorkScope, now: datetime) -> list[Watch]:
    ours = _link_executor(scope)
    if executors.SERVER in scope.executors:
        ours |= Q(Q(executor=executors.SERVER), Q(node=scope.node) | is_lapsed(now))
    found = BackgroundWork.objects.filter(ours).select_related("thread__agent")
    watches: dict[tuple[str, str], Watch] = {}
    for row in found.annotate(may_go_on=owner_may_run()).order_by("pk"):
        thread: Thread = row.thread
        watch = Watch(
            executor=row.executor,
            place=place_of(thread),
            harness_id=thread.harness_id,
            threads={},
        )
        must_end = thread.deleted_at is not None or not row.may_go_on
        facts = (row.tasks, row.stops, must_end)
        watches.setdefault(watch.key, watch).threads[thread.pk] = facts
    return list(watches.values())


def find_order(run_id: UUID, *, node: str = "") -> Order | None:
    """Return the order of an active run for the process ``node``, the holder of its lease.

    ``None`` when the run has ended, is queued, has lost its machine, or is leased to another
    process.
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
        is_unasked=run.prompt.role == "system" and run.fence == 1,
        resting_since=run.resting_since,
        resting_code=run.resting_code,
        input=harness_input(run),
    )
