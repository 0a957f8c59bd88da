"""Reading threads; every selector for a person takes the viewer, who sees only their own."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import (
    BooleanField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.utils import timezone

from agents.catalog import load_catalog
from agents.models import Agent
from links.selectors import view_of
from mesh.models import Organization, User
from mesh.selectors import NotFound
from sandboxes.core.resolve import LOOPS_IN_SERVER, REMOTE_USER
from threads.core.fold import RESTARTED
from threads.core.run_errors import WITHDRAWN, explain_rest
from threads.core.thread_status import is_unread, thread_status
from threads.journal.rows import EventRow, as_rows
from threads.models import (
    Approval,
    ApprovalRule,
    Attachment,
    BackgroundWork,
    Event,
    Run,
    Steer,
    Thread,
)
from threads.reading.message_pages import page_of as page_of
from threads.run import state as run_state

DELETED_LIMIT = 200  # threads in the list of deleted ones
BRANCH_LIMIT = 6  # branches that a new chat offers
# A reader without a cursor still gets a run that ended at most so long ago.
JUST_ENDED = timedelta(seconds=10)


def get_thread(*, viewer: User, org_slug: str, thread_id: UUID) -> Thread:
    """Return the viewer's thread, ready for ``thread_summary``; one query.

    Raises:
        NotFound: there is none, it was deleted, or it is not the viewer's.
    """
    thread = summarised(visible(viewer)).filter(organization__slug=org_slug, pk=thread_id).first()
    if thread is None:
        raise NotFound
    return thread


def find_thread(*, viewer: User, thread_id: UUID) -> Thread | None:
    """Return the viewer's thread, in any organization; one query."""
    return summarised(visible(viewer)).filter(pk=thread_id).first()


