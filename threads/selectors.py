"""Reading threads; every look-up of a person takes the viewer, who sees their own."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from agents.catalog import load_catalog
from agents.models import Agent
from links.selectors import view_of
from mesh.models import Organization, User
from mesh.selectors import NotFound
from threads.chunks import ui_message
from threads.core.fold import RESTARTED, fold
from threads.core.run_errors import WITHDRAWN, explain
from threads.core.thread_status import is_unread, thread_status
from threads.models import Approval, ApprovalRule, Attachment, Event, Message, Run, Thread
from threads.rows import EventRow
from threads.run import state as run_state

LIST_LIMIT = 200  # threads of one list
BRANCH_LIMIT = 6  # branches that a new chat offers
# A reader without a cursor still gets a run that ended this short a time ago.
JUST_ENDED = timedelta(seconds=10)


def get_thread(*, viewer: User, org_slug: str, thread_id: UUID) -> Thread:
    """Return the viewer's thread, ready for ``thread_summary``; one query.

    Raises:
        NotFound: there is none, it was deleted, or it is not the viewer's.
    """
    thread = _summarised(_visible(viewer)).filter(organization__slug=org_slug, pk=thread_id).first()
    if thread is None:
        raise NotFound
    return thread


def find_thread(*, viewer: User, thread_id: UUID) -> Thread | None:
    """Return the viewer's thread, whatever organization it is in; one query."""
    return _summarised(_visible(viewer)).filter(pk=thread_id).first()


