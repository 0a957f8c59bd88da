"""Work that agents do beside the runs they are given: kept, stopped, and taken as runs (ADR 30).

A sandbox tells its whole state (``core/background.py``), again and again; the rows are made equal
to it, so a lost, late or repeated state does no harm. A turn that a program began by itself becomes
a run under the id that the sandbox gave it: once, however often and by however many processes it
is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final, Literal
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from agents.catalog import load_catalog
from mesh.lib.ids import new_id
from mesh.lib.roles import Permission, roles_with
from mesh.models import Membership
from mesh.selectors import NotFound
from sandboxes.core.resolve import REMOTE_USER
from sandboxes.providers.base import Place
from threads.core import executors
from threads.core.background import (
    LINGER,
    MOST_IN_A_ROW,
    NOTHING,
    ThreadBackground,
    UnaskedRun,
    is_stricter,
)
from threads.errors import UnknownTask
from threads.journal import rows
from threads.journal.approval_status import AUTO
from threads.journal.background import keep_background, stop_tasks
from threads.journal.chunks import status_chunk, user_message_chunk
from threads.journal.rows import Draft
from threads.models import Approval, BackgroundWork, Message, Run, Thread
from threads.run import state as run_state
from threads.run import transitions
from threads.run.transitions import LEASE
from threads.services.announcements import announce
from threads.services.revoked_access import owner_may_run
from threads.targets import place_of

logger = logging.getLogger(__name__)

STRICTER: Final = (
    "You have chosen a stricter approval level since, so this turn was stopped. The new level"
    " applies from your next message on."
)
IN_A_ROW: Final = (
    f"The agent has begun {MOST_IN_A_ROW} turns by itself since you last wrote or answered, so this"
    " one was stopped. What it begins now is stopped as well, and not shown, until you send a"
    " message."
)
Taken = Literal["taken", "followed", "stored", "later", "refused"]


@dataclass(slots=True)
class Due:
    """What a sandbox is to be told: runs that are stored up to a number (``acks``), runs that
    nobody may follow (``cancels``), tasks to stop, and threads of which all is to be ended.

    ``waits``: some turn can't be taken before its thread's active run has ended. ``look_in``: when
    to look again without a change; ``None``: there is nothing left to watch.
    """

    acks: list[tuple[UUID, int]] = field(default_factory=list)
    cancels: list[UUID] = field(default_factory=list)
    stops: list[tuple[UUID, str]] = field(default_factory=list)
    ends: list[UUID] = field(default_factory=list)
    waits: bool = False
    look_in: timedelta | None = None


def review_background(
    *, place: Place, state: Mapping[UUID, ThreadBackground], node: str = ""
) -> Due:
    """Make the rows of a sandbox's threads equal to its ``state``, and take the turns in it.

    Returns what the sandbox is to be told. Threads that are not of this sandbox are ignored.
    """
    due = Due()
    for thread_id in _threads_of(place, state):
        try:
            _review_thread(thread_id, state.get(thread_id, NOTHING), due, node)
        except NotFound:  # purged since
            continue
    return due


def _threads_of(place: Place, state: Mapping[UUID, ThreadBackground]) -> list[UUID]:
    """Return the threads of the sandbox that it names, or that have a row."""
    named = Q(pk__in=list(state)) | Q(background__isnull=False)
    kind = Q(sandbox_provider_kind=place.kind, link=place.link_id)
    found = Thread.objects.filter(named, kind).select_related("agent")
    return [each.pk for each in found if place_of(each).handle == place.handle]


def _review_thread(thread_id: UUID, told: ThreadBackground, due: Due, node: str) -> None:
    now = timezone.now()
    with transaction.atomic():
        thread = rows.lock(thread_id)
        last = _last_run(thread)
        if last is None:
            due.cancels += [run.id for run in told.runs]
            return
        if keep_background(thread_id=thread_id, tasks=told.tasks, executor=last.executor, now=now):
            announce(thread_id=thread_id, owner_id=thread.owner_id)
        must_end = thread.deleted_at is not None or not _may_run(thread)
        if must_end and (told.tasks or any(not run.done_n for run in told.runs)):
            due.ends.append(thread_id)
        is_over = not told.tasks
        for run in told.runs:
            taken = "refused" if must_end else _take(thread, last, run, node=node, now=now)
            is_over &= taken in ("stored", "refused")
            _owe(due, run, taken)
        row = BackgroundWork.objects.filter(pk=thread_id).first()
        if row is None:
            return
        due.stops += [(thread_id, task_id) for task_id in row.stops]
        quiet_for = now - (row.quiet_since or now)
        if is_over and (must_end or quiet_for >= LINGER):
            row.delete()
        else:
            left = LINGER - quiet_for if is_over else LINGER
            due.look_in = min(left, due.look_in or left)


def _owe(due: Due, run: UnaskedRun, taken: Taken) -> None:
    if taken == "refused" and not run.done_n:
        due.cancels.append(run.id)
    elif taken in ("refused", "stored") and run.done_n:
        due.acks.append((run.id, run.done_n))
    due.waits |= taken == "later"


def _last_run(thread: Thread) -> Run | None:
    """Return the newest run of the thread that an agent has got: its program has its settings."""
    sent = Run.objects.filter(thread=thread, fence__gt=0)
    sent = sent.exclude(state__in=(run_state.STEERED, run_state.QUEUED))
    return sent.order_by("-position").first()


def _may_run(thread: Thread) -> bool:
    owners = Membership.objects.filter(
        user=thread.owner_id, user__is_active=True, role__in=roles_with(Permission.START)
    )
    return owners.filter(organization=thread.organization_id).exists()


def _take(thread: Thread, last: Run, told: UnaskedRun, *, node: str, now: datetime) -> Taken:
    """Make a run of a turn that the thread's program has begun by itself, unless it is one."""
    known = Run.objects.filter(pk=told.id).first()
    if known is not None and known.thread_id == thread.pk:
        return "stored" if known.state in run_state.FINISHED else "followed"
    if known is not None or _is_taken_id(thread, told.id):
        logger.warning("thread %s: its sandbox gave a turn the id of another: %s", thread, told.id)
        return "refused"
    if thread.runs.filter(finished_at=None, state__in=run_state.ACTIVE).exists():
        return "later"
    if (before := _count_in_a_row(thread)) > MOST_IN_A_ROW:
        logger.info("thread %s: its program begins turn after turn, stopping %s", thread, told.id)
        return "refused"
    stopped = IN_A_ROW if before == MOST_IN_A_ROW else ""
    try:
        with transaction.atomic():
            run = _adopt(thread, last, told, node=node, now=now, stopped=stopped)
    except IntegrityError:  # another run became active meanwhile
        return "later"
    logger.info("run %s: taken from the sandbox, whose program began it by itself", run.pk)
    return "taken"


