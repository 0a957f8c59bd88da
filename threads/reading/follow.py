"""Reading a journal as it grows: in order, without a gap, without a repeat."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

from mesh import database_pool
from threads.journal.rows import EventRow
from threads.reading import notifications
from threads.selectors import list_events

LOOK_EVERY: Final = 5.0  # seconds: a notification may be lost
BATCH: Final = 200  # rows that one query reads,
SIZE: Final = 256 * 1024  # or characters: a slow reader makes progress with every batch


async def follow(
    thread_id: UUID, after: int, *, look_every: float = LOOK_EVERY
) -> AsyncGenerator[list[EventRow], None]:
    """Yield the thread's events after ``after``, in batches, without end.

    Copies that come with a notification and continue the sequence are passed on as they are;
    otherwise the table is read. An empty batch means that nothing came for ``look_every`` seconds,
    so that the caller may send a sign of life.
    """
    with notifications.subscribe(
        notifications.of_thread(thread_id)
    ) as subscriber:  # before the table is read first
        must_look = True
        while True:
            while must_look:
                rows = await database_pool.reads.run(
                    list_events, thread_id=thread_id, after=after, limit=BATCH, size=SIZE
                )
                if rows:
                    after = rows[-1].seq
                    yield rows
                must_look = len(rows) == BATCH or sum(len(row.text) for row in rows) >= SIZE
            copies = await subscriber.wait(look_every)
            fresh = [row for row in copies if row.seq > after]
            if fresh and _continues(fresh, after):
                after = fresh[-1].seq
                yield fresh
            elif fresh or not copies:
                must_look = True
                if not copies and not subscriber.was_notified:
                    yield []


def _continues(rows: list[EventRow], after: int) -> bool:
    return all(row.seq == after + place for place, row in enumerate(rows, 1))
