"""Reading a conversation in pages, the newest messages first.

A page contains whole turns: a person's message directly followed by its answer. Turns are in the
order of their runs' ``position``. Only waiting runs exchange their positions, and those are all on
the first page, so no turn moves from one page to another. A page costs the same whether the thread
has ten turns or ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast, Length
from django.urls import reverse

from mesh.selectors import NotFound
from threads.core import ai_sdk
from threads.core.fold import fold
from threads.core.run_errors import WITHDRAWN, explain
from threads.core.shorten import shortened
from threads.journal.chunks import ui_message
from threads.journal.rows import as_rows
from threads.models import Event, Message, Run, Thread
from threads.reading.page_cursors import MessageCursor
from threads.run import state as run_state

TURNS: Final = 30  # of a page, unless the reader asks for another limit
MOST_TURNS: Final = 100
SIZE: Final = 512 * 1024  # characters of a page's parts; the turn that reaches them is the last
MOST_WAITING: Final = 100  # ``services.messages`` lets no more wait in a thread


@dataclass(frozen=True, slots=True)
class _Turns:
    """The runs of a page, the oldest first, and the positions from which its neighbours start."""

    runs: list[Run]
    oldest: int | None
    newest: int | None

    def cursors(self) -> dict[str, str | None]:
        """Return the cursors of the pages on both sides; None where there is none."""
        older = None if self.oldest is None else str(MessageCursor(self.oldest))
        newer = None if self.newest is None else str(MessageCursor(self.newest, is_newer=True))
        return {"older": older, "newer": newer}


def page_of(
    thread: Thread,
    *,
    behind: MessageCursor | None = None,
    limit: int = TURNS,
    is_short: bool = False,
    sdk: str = ai_sdk.VERSIONS[0],
) -> dict[str, Any]:
    """Return a page of ``thread``, and the cursor from which to follow its journal.

    Both describe the same moment: an answer that was stored after the cursor, or is not finished,
    is the fold of its run's events up to the cursor. Withdrawn messages are left out; steers are
    part of the answer that they were handed over to. A message that was never sent has no answer:
    its metadata says why, as ``neverSent``. ``queue`` lists the waiting messages, the
    next one first. ``older`` and ``newer`` are the cursors of the adjacent pages, None at the
    thread's ends. With ``is_short``, long outputs of stored answers are cut (``core/shorten.py``).
    ``sdk`` is the version of the AI SDK whose forms of the parts are wanted.
    Five queries.
    """
    cursor = Thread.objects.values_list("last_seq", flat=True).get(pk=thread.pk)
    turns = _turns(thread, behind, limit)
    stored = {
        message.pk: message
        for message in Message.objects.filter(pk__in=_ids(turns.runs), seq__lte=cursor)
    }
    runs = [run for run in turns.runs if run.prompt_id in stored]
    open_runs = [run for run in runs if run.pk not in stored]
    answers, waiting = _answers_so_far(open_runs, cursor)
    page: list[dict[str, Any]] = []
    for run in runs:
        prompt = ui_message(stored[run.prompt_id])
        if run.pk in stored and run.never_sent:
            page.append(prompt | {"metadata": prompt["metadata"] | {"neverSent": _unsent(run)}})
            continue
        page.append(prompt)
        if run.pk in stored:
            answer = ui_message(stored[run.pk])
            page.append(_short(answer, thread) if is_short else answer)
        elif run.pk in answers:
            page.append(answers[run.pk])
    if sdk == "7":
        page = [each | {"parts": ai_sdk.parts_for_version_7(each["parts"])} for each in page]
    queue = [_waiting(run, stored[run.prompt_id]) for run in runs if run.pk in waiting]
    return {"messages": page, "cursor": cursor, "queue": queue, **turns.cursors()}


def _short(answer: dict[str, Any], thread: Thread) -> dict[str, Any]:
    address = reverse("part", args=[thread.organization.slug, thread.pk, answer["id"]])

    def url(call_id: str) -> str:
        return f"{address}?{urlencode({'toolCallId': call_id})}"

    return {**answer, "parts": [shortened(part, url=url) for part in answer["parts"]]}


def get_part(thread: Thread, *, message_id: UUID, call_id: str) -> dict[str, Any]:
    """Return the part of a stored answer with this tool call, uncut.

    Raises:
        NotFound: the thread has no such answer, or the answer no such call.
    """
    message = Message.objects.filter(thread=thread, pk=message_id).first()
    for part in message.parts if message else ():
        if part.get("toolCallId") == call_id:
            found: dict[str, Any] = part
            return found
    raise NotFound("The thread has no such answer of a tool.")


def cursor_at(thread: Thread, message_id: str) -> MessageCursor:
    """Return the cursor of the page that begins with the turn of this message.

    Raises:
        NotFound: the thread shows no such message.
    """
    shown = _shown(thread)
    run = shown.filter(prompt__thread=thread, prompt__client_id=message_id).first()
    if run is None and (run_id := _as_uuid(message_id)):  # an answer is named as its run
        run = shown.filter(pk=run_id).first()
    if run is None:
        raise NotFound("The thread has no such message.")
    return MessageCursor(run.position - 1, is_newer=True)


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _shown(thread: Thread) -> QuerySet[Run]:
    """Return the runs whose messages the conversation shows."""
    gone = Q(error_code=WITHDRAWN) | Q(state=run_state.STEERED)
    fields = ("id", "thread_id", "prompt_id", "created_at", "position", "error_code", "error_text")
    shown = Run.objects.filter(thread=thread).exclude(gone)
    return shown.only(*fields, "state", "never_sent")


def _turns(thread: Thread, behind: MessageCursor | None, limit: int) -> _Turns:
    runs = _shown(thread)
    if behind is None:
        newest = list(runs.order_by("-position")[: limit + MOST_WAITING + 1])
        # The page shows waiting messages above the composer, so it needs all of them.
        waiting = [run for run in newest if run.state == run_state.QUEUED]
        others = [run for run in newest if run.state != run_state.QUEUED]
        taken = _within(others, limit)
        found = sorted([*waiting, *taken], key=lambda run: run.position)
        oldest = taken[-1].position if len(taken) < len(others) else None
        return _Turns(found, oldest=oldest, newest=None)
    if behind.is_newer:
        later = list(runs.filter(position__gt=behind.position).order_by("position")[: limit + 1])
        taken = _within(later, limit)
        has_older = runs.filter(position__lte=behind.position).exists()
        first = behind.position + 1 if has_older else None
        last = taken[-1].position if len(taken) < len(later) else None
        return _Turns(taken, oldest=first, newest=last)
    before = runs.filter(position__lt=behind.position).exclude(state=run_state.QUEUED)
    earlier = list(before.order_by("-position")[: limit + 1])
    taken = _within(earlier, limit)
    oldest = taken[-1].position if len(taken) < len(earlier) else None
    return _Turns(taken[::-1], oldest=oldest, newest=behind.position - 1)


def _within(runs: list[Run], limit: int) -> list[Run]:
    """Return the first runs, as many as fit on a page; at least one."""
    runs = runs[:limit]
    sizes = dict(
        Message.objects.filter(pk__in=_ids(runs))
        .order_by()
        .annotate(size=Length(Cast("parts", TextField())))
        .values_list("pk", "size")
    )
    taken: list[Run] = []
    left = SIZE
    for run in runs:
        if taken and left <= 0:
            break
        taken.append(run)
        left -= sizes.get(run.prompt_id, 0) + sizes.get(run.pk, 0)
    return taken


def _ids(runs: Iterable[Run]) -> list[UUID]:
    """Return the ids of the messages of these runs; an answer has its run's id."""
    return [each for run in runs for each in (run.prompt_id, run.pk)]