def _is_taken_id(thread: Thread, run_id: UUID) -> bool:
    """Return whether the answer of a run with this id could not be stored."""
    same = Q(pk=run_id) | Q(thread=thread, client_id=str(run_id))
    return Message.objects.filter(same).exists()


def _count_in_a_row(thread: Thread) -> int:
    """Return how many turns the thread's program has begun by itself since the person last sent a
    message or answered a question; no more than one above the limit is counted."""
    answered = Approval.objects.filter(
        run=OuterRef("pk"), answered_by__isnull=False, answered_at__gt=F("asked_at")
    )
    newest = thread.runs.order_by("-position").annotate(is_answered=Exists(answered))
    facts = newest.values_list("prompt__role", "is_answered")[: MOST_IN_A_ROW + 1]
    in_a_row = takewhile(lambda fact: fact == ("system", False), facts)
    return sum(1 for _ in in_a_row)


def _adopt(
    thread: Thread, last: Run, told: UnaskedRun, *, node: str, now: datetime, stopped: str = ""
) -> Run:
    """Make the run; ``stopped``: it is stopped at once, for this reason in words."""
    kind = load_catalog().find(thread.harness_id)
    words = f"{kind.title if kind else 'The agent'} began this by itself"
    text = f"{words}: {told.reason}" if told.reason else f"{words}."
    prompt = Message.objects.create(
        thread=thread,
        role="system",
        client_id=str(new_id()),
        seq=thread.last_seq + 1,
        parts=rows.clean([{"type": "text", "text": text}]),
        metadata=rows.clean({"unasked": {"reason": told.reason}}),
        created_at=now,
    )
    run, _ = transitions.create(
        may_wait=False,
        now=now,
        id=told.id,
        thread=thread,
        prompt=prompt,
        position=prompt.seq,
        executor=last.executor,
        tier=last.tier,
        model=last.model,
        effort=last.effort,
        mode=last.mode,
        approval_level=last.approval_level,
        # The person has switched the chat to "auto" since its program was started.
        **(
            {"eased_at": now, "eased_by_id": thread.owner_id}
            if thread.approval_level == AUTO and is_stricter(last.approval_level, AUTO)
            else {}
        ),
    )
    transitions.claim(run.pk, node=node or settings.MESH_NODE, only=owner_may_run(), now=now)
    run.refresh_from_db()
    status = status_chunk(run.state, run_id=run.pk, message_id=prompt.client_id)
    drafts = [Draft(user_message_chunk(prompt), run.pk), Draft(status, run.pk)]
    if not told.done_n and is_stricter(thread.approval_level, last.approval_level):
        stopped = stopped or STRICTER
    if stopped:
        transitions.cancel(run, now=now)
        notice = {"source": "mesh", "code": "warning", "text": stopped}
        drafts.append(Draft({"type": "data-notice", "data": notice}, run.pk))
    written = rows.append(thread.pk, drafts)
    Thread.objects.filter(pk=thread.pk).update(updated_at=now)
    announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written, runs=True)
    return run


# Stopping


def stop_task(*, thread: Thread, task_id: str) -> dict[str, Any]:
    """Have one task of the thread's background work stopped, and return it. Safe to repeat.

    The stop is delivered now, or when the machine is back.

    Raises:
        UnknownTask: nothing of that name runs there.
    """
    with transaction.atomic():
        rows.lock(thread.pk)
        if not (tasks := stop_tasks(thread.pk, only=[task_id])):
            raise UnknownTask
        announce(thread_id=thread.pk, owner_id=thread.owner_id, runs=True)
    return tasks[0]


# Watching


def hold_background(*, thread_ids: Collection[UUID], node: str) -> bool:
    """Have ``node`` watch the sandbox of these threads for the next seconds, or go on doing so.

    Returns whether it may: not if another process of the server executor does. A machine is
    watched by the process that holds its socket.
    """
    now = timezone.now()
    free = Q(executor=executors.LINK) | Q(node=node) | Q(leased_until=None)
    found = BackgroundWork.objects.filter(pk__in=thread_ids)
    held = found.filter(free | Q(leased_until__lt=now))
    return bool(held.update(node=node, leased_until=now + LEASE))


def forget_background(*, now: datetime) -> int:
    """Forget the background work of machines that were removed; return how many rows."""
    gone = BackgroundWork.objects.filter(
        thread__sandbox_provider_kind=REMOTE_USER, thread__link=None
    )
    count, _ = gone.delete()
    return count
