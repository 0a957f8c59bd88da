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
    # Keeps nginx and other proxies from buffering the stream.
    "X-Accel-Buffering": "no",
    "x-vercel-ai-ui-message-stream": "v1",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A reader's request: the thread's events after a number, or those of one run to its end."""

    thread_id: UUID
    after: int
    viewer: Viewer
    run_id: UUID | None = None
    is_over: bool = False


async def follow_thread(request: HttpRequest, org: str, thread_id: UUID) -> HttpResponseBase:
    """``GET …/stream``: the events after ``Last-Event-ID`` (or ``?after=``), then new ones.

    Without a number: the active run, or one that has just ended, from its start. ``?run=`` sends
    one run only, from its start, and ends after it with ``[DONE]``.
    """
    try:
        if request.method != "GET":
            raise MethodNotAllowed
        reading = await database_pool.reads.run(_reading, request, org, thread_id)
    except AppError as exc:
        return JsonResponse(exc.body(), status=exc.status)
    return Stream(events(reading), headers=HEADERS)


def _reading(request: HttpRequest, org: str, thread_id: UUID) -> Reading:
    viewer = viewer_of(request)
    thread = selectors.get_thread(viewer=viewer.user, org_slug=org, thread_id=thread_id)
    run_id = _run_id(request.GET.get("run"))
    cursor = _cursor(request.headers.get("Last-Event-ID") or request.GET.get("after"))
    start = selectors.start_of(thread=thread, run_id=run_id)
    # A reader ahead of the journal (the database was restored) continues at the journal's end.
    after = start if cursor is None else min(cursor, thread.last_seq)
    if after < thread.pruned_seq:
        raise CursorTooOld
    if run_id is None:
        return Reading(thread.pk, after, viewer)
    run = Run.objects.select_related("answer", "prompt").get(pk=run_id)
    # Its first event is its message's. If another run waited for it, only that may be pruned.
    is_cut = cursor is None and run.prompt.seq <= thread.pruned_seq
    if run.answer is not None and (is_cut or run.answer.seq <= thread.pruned_seq):
        raise CursorTooOld("The run's events were removed; its answer is stored.")
    is_over = run.state in run_state.FINISHED and (run.answer is None or run.answer.seq <= after)
    return Reading(thread.pk, after, viewer, run_id, is_over)


def _cursor(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise BadCursor
    return int(text)


def _run_id(text: str | None) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError as exc:
        raise BadRunId from exc


async def events(reading: Reading) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of the stream; the first immediately, so that the headers are sent."""
    yield b": welcome\n\n"
    if reading.is_over:
        yield b"data: [DONE]\n\n"
        return
    batches = follow(reading.thread_id, reading.after)
    viewer = reading.viewer
    rights = (viewer.signed_in, viewer.reads(reading.thread_id))
    try:
        async with aclosing(pieces_while_held(batches, *rights)) as held:
            async for piece in _pieces(reading, held):
                yield piece
    except RightLost as exc:
        # The status has been sent; the reader's next request gets one.
        refusal = Unauthorized() if viewer.signed_in in exc.lost else NotFound()
        yield f"data: {json.dumps(_error_chunk(refusal))}\n\n".encode()


async def _pieces(
    reading: Reading, batches: AsyncGenerator[list[EventRow], None]
) -> AsyncGenerator[bytes, None]:
    last_sent = time.monotonic()
    async for batch in batches:
        rows = [row for row in batch if reading.run_id in (None, row.run_id)]
        if rows:
            yield b"".join(map(_frame, rows))
            await _note_shown(rows)
        elif time.monotonic() - last_sent >= PING_EVERY:
            yield b": ping\n\n"
        else:
            continue
        last_sent = time.monotonic()
        if reading.run_id is not None and any(map(is_finish, rows)):
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
    """Mark a tool's question as shown, once it was sent to a reader."""
    for row in rows:
        if '"tool-approval-request"' in row.text:
            await database_pool.writes.run(services.mark_shown, thread_id=row.thread_id)
            return
