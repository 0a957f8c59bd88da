"""A thread's journal as Server-Sent Events: the AI SDK's UI message stream, with numbers."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from mesh import database_pool
from mesh.connection_checks import RightLost, pieces_while_held
from mesh.lib.errors import AppError, MethodNotAllowed, Unauthorized
from mesh.readers import Stream
from mesh.selectors import NotFound
from threads import selectors, services
from threads.core import ai_sdk
from threads.errors import BadCursor, BadRunId, BadSdkVersion, CursorTooOld
from threads.journal.rows import EventRow, as_rows
from threads.models import Event, Run, Thread
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
LAST: Final = 10  # events of a run without an answer among which its end is looked for
CURRENT: Final = "current"  # instead of a run's id: the one that answers now


@dataclass(frozen=True, slots=True)
class Reading:
    """A reader's request: the thread's events after a number, or those of one run to its end."""

    thread_id: UUID
    after: int
    viewer: Viewer
    run_id: UUID | None = None
    is_over: bool = False
    sdk: str = ai_sdk.VERSIONS[0]  # the version of the AI SDK that the reader speaks


class NothingToResume(Exception):
    """There is no run to read: the AI SDK expects an empty 204 then."""


async def follow_thread(request: HttpRequest, org: str, thread_id: UUID) -> HttpResponseBase:
    """``GET …/stream``: the events after ``Last-Event-ID`` (or ``?after=``), then new ones.

    Without a number: the active run, or one that has just ended, from its start. ``?run=`` sends
    one run only, from its start, and ends after it with ``[DONE]``; 204 if that run is unknown or
    its events are gone, or, with ``?run=current``, if none is active. ``?sdk=7`` sends the forms
    of that version of the AI SDK.
    """
    try:
        if request.method != "GET":
            raise MethodNotAllowed
        reading = await database_pool.reads.run(_reading, request, org, thread_id)
    except NothingToResume:
        return HttpResponse(status=204, headers={"Cache-Control": "no-store"})
    except AppError as exc:
        return JsonResponse(exc.body(), status=exc.status)
    return Stream(events(reading), headers=HEADERS)


def _reading(request: HttpRequest, org: str, thread_id: UUID) -> Reading:
    viewer = viewer_of(request)
    thread = selectors.get_thread(viewer=viewer.user, org_slug=org, thread_id=thread_id)
    sdk = sdk_version(request.GET.get("sdk"))
    run = _run(thread, request.GET.get("run"))
    cursor = _cursor(request.headers.get("Last-Event-ID") or request.GET.get("after"))
    start = selectors.start_of(thread=thread, run=run)
    # A reader ahead of the journal (the database was restored) continues at the journal's end.
    after = start if cursor is None else min(cursor, thread.last_seq)
    if run is None and after < thread.pruned_seq:
        raise CursorTooOld
    if run is None:
        return Reading(thread.pk, after, viewer, sdk=sdk)
    # Its first event is its message's. If another run waited for it, only that may be pruned.
    is_cut = after < thread.pruned_seq or (cursor is None and run.prompt.seq <= thread.pruned_seq)
    if is_cut or (run.answer is not None and run.answer.seq <= thread.pruned_seq):
        if cursor is None:
            raise NothingToResume  # its answer is stored
        raise CursorTooOld("The run's events were removed; its answer is stored.")
    is_over = run.state in run_state.FINISHED and not _has_end(run, after)
    return Reading(thread.pk, after, viewer, run.pk, is_over, sdk)


def _has_end(run: Run, after: int) -> bool:
    """Return whether a finished run's end is still to be read after that number.

    The end of a message that was handed over says whose answer contains it. A withdrawn one has
    none.
    """
    if run.answer is not None:
        return run.answer.seq > after
    last = Event.objects.filter(run=run, seq__gt=after).order_by("-seq")[:LAST]
    return any(map(is_finish, as_rows(last)))


def _run(thread: Thread, name: str | None) -> Run | None:
    """Return the run that ``?run=`` names; ``None`` without a name.

    Raises:
        NothingToResume: the thread has no such run, or none is active.
    """
    if not name:
        return None
    runs = Run.objects.filter(thread=thread).select_related("answer", "prompt")
    if name == CURRENT:
        run = runs.filter(finished_at=None).order_by("position").first()
    else:
        run = runs.filter(pk=_run_id(name)).first()
    if run is None:
        raise NothingToResume
    return run


def sdk_version(text: str | None) -> str:
    """Return the version of the AI SDK that a request names; 6 if it names none.

    Raises:
        BadSdkVersion: Mesh does not speak it.
    """
    if not text:
        return ai_sdk.VERSIONS[0]
    if text not in ai_sdk.VERSIONS:
        raise BadSdkVersion
    return text


def _cursor(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise BadCursor
    return int(text)


def _run_id(text: str) -> UUID:
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
    frame = _frame if reading.sdk != "7" else _Frames7().frame
    async for batch in batches:
        rows = [row for row in batch if reading.run_id in (None, row.run_id)]
        if rows:
            yield b"".join(map(frame, rows))
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


class _Frames7:
    """The frames of one stream for version 7 of the AI SDK.

    What becomes of a row shares its number, which the last of it has: a reader that breaks off in
    between gets it all again.
    """

    def __init__(self) -> None:
        self._version = ai_sdk.Version7()

    def frame(self, row: EventRow) -> bytes:
        if not ai_sdk.may_differ(row.text):
            return _frame(row)
        given = row.chunk
        chunks = self._version.translate(given)
        texts = [row.text if chunk is given else json.dumps(chunk) for chunk in chunks]
        head = "".join(f"data: {text}\n\n" for text in texts[:-1])
        return (head + f"id: {row.seq}\ndata: {texts[-1]}\n\n").encode() if texts else b""


def is_finish(row: EventRow) -> bool:
    """Say whether ``row`` is the last event of its run."""
    return '"finish"' in row.text and row.chunk.get("type") == "finish"


async def _note_shown(rows: list[EventRow]) -> None:
    """Mark a tool's question as shown, once it was sent to a reader."""
    for row in rows:
        if '"tool-approval-request"' in row.text:
            await database_pool.writes.run(services.mark_shown, thread_id=row.thread_id)
            return
