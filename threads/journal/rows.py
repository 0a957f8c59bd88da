"""Writing into a thread's journal: numbers without a gap, and copies of the rows for readers.

Everything here runs inside the caller's transaction. The thread's row is locked first and
until the commit, always before its runs, and several threads in the order of their ids: so
numbers become visible in their order, and two writers never deadlock.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from mesh.selectors import NotFound
from threads.models import Event, Thread

# No database takes a NUL in text, nor half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_as_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
MAX_DEPTH: Final = 100  # of nested lists and objects: each JSON reader has a limit of its own


@dataclass(frozen=True, slots=True)
class EventRow:
    """A copy of one row of the journal; ``text`` is the chunk as JSON."""

    thread_id: UUID
    seq: int
    run_id: UUID | None
    text: str

    @property
    def chunk(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.text)
        return value


def as_rows(events: QuerySet[Event], *, in_memory: int = 2_000) -> Iterable[EventRow]:
    """Return these rows of the journal one by one; at most ``in_memory`` are in memory."""
    values = events.values_list("thread_id", "seq", "run_id", "chunk")
    for row in values.iterator(chunk_size=in_memory):
        yield EventRow(*row)


@dataclass(frozen=True, slots=True)
class Draft:
    """A chunk to write into the journal; ``n`` is empty for the server's own chunks."""

    chunk: Any
    run_id: UUID | None = None
    fence: int = 0
    n: int | None = None


def clean(value: Any, depth: int = 0) -> Any:
    """Return ``value`` (JSON) as any database stores and any browser reads it.

    Replaces NULs and unpaired surrogates, numbers that JSON does not have (Python writes them as
    ``NaN`` and ``Infinity``), and values nested deeper than ``MAX_DEPTH``.
    """
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | dict) and depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, list):
        return [clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean(item, depth + 1) for key, item in value.items()}
    return value


def encode(chunk: Any) -> str:
    """Return ``chunk`` as JSON text that any database stores and any reader can read."""
    try:
        text = _as_json(chunk)
    except (ValueError, RecursionError):
        return _encode_clean(chunk)
    # ASCII escapes make the check cheap; a chunk hardly ever needs cleaning.
    if _SUSPECT.search(text) or text.count("[") + text.count("{") > MAX_DEPTH:
        return _encode_clean(chunk)
    return text


def _encode_clean(chunk: Any) -> str:
    return json.dumps(clean(chunk), separators=(",", ":"))


def lock(thread_id: UUID) -> Thread:
    """Return the thread, locked until the transaction ends.

    Raises:
        NotFound: it was purged meanwhile.
    """
    thread = Thread.objects.select_for_update(of=("self",)).filter(pk=thread_id).first()
    if thread is None:
        raise NotFound
    return thread


def lock_deleted(instance: Thread, **_: Any) -> None:
    """Lock a thread that a cascade deletes, so that no event is written after the cascade.

    The purge (``services/deletion.py``) holds the lock already; the deletion of a person or an
    organization does not.
    """
    Thread.objects.select_for_update(of=("self",)).filter(pk=instance.pk).first()


def append(thread_id: UUID, drafts: Sequence[Draft]) -> list[EventRow]:
    """Add ``drafts`` to the journal of one thread, and return them as numbered rows.

    Raises:
        NotFound: the thread was purged meanwhile.
    """
    if not drafts:
        return []
    # The update locks the row, so the number read after it is ours.
    if not Thread.objects.filter(pk=thread_id).update(last_seq=F("last_seq") + len(drafts)):
        raise NotFound
    last = Thread.objects.values_list("last_seq", flat=True).get(pk=thread_id)
    return insert(number(thread_id, last - len(drafts), drafts), now=timezone.now())


def number(thread_id: UUID, last: int, drafts: Iterable[Draft]) -> list[tuple[EventRow, Draft]]:
    """Return each draft with its row; the numbers continue after ``last``."""
    return [
        (EventRow(thread_id, last + place, draft.run_id, encode(draft.chunk)), draft)
        for place, draft in enumerate(drafts, 1)
    ]


_INSERT = """
    INSERT INTO threads_event (thread_id, seq, run_id, fence, n, chunk, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_COPY = "COPY threads_event (thread_id, seq, run_id, fence, n, chunk, created_at) FROM STDIN"


COPY_FROM: Final = 8  # rows: COPY costs two more round trips, which fewer rows don't earn back


def insert(numbered: Sequence[tuple[EventRow, Draft]], *, now: datetime) -> list[EventRow]:
    """Insert numbered rows and return them.

    Plain SQL: ``bulk_create`` takes several times as long for the same rows, and every token of
    every run passes through here.
    """
    if len(numbered) >= COPY_FROM and connection.vendor == "postgresql":
        _copy(numbered, now)
    elif numbered:
        keys = _keys(numbered)
        stamp = connection.ops.adapt_datetimefield_value(now)
        values = [
            (keys[row.thread_id], row.seq, keys[row.run_id], own.fence, own.n, row.text, stamp)
            for row, own in numbered
        ]
        with connection.cursor() as cursor:
            cursor.executemany(_INSERT, values)
    return [row for row, _ in numbered]


def _keys(numbered: Iterable[tuple[EventRow, Draft]]) -> dict[UUID | None, UUID | str | None]:
    """Return the ids of threads and runs as plain SQL takes them: few ids, many rows."""
    ids = {id for row, _ in numbered for id in (row.thread_id, row.run_id)}
    return {id: id and key(id) for id in ids}


def _copy(numbered: Iterable[tuple[EventRow, Draft]], now: datetime) -> None:
    """Insert rows with COPY, which spares PostgreSQL parsing and planning, and the driver
    conversions."""
    keys = {id: r"\N" if id is None else str(id) for id in _keys(numbered)}
    lines = []
    for row, own in numbered:
        # JSON text contains one special character of COPY: the backslash.
        text = row.text.replace("\\", "\\\\")
        thread, run, n = keys[row.thread_id], keys[row.run_id], r"\N" if own.n is None else own.n
        lines.append(f"{thread}\t{row.seq}\t{run}\t{own.fence}\t{n}\t{text}\t{now}\n")
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(_COPY) as copy,
    ):
        copy.write("".join(lines))


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Send the statements of the block, which is inside a transaction, in one round trip.

    For PostgreSQL only: SQLite has no round trips. Inside the block, each result is read from a
    cursor of its own; a statement that fails raises at the end of the block at the latest.
    """
    if connection.vendor == "postgresql":
        with connection.wrap_database_errors, connection.connection.pipeline():
            yield
    else:
        yield


def update_many(each: str, at_once: str, values: Sequence[dict[str, Any]]) -> None:
    """Execute an update for all ``values``: with PostgreSQL ``at_once``, which takes them as one
    JSON array, otherwise ``each``, once for each of them."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(at_once, [json.dumps(values, default=str)])
        else:
            cursor.executemany(each, [tuple(value.values()) for value in values])


def key(value: UUID) -> UUID | str:
    """Return an id as plain SQL takes it: SQLite keeps a UUID as its hex digits."""
    return value.hex if connection.vendor == "sqlite" else value