def find_visible(*, viewer: User, thread_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the threads that the viewer may read; one query."""
    return set(_visible(viewer).filter(pk__among=thread_ids).values_list("pk", flat=True))


def find_readable(pairs: Collection[tuple[int, UUID]]) -> set[tuple[int, UUID]]:
    """Return those pairs of a person's and a thread's id where the person may read the thread;
    one query, for all who follow threads."""
    threads = Thread.objects.filter(
        pk__among={thread_id for _, thread_id in pairs},
        deleted_at=None,
        organization__memberships__user=F("owner"),
    )
    return set(threads.values_list("owner_id", "pk")) & set(pairs)


def list_threads(*, viewer: User, organization: Organization) -> list[Thread]:
    """Return the viewer's newest threads, ready for ``thread_summary``; one query."""
    threads = _summarised(_visible(viewer)).filter(organization=organization)
    return list(threads.order_by("-updated_at")[:LIST_LIMIT])


def list_deleted(*, viewer: User, organization: Organization, since: datetime) -> list[Thread]:
    """Return the viewer's threads deleted after ``since``, the newest first; one query."""
    deleted = Thread.objects.filter(
        owner=viewer, organization=organization, deleted_at__gt=since, purge_began_at=None
    )
    return list(deleted.order_by("-deleted_at")[:LIST_LIMIT])


def list_branches(*, viewer: User, agent: Agent) -> list[str]:
    """Return the branches of the viewer's newest threads with ``agent``, each once."""
    threads = _visible(viewer).filter(agent=agent).exclude(branch="")
    # A thread with a folder of its own has a key in the place of a branch.
    named = threads.exclude(branch__startswith="thread:").order_by("-updated_at")
    return list(dict.fromkeys(named.values_list("branch", flat=True)[:50]))[:BRANCH_LIMIT]


def get_file(*, viewer: User, org_slug: str, file_id: UUID) -> Attachment:
    """Return an attached file with its bytes: to who may read its thread, and before it is sent
    to who attached it; one query.

    Raises:
        NotFound: there is none, or it is not for the viewer.
    """
    may_read = Q(thread__in=_visible(viewer)) | Q(
        thread=None, owner=viewer, organization__memberships__user=viewer
    )
    files = Attachment.objects.filter(may_read, pk=file_id, organization__slug=org_slug)
    found = files.first()
    if found is None:
        raise NotFound
    return found


def _visible(viewer: User) -> QuerySet[Thread]:
    # Who has left the organization has left its threads.
    return Thread.objects.filter(
        owner=viewer, deleted_at=None, organization__memberships__user=viewer
    )


def _summarised(threads: QuerySet[Thread]) -> QuerySet[Thread]:
    runs = Run.objects.filter(thread=OuterRef("pk"))
    finished = runs.filter(state__in=run_state.FINISHED).exclude(state=run_state.STEERED)
    finished = finished.exclude(error_code=WITHDRAWN)
    return threads.select_related("agent", "link", "organization").annotate(
        active_state=Subquery(runs.filter(state__in=run_state.ACTIVE).values("state")[:1]),
        has_queued=Exists(runs.filter(state=run_state.QUEUED)),
        last_state=Subquery(finished.order_by("-finished_at").values("state")[:1]),
        last_end=Subquery(finished.order_by("-finished_at").values("finished_at")[:1]),
    )


def thread_summary(thread: Thread) -> dict[str, Any]:
    """Return what lists and headers show of a thread that one of our selectors gave."""
    row: Any = thread  # carries the annotations of _summarised
    return {
        "id": str(thread.pk),
        "title": str(thread),
        "status": thread_status(
            active=row.active_state, queued=row.has_queued, last=row.last_state
        ),
        "unread": is_unread(last=row.last_state, ended=row.last_end, seen=thread.seen_at),
        "harnessId": thread.harness_id or None,
        "machine": _machine(thread),
        "branch": thread.branch or None,
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


def _abilities(thread: Thread) -> dict[str, Any]:
    """Return what the catalog says of the thread's harness that pages must not promise wrongly."""
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


def page_of(thread: Thread) -> dict[str, Any]:
    """Return the messages of ``thread`` and the cursor from which to follow on.

    Both belong to one moment: an answer that came into the journal after the cursor, or is
    not finished, is the fold of its run's events up to the cursor. Answers stand behind what
    they answer, whatever was sent meanwhile; what was withdrawn is left out, and what was
    handed over stands in the answer it was handed to. ``queue`` names what waits, the next one
    first. Four queries.
    """
    cursor = Thread.objects.values_list("last_seq", flat=True).get(pk=thread.pk)
    messages = Message.objects.filter(thread=thread, seq__lte=cursor)
    runs = {
        run.prompt_id: run
        for run in Run.objects.filter(thread=thread).only(
            "id", "prompt_id", "created_at", "position", "error_code", "state"
        )
    }
    answers: dict[UUID, dict[str, Any]] = {}
    prompts: list[Message] = []
    for message in messages:
        if message.role == "assistant":
            answers[message.pk] = ui_message(message)
        elif message.pk not in runs or not _is_gone(runs[message.pk]):
            prompts.append(message)
    prompts.sort(key=lambda each: runs[each.pk].position if each.pk in runs else each.seq)
    open_runs = [runs[p.pk] for p in prompts if p.pk in runs and runs[p.pk].pk not in answers]
    so_far, waiting = _answers_so_far(open_runs, cursor)
    answers.update(so_far)
    page: list[dict[str, Any]] = []
    for prompt in prompts:
        page.append(ui_message(prompt))
        run = runs.get(prompt.pk)
        if run is not None and run.pk in answers:
            page.append(answers[run.pk])
    queue = [
        _waiting(runs[prompt.pk], prompt)
        for prompt in prompts
        if prompt.pk in runs and runs[prompt.pk].pk in waiting
    ]
    return {"messages": page, "cursor": cursor, "queue": queue}


def _waiting(run: Run, prompt: Message) -> dict[str, Any]:
    """Return a run that waits, with the reason that its readers were told, if any."""
    waiting = {"runId": str(run.pk), "messageId": prompt.client_id}
    if run.error_code:
        waiting["code"], waiting["message"] = run.error_code, explain(run.error_code)[0]
    return waiting


def _is_gone(run: Run) -> bool:
    return run.error_code == WITHDRAWN or run.state == run_state.STEERED


def list_queue(*, thread: Thread) -> list[Run]:
    """Return the runs of ``thread`` that wait, with their prompts, the next one first."""
    queued = Run.objects.filter(thread=thread, state=run_state.QUEUED)
    return list(queued.select_related("prompt").order_by("position", "created_at"))


def list_rules(*, thread: Thread) -> list[ApprovalRule]:
    """Return what is allowed for good in ``thread``, the oldest first."""
    return list(ApprovalRule.objects.filter(thread=thread))


def list_open_questions(*, thread: Thread) -> list[Approval]:
    """Return the questions of ``thread`` that nobody has answered, with their runs, the oldest
    first; none of runs that plan, where nothing can be allowed beforehand, or that are told to
    stop."""
    waiting = Approval.objects.filter(
        run__thread=thread,
        run__state__in=run_state.ACTIVE,
        run__cancelled_at=None,
        answered_at=None,
        lost_at=None,
    )
    found = waiting.exclude(run__mode="plan").exclude(run__approval_level="plan")
    return list(found.select_related("run", "rule").order_by("asked_at", "id"))


def _answers_so_far(runs: list[Run], cursor: int) -> tuple[dict[UUID, dict[str, Any]], set[UUID]]:
    """Return the answers in the making, and the runs that wait, as readers were told."""
    events = Event.objects.filter(run__in=runs, seq__lte=cursor).order_by("seq")
    chunks: dict[UUID, list[dict[str, Any]]] = {run.pk: [] for run in runs}
    for row in _as_rows(events):
        if row.run_id is not None:
            chunks[row.run_id].append(row.chunk)
    answers: dict[UUID, dict[str, Any]] = {}
    waiting: set[UUID] = set()
    for run in runs:
        state = _state_told(chunks[run.pk])
        if state == run_state.QUEUED:
            waiting.add(run.pk)
        folded = fold(chunks[run.pk])
        if not folded.is_started:
            continue
        answers[run.pk] = {
            "id": str(run.pk),
            "role": "assistant",
            "parts": folded.parts(),
            "metadata": {
                "createdAt": run.created_at.isoformat(),
                **folded.metadata,
                "runId": str(run.pk),
                "state": state,
            },
        }
    return answers, waiting


def _state_told(chunks: Iterable[dict[str, Any]]) -> str:
    """Return the state that the run's readers were told last."""
    told = [c["data"]["state"] for c in chunks if c.get("type") == "data-run-status"]
    return str(told[-1]) if told else run_state.QUEUED


def list_events(*, thread_id: UUID, after: int, limit: int, size: int) -> list[EventRow]:
    """Return the journal of a thread behind ``after``: ``limit`` rows, or ``size`` characters.

    The row that reaches ``size`` is the last one, so there is one however long it is.
    Takes no viewer: who follows a thread has got it from ``get_thread``.
    """
    events = Event.objects.filter(thread_id=thread_id, seq__gt=after).order_by("seq")
    found: list[EventRow] = []
    for row in _as_rows(events[:limit], in_memory=50):
        found.append(row)
        size -= len(row.text)
        if size <= 0:
            break
    return found


def _as_rows(events: QuerySet[Event], *, in_memory: int = 2_000) -> Iterable[EventRow]:
    values = events.values_list("thread_id", "seq", "run_id", "chunk")
    for row in values.iterator(chunk_size=in_memory):
        yield EventRow(*row)


def start_of(*, thread: Thread, run_id: UUID | None = None, now: datetime | None = None) -> int:
    """Return the cursor for a reader that has none.

    With ``run_id``: before that run's first event, or behind what its lost attempts have said,
    which is not part of the answer. Else before the run that is going on, or that ended just
    now; else at the journal's end.

    Raises:
        NotFound: the thread has no such run.
    """
    runs = Run.objects.filter(thread=thread)
    if run_id is not None:
        run = runs.filter(pk=run_id).first()
        if run is None:
            raise NotFound("The thread has no such run.")
        if (restarted := _restarted_at(run)) is not None:
            return restarted
    else:
        since = (now or timezone.now()) - JUST_ENDED
        run = (
            runs.filter(state__in=run_state.UNFINISHED).order_by("created_at").first()
            or runs.filter(finished_at__gte=since).order_by("-created_at").first()
        )
    if run is not None:
        first = Event.objects.filter(run=run).order_by("seq").values_list("seq", flat=True).first()
        if first is not None:
            return first - 1
    return Thread.objects.values_list("last_seq", flat=True).get(pk=thread.pk)


def _restarted_at(run: Run) -> int | None:
    """Return the number of the chunk behind which the run's last attempt begins."""
    if run.fence < 2:
        return None
    begin = f'{{"type":"{RESTARTED}"'
    found = Event.objects.filter(run=run, n=None, chunk__startswith=begin).order_by("-seq")
    return found.values_list("seq", flat=True).first()
