"""A thread's journal as Server-Sent Events: the AI SDK's UI message stream, with numbers."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from mesh import database_pool
from mesh.connection_checks import RightLost, pieces_while_held
from mesh.lib.errors import AppError, MethodNotAllowed, Unauthorized
from mesh.readers import Stream
from mesh.selectors import NotFound
from threads import selectors, services
from threads.errors import BadCursor, BadRunId, CursorTooOld
from threads.journal.rows import EventRow
from threads.models import Run
from threads.reading.follow import follow
from threads.reading.viewers import Viewer, viewer_of
from threads.run import state as run_state

PING_EVERY: Final = 15.0  # seconds
HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    # Keeps nginx and its kind from collecting the stream before they pass it on.
    "X-Accel-Buffering": "no",
    "x-vercel-ai-ui-message-stream": "v1",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader is to get: the thread behind a number, or one run of it to its end."""

    thread_id: UUID
    after: int
    viewer: Viewer
    run_id: UUID | None = None
    is_over: bool = False


async def follow_thread(request: HttpRequest, org: str, thread_id: UUID) -> HttpResponseBase:
    """``GET …/stream``: what is behind ``Last-Event-ID`` (or ``?after=``), then what comes.

    Without a number: the run that goes on, or ended just now, from its start. ``?run=`` sends
    one run only, from its start, and ends after it with ``[DONE]``.
    """
    try:
        if request.method != "GET":
            raise MethodNotAllowed
        wanted = await database_pool.reads.run(_wanted, request, org, thread_id)
    except AppError as exc:
        return JsonResponse(exc.body(), status=exc.status)
    return Stream(events(wanted), headers=HEADERS)


def _wanted(request: HttpRequest, org: str, thread_id: UUID) -> Wanted:
    viewer = viewer_of(request)
    thread = selectors.get_thread(viewer=viewer.user, org_slug=org, thread_id=thread_id)
    run_id = _run_id(request.GET.get("run"))
    given = _cursor(request.headers.get("Last-Event-ID") or request.GET.get("after"))
    start = selectors.start_of(thread=thread, run_id=run_id)
    # Who is ahead of the journal (it was restored from a copy) goes on at its end.
    after = start if given is None else min(given, thread.last_seq)
    if after < thread.pruned_seq:
        raise CursorTooOld
    if run_id is None:
        return Wanted(thread.pk, after, viewer)
    run = Run.objects.select_related("answer", "prompt").get(pk=run_id)
    # Its first event is its message's. Of a run that another waited for, only these may be gone.
    is_cut = given is None and run.prompt.seq <= thread.pruned_seq
    if run.answer is not None and (is_cut or run.answer.seq <= thread.pruned_seq):
        raise CursorTooOld("The run's events were removed; its answer is stored.")
    is_over = run.state in run_state.FINISHED and (run.answer is None or run.answer.seq <= after)
    return Wanted(thread.pk, after, viewer, run_id, is_over)


def _cursor(given: str | None) -> int | None:
    if not given:
        return None
    if not given.isascii() or not given.isdecimal() or len(given) > 18:
        raise BadCursor
    return int(given)


def _run_id(given: str | None) -> UUID | None:
    if not given:
        return None
    try:
        return UUID(given)
    except ValueError as exc:
        raise BadRunId from exc


async def events(wanted: Wanted) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of the stream; the first at once, so that headers leave."""
    yield b": welcome\n\n"
    if wanted.is_over:
        yield b"data: [DONE]\n\n"
        return
    batches = follow(wanted.thread_id, wanted.after)
    viewer = wanted.viewer
    rights = (viewer.signed_in, viewer.reads(wanted.thread_id))
    try:
        async with aclosing(pieces_while_held(batches, *rights)) as held:
            async for piece in _told(wanted, held):
                yield piece
    except RightLost as exc:
        # Who comes back is told with a status.
        refusal = Unauthorized() if viewer.signed_in in exc.lost else NotFound()
        yield f"data: {json.dumps(_error_chunk(refusal))}\n\n".encode()


async def _told(
    wanted: Wanted, batches: AsyncGenerator[list[EventRow], None]
) -> AsyncGenerator[bytes, None]:
    last_sent = time.monotonic()
    async for batch in batches:
        rows = [row for row in batch if wanted.run_id in (None, row.run_id)]
        if rows:
            yield b"".join(map(_frame, rows))
            await _note_shown(rows)
        elif time.monotonic() - last_sent >= PING_EVERY:
            yield b": ping\n\n"
        else:
            continue
        last_sent = time.monotonic()
        if wanted.run_id is not None and any(map(is_finish, rows)):
            yield b"data: [DONE]\n\n"
            return


def _error_chunk(exc: AppError) -> dict[str, str]:
    return {"type": "error", "errorText": str(exc), "code": exc.code}


def _frame(row: EventRow) -> bytes:
    return f"id: {row.seq}\ndata: {row.text}\n\n".encode()


def is_finish(row: EventRow) -> bool:
    """Say whether ``row`` is the last event of its run."""
    return '"finish"' in row.text and row.chunk.get("type") == "finish"


async def _note_shown(rows: list[EventRow]) -> None:
    """Stamp a tool's question as shown, once its reader was sent it."""
    for row in rows:
        if '"tool-approval-request"' in row.text:
            await database_pool.writes.run(services.mark_shown, thread_id=row.thread_id)
            return
