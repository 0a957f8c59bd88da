"""One attempt of a run, as its process reads it: from the sandbox's stream into the journal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Final

from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY
from sandboxes.providers.base import (
    DispatchRefused,
    Events,
    LinkOffline,
    SandboxDown,
    SandboxProvider,
    StreamCut,
    UnknownRun,
)
from threads.journal.writer import RunQueue
from threads.run.unfinished_answer import fold_ahead
from threads.serving.orders import Order

logger = logging.getLogger(__name__)

ACK_EVENTS: Final = 256  # acknowledge at the latest after so many,
ACK_SECONDS: Final = 1.0  # or when the last time is so long ago
LONG_ANSWER: Final = 500  # events: folding fewer takes less time than handing them to another pool


class AttemptReader:
    """Reads the attempt that ``order`` describes into ``queue`` and acknowledges what is committed.

    ``has_all``: the sandbox has sent the run's last event.
    """

    def __init__(self, order: Order, *, provider: SandboxProvider, queue: RunQueue) -> None:
        self.order = order
        self.has_all = False
        self._provider = provider
        self._queue = queue
        self._acked = order.last_n
        self._acked_at = time.monotonic()
        self._acking: asyncio.Task[None] | None = None

    @property
    def has_progress(self) -> bool:
        """Say whether any event was committed since the order was read."""
        return self._queue.committed > self.order.last_n

    async def read(self, events: Events) -> None:
        """Read ``events`` to their end; return once all of them are committed.

        Raises:
            StreamCut: the stream broke; what can be committed without another event, is.
            Refused: the journal takes nothing more from this attempt.
        """
        last = self.order.last_n
        try:
            async for event in events:
                last, self.has_all = event.n, event.is_last
                if event.is_last and event.n > LONG_ANSWER:
                    await self._fold_ahead()
                self._queue.put(event, size=event.size)
                await self._queue.room()
                self._acknowledge_if_due()
        except StreamCut:
            # Commit what is on its way before the follower reads from the row how far we are.
            await self._queue.settled(self._queue.decidable_n())
            raise
        await self._queue.settled(last)
        if self._acking is not None:
            await self._acking
        await self._acknowledge(last)

    async def _fold_ahead(self) -> None:
        """Fold the answer so far, so that the commit of its end holds the thread's lock briefly."""
        await self._queue.settled(self._queue.decidable_n())
        with contextlib.suppress(*DATABASE_AWAY):  # then the commit folds it
            self._queue.ahead = await database_pool.heavy.run(fold_ahead, self.order.run_id)

    def _acknowledge_if_due(self) -> None:
        """Let the sandbox forget committed events: one request at a time, while reading."""
        committed = self._queue.committed
        new = committed - self._acked
        if not new or (self._acking is not None and not self._acking.done()):
            return
        if new >= ACK_EVENTS or time.monotonic() - self._acked_at >= ACK_SECONDS:
            self._acked, self._acked_at = committed, time.monotonic()
            self._acking = asyncio.create_task(self._acknowledge(committed))

    async def _acknowledge(self, n: int) -> None:
        order = self.order
        try:
            await self._provider.ack(order.place, run_id=str(order.run_id), fence=order.fence, n=n)
        except (LinkOffline, SandboxDown, StreamCut, UnknownRun, DispatchRefused) as exc:
            # The next acknowledgement covers this one, and the sandbox works without.
            logger.debug("run %s: event %s was not acknowledged: %r", order.run_id, n, exc)