def _waiting(run: Run, prompt: Message) -> dict[str, Any]:
    """Return the queue entry of a waiting run, with the reason that its readers got, if any."""
    waiting = {"runId": str(run.pk), "messageId": prompt.client_id}
    if run.error_code:
        waiting["code"], waiting["message"] = run.error_code, explain(run.error_code)[0]
    return waiting


def _unsent(run: Run) -> dict[str, Any]:
    """Return why the run's message was never sent, as its readers were told."""
    facts = {"runId": str(run.pk)}
    if run.error_code:
        message, hint = explain(run.error_code, run.error_text)
        facts |= {"code": run.error_code, "message": message, "hint": hint}
    return facts


def _answers_so_far(runs: list[Run], cursor: int) -> tuple[dict[UUID, dict[str, Any]], set[UUID]]:
    """Return the unfinished answers, and the waiting runs, as in the journal at ``cursor``."""
    events = Event.objects.filter(run__in=runs, seq__lte=cursor).order_by("seq")
    chunks: dict[UUID, list[dict[str, Any]]] = {run.pk: [] for run in runs}
    for row in as_rows(events):
        if row.run_id is not None:
            chunks[row.run_id].append(row.chunk)
    answers: dict[UUID, dict[str, Any]] = {}
    waiting: set[UUID] = set()
    for run in runs:
        state = _last_state(chunks[run.pk]) or run.state  # its events may be pruned
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


def _last_state(chunks: Iterable[dict[str, Any]]) -> str | None:
    """Return the newest state of the run in its ``chunks``."""
    states = [c["data"]["state"] for c in chunks if c.get("type") == "data-run-status"]
    return str(states[-1]) if states else None