def find_visible(*, viewer: User, thread_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the threads that the viewer may read; one query."""
    return set(visible(viewer).filter(pk__among=thread_ids).values_list("pk", flat=True))


def find_readable(pairs: Collection[tuple[int, UUID]]) -> set[tuple[int, UUID]]:
    """Return those pairs of a person's and a thread's id where the person may read the thread; one
    query for all open streams."""
    threads = Thread.objects.filter(
        pk__among={thread_id for _, thread_id in pairs},
        deleted_at=None,
        organization__memberships__user=F("owner"),
    )
    return set(threads.values_list("owner_id", "pk")) & set(pairs)


def list_deleted(*, viewer: User, organization: Organization, since: datetime) -> list[Thread]:
    """Return the viewer's threads deleted after ``since``, the newest first; one query."""
    deleted = Thread.objects.filter(
        owner=viewer, organization=organization, deleted_at__gt=since, purge_began_at=None
    )
    return list(deleted.order_by("-deleted_at")[:DELETED_LIMIT])


def list_branches(*, viewer: User, agent: Agent) -> list[str]:
    """Return the branches of the viewer's newest threads with ``agent``, each once."""
    here = visible(viewer).filter(organization=agent.organization_id)
    threads = here.filter(agent=agent).exclude(branch="")
    # A thread with a folder of its own has a key instead of a branch.
    named = threads.exclude(branch__startswith="thread:").order_by("-updated_at")
    return list(dict.fromkeys(named.values_list("branch", flat=True)[:50]))[:BRANCH_LIMIT]


def get_file(*, viewer: User, org_slug: str, file_id: UUID) -> Attachment:
    """Return an attached file with its bytes; one query.

    It is for the people who may read its thread, and until it is sent, for the one who attached it.

    Raises:
        NotFound: there is none, or the viewer may not read it.
    """
    may_read = Q(thread__in=visible(viewer)) | Q(
        thread=None, owner=viewer, organization__memberships__user=viewer
    )
    files = Attachment.objects.filter(may_read, pk=file_id, organization__slug=org_slug)
    found = files.first()
    if found is None:
        raise NotFound
    return found


def visible(viewer: User) -> QuerySet[Thread]:
    """Return the threads that the viewer may read."""
    # A person who left the organization may no longer read its threads.
    return Thread.objects.filter(
        owner=viewer, deleted_at=None, organization__memberships__user=viewer
    )


def summarised(threads: QuerySet[Thread]) -> QuerySet[Thread]:
    """Return these threads ready for ``thread_summary``."""
    runs = Run.objects.filter(thread=OuterRef("pk")).order_by()
    # An index in the order of the ends finds the last one immediately, however many there are.
    finished = runs.filter(finished_at__isnull=False).exclude(state=run_state.STEERED)
    finished = finished.exclude(error_code=WITHDRAWN)
    unfinished = runs.filter(finished_at=None)
    active = unfinished.filter(state__in=run_state.ACTIVE)
    stops = Run.objects.filter(stop_due_at__isnull=False, stop_delivered_at=None).order_by()
    stops = stops.exclude(state__in=run_state.ACTIVE)
    return threads.select_related("agent", "link", "organization", "background").annotate(
        active_state=Subquery(active.values("state")[:1]),
        resting_code=Subquery(active.values("resting_code")[:1]),
        # Few stops are due: they are read by an index of their own, once for all threads.
        is_stop_due=ExpressionWrapper(Q(pk__in=stops.values("thread")), BooleanField()),
        has_queued=Exists(unfinished.filter(state=run_state.QUEUED)),
        last_state=Subquery(finished.order_by("-finished_at").values("state")[:1]),
        last_end=Subquery(finished.order_by("-finished_at").values("finished_at")[:1]),
    )


def last_tier(*, thread: Thread) -> str:
    """Return the tier of the thread's last message; empty if it has none."""
    tiers = Run.objects.filter(thread=thread).order_by("-position").values_list("tier", flat=True)
    return tiers.first() or ""


def thread_summary(thread: Thread) -> dict[str, Any]:
    """Return a thread as lists and headers show it; it must come from one of our selectors."""
    row: Any = thread  # has the annotations of ``summarised``
    return {
        "id": str(thread.pk),
        "title": str(thread),
        "status": thread_status(
            active=row.active_state, queued=row.has_queued, last=row.last_state
        ),
        "resting": _resting(row.resting_code),
        "stopDue": row.is_stop_due,
        "unread": is_unread(last=row.last_state, ended=row.last_end, seen=thread.seen_at),
        "background": _background(thread),
        "harnessId": thread.harness_id or None,
        "machine": _machine(thread),
        "runsOnMachine": thread.sandbox_provider_kind == REMOTE_USER
        and thread.harness_id not in LOOPS_IN_SERVER,
        "branch": thread.branch or None,
        "level": thread.approval_level or None,
        "model": thread.model or None,
        "effort": thread.effort or None,
        "locked": bool(thread.harness_id),
        **_abilities(thread),
        "agent": {
            "id": str(thread.agent_id),
            "slug": thread.agent.slug,
            "title": thread.agent.title,
        },
        "createdAt": thread.created_at.isoformat(),
        "updatedAt": thread.updated_at.isoformat(),
    }


def _resting(code: str | None) -> dict[str, str] | None:
    """Return why the active run can't be reached, in words; ``None`` if it can."""
    return {"code": code, "message": explain_rest(code)} if code else None


def _background(thread: Thread) -> list[dict[str, Any]]:
    """Return what its agent runs in the background; ``isStopping``: a stop is on its way."""
    try:
        row = thread.background
    except BackgroundWork.DoesNotExist:
        return []
    return [{**task, "isStopping": task["id"] in row.stops} for task in row.tasks]


def _abilities(thread: Thread) -> dict[str, Any]:
    """Return the abilities of the thread's harness, by the catalog, that pages depend on."""
    kind = load_catalog().find(thread.harness_id)
    return {
        "steer": kind.steer if kind else "next",
        "hearsReasons": kind.hears_reasons if kind else True,
    }


def _machine(thread: Thread) -> dict[str, Any] | None:
    if thread.link is None:
        return None
    link = view_of(thread.link)
    return {"id": str(link.id), "name": link.name, "state": link.state, "cause": link.cause}


def find_answering_run(run: Run) -> UUID | None:
    """Return the id of the run whose agent got the message of ``run`` in the middle of its work;
    ``None`` unless it was handed over."""
    if run.state != run_state.STEERED:
        return None
    return Steer.objects.filter(run=run).values_list("into_id", flat=True).first()


def list_queue(*, thread: Thread) -> list[Run]:
    """Return the queued runs of ``thread`` with their prompts, the next one first."""
    queued = Run.objects.filter(thread=thread, finished_at=None, state=run_state.QUEUED)
    return list(queued.select_related("prompt").order_by("position", "created_at"))


def list_rules(*, thread: Thread) -> list[ApprovalRule]:
    """Return the approval rules of ``thread``, the oldest first."""
    return list(ApprovalRule.objects.filter(thread=thread))


def list_open_questions(*, thread: Thread) -> list[Approval]:
    """Return the unanswered questions of ``thread`` with their runs, the oldest first.

    Leaves out those of runs that plan, where nothing can be allowed in advance, and of runs that
    are being stopped.
    """
    waiting = Approval.objects.filter(
        run__thread=thread,
        run__finished_at=None,
        run__state__in=run_state.ACTIVE,
        run__cancelled_at=None,
        answered_at=None,
        lost_at=None,
        withdrawn_at=None,
    )
    found = waiting.exclude(run__mode="plan").exclude(run__approval_level="plan")
    return list(found.select_related("run", "rule").order_by("asked_at", "id"))


def list_events(*, thread_id: UUID, after: int, limit: int, size: int) -> list[EventRow]:
    """Return the journal of a thread after ``after``: ``limit`` rows, or ``size`` characters.

    The row that reaches ``size`` is the last one, so even a longer row is returned. Takes no
    viewer: the caller has checked the thread with ``get_thread``.
    """
    events = Event.objects.filter(thread_id=thread_id, seq__gt=after).order_by("seq")
    found: list[EventRow] = []
    for row in as_rows(events[:limit], in_memory=50):
        found.append(row)
        size -= len(row.text)
        if size <= 0:
            break
    return found


def start_of(*, thread: Thread, run: Run | None = None, now: datetime | None = None) -> int:
    """Return the cursor for a reader that has none.

    With ``run``, one of the thread: before its first event, or after the events of its lost
    attempts, which are not part of the answer. Otherwise before the active run, or one that has
    just ended; otherwise at the journal's end.
    """
    if run is not None:
        if (restarted := _restarted_at(run)) is not None:
            return restarted
    else:
        since = (now or timezone.now()) - JUST_ENDED
        runs = Run.objects.filter(thread=thread)
        run = (
            runs.filter(finished_at=None).order_by("created_at").first()
            or runs.filter(finished_at__gte=since).order_by("-created_at").first()
        )
    if run is not None:
        first = Event.objects.filter(run=run).order_by("seq").values_list("seq", flat=True).first()
        if first is not None:
            return first - 1
    return Thread.objects.values_list("last_seq", flat=True).get(pk=thread.pk)


def _restarted_at(run: Run) -> int | None:
    """Return the number of the chunk after which the run's last attempt starts."""
    if run.fence < 2:
        return None
    prefix = f'{{"type":"{RESTARTED}"'
    found = Event.objects.filter(run=run, n=None, chunk__startswith=prefix).order_by("-seq")
    return found.values_list("seq", flat=True).first()
