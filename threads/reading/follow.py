"""Reading a journal as it grows: in order, without a gap, without a repeat."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

from mesh import database_pool
from threads.journal.rows import EventRow
from threads.reading import notifications
from threads.selectors import list_events

LOOK_EVERY: Final = 5.0  # seconds: a bell may be lost
AT_ONCE: Final = 200  # rows of one look,
SIZE: Final = 256 * 1024  # or characters: who reads slowly gets on with every batch


async def follow(
    thread_id: UUID, after: int, *, look_every: float = LOOK_EVERY
) -> AsyncGenerator[list[EventRow], None]:
    """Yield the thread's events behind ``after``, in batches, for ever.

    Whatever comes with the bell and continues the sequence is passed on as it is; whenever it
    doesn't, the table is read. An empty batch says that nothing came for ``look_every``
    seconds, so that the caller may show that it is alive.
    """
    with notifications.subscribe(
        notifications.of_thread(thread_id)
    ) as subscriber:  # before the first look
        must_look = True
        while True:
            while must_look:
                rows = await database_pool.reads.run(
                    list_events, thread_id=thread_id, after=after, limit=AT_ONCE, size=SIZE
                )
                if rows:
                    after = rows[-1].seq
                    yield rows
                must_look = len(rows) == AT_ONCE or sum(len(row.text) for row in rows) >= SIZE
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
