"""The way of a run's events into the journal: many runs, one thread, one commit.

While a commit is being written, events of all runs pile up; the next commit takes them
together, with adjacent deltas joined. So a lone event waits for nothing, and under load
every commit carries more. Only after the commit the readers' bells ring, with copies.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from django.db import connection, connections

from mesh.database_errors import AnyDatabaseError, is_away
from mesh.lib.backoff import Backoff
from threads.core.decide import Numbered, hold_from
from threads.journal.committing import Missing, Outcome, Refused, Share, StaleFence, commit
from threads.reading import notifications

__all__ = ["Refused", "RunQueue", "StaleFence", "Writer"]

logger = logging.getLogger(__name__)

EVENTS_PER_COMMIT: Final = 4_000
TRIES: Final = 12  # of one commit, some 15 seconds, while the database answers all else
CAPACITY: Final = 256  # events of one run that wait, at most, before its reader pauses,
ROOM_SIZE: Final = 8 * 1024 * 1024  # or characters of them: one tool can return megabytes


class RunQueue:
    """One attempt of a run on its way into the journal. Used in the event loop that made it.

    ``committed`` is the producer's number up to which everything is safe. ``is_over``: the
    run has ended; what comes now is counted, so that it can be acknowledged, and dropped.
    ``on_over`` is called when that is found.
    """

    def __init__(
        self,
        writer: Writer,
        run_id: UUID,
        fence: int,
        committed: int,
        on_over: Callable[[], None] | None = None,
    ) -> None:
        self.run_id, self.fence, self.committed = run_id, fence, committed
        self.is_over = False
        self._on_over = on_over
        self.error: Exception | None = None
        self.loop = asyncio.get_running_loop()
        self.waiting: deque[Numbered] = deque()
        self.is_ready = False  # in the writer's list; guarded by its lock
        self._writer = writer
        self._changed = asyncio.Event()
        self._sizes: deque[int] = deque()  # of the events that wait
        self._size = 0

    def put(self, event: Numbered, *, size: int = 0) -> None:
        """Hand an event to the writer. Returns at once; ``room`` keeps what waits in bounds."""
        self._sizes.append(size)
        self._size += size
        self.waiting.append(event)
        self._writer.wake(self)

    async def room(self) -> None:
        """Wait until the queue may take more.

        Raises:
            Refused: the writer takes nothing more from this queue; the subclass says why.
        """
        while self.error is None and self._is_full():
            await self._wait()
        if self.error is not None:
            raise self.error

    def _is_full(self) -> bool:
        if len(self.waiting) >= CAPACITY:
            return True
        # What is held back until more comes must not keep it from coming.
        return self._size >= ROOM_SIZE and hold_from(list(self.waiting)) > 0

    async def settled(self, n: int) -> None:
        """Wait until the producer's event ``n`` is committed.

        Raises:
            Refused: it will not be.
        """
        while self.error is None and self.committed < n:
            await self._wait()
        if self.error is not None:
            raise self.error

    def decidable_n(self) -> int:
        """Return the number up to which the queue will be committed without another event."""
        events = list(self.waiting)
        ready = hold_from(events)
        return events[ready - 1].n if ready else self.committed

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def told(self, outcome: Outcome, count: int) -> None:
        """Take what became of a share of ``count`` events; called in the queue's loop."""
        self._size -= sum(self._sizes.popleft() for _ in range(count))
        self.committed = max(self.committed, outcome.last_n)
        if outcome.is_over and not self.is_over:
            self.is_over = True
            if self._on_over is not None:
                self._on_over()
        self.error = self.error or outcome.error
        self._changed.set()


Told = tuple[RunQueue, Outcome, int]


class Writer:
    """The journal's one writing thread in this process."""

    def __init__(self) -> None:
        self._ready: list[RunQueue] = []
        self._wakeup = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; it opens a database connection of its own."""
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Commit what is there, close the connection, and end the thread."""
        with self._wakeup:
            self._stopping = True
            self._wakeup.notify()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None

    def queue(
        self,
        *,
        run_id: UUID,
        fence: int,
        after: int = 0,
        on_over: Callable[[], None] | None = None,
    ) -> RunQueue:
        """Return a way in for the events of one attempt, of which ``after`` are committed.

        ``on_over`` is called in the queue's loop when the run is found to have ended.
        """
        return RunQueue(self, run_id, fence, after, on_over)

    async def append(self, run_id: UUID, fence: int, events: Sequence[Numbered]) -> RunQueue:
        """Commit ``events`` and return their queue.

        Raises:
            StaleFence: a newer attempt of the run exists.
            Refused: the run is gone, or a number is missing.
        """
        queue = self.queue(run_id=run_id, fence=fence)
        for event in events:
            queue.put(event)
        if events:
            await queue.settled(events[-1].n)
        return queue

    def wake(self, queue: RunQueue) -> None:
        """Have the thread look at ``queue``."""
        if queue.is_ready:  # the thread has yet to take it, and then takes all
            return
        with self._wakeup:
            if not queue.is_ready:
                queue.is_ready = True
                self._ready.append(queue)
                self._wakeup.notify()

    def _work(self) -> None:
        try:
            while (queues := self._next_queues()) is not None:
                try:
                    self._serve(queues)
                except Exception:  # a bug of ours; without this thread every run stands still
                    logger.exception("The journal's writer failed; its queues begin anew.")
                    self._let_go(queues)
        finally:
            connections.close_all()

    def _let_go(self, queues: list[RunQueue]) -> None:
        """Have the readers of ``queues`` look how far they are, and come with new ones."""
        outcome = Outcome(error=Missing("The journal's writer failed."))
        for queue in queues:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                queue.loop.call_soon_threadsafe(queue.told, outcome, 0)

    def _next_queues(self) -> list[RunQueue] | None:
        with self._wakeup:
            while not self._ready and not self._stopping:
                self._wakeup.wait()
            if not self._ready:
                return None
            queues, self._ready = self._ready, []
            for queue in queues:
                queue.is_ready = False
            return queues

    def _serve(self, queues: list[RunQueue]) -> None:
        """Commit what waits in ``queues``, in as many commits as it takes."""
        shares: list[Share] = []
        taken: list[tuple[RunQueue, int]] = []
        for queue in queues:
            events = list(queue.waiting)
            decidable = 0 if queue.error else hold_from(events)
            if decidable:
                shares.append(Share(queue.run_id, queue.fence, events[:decidable]))
                taken.append((queue, decidable))
            if sum(len(share.events) for share in shares) >= EVENTS_PER_COMMIT:
                self._commit(shares, taken)
                shares, taken = [], []
        if shares:
            self._commit(shares, taken)

    def _commit(self, shares: list[Share], taken: list[tuple[RunQueue, int]]) -> None:
        outcomes = self._commit_until_it_holds(shares)
        by_loop: dict[asyncio.AbstractEventLoop, list[Told]] = defaultdict(list)
        for (queue, count), outcome in zip(taken, outcomes, strict=True):
            for _ in range(count):
                queue.waiting.popleft()
            by_loop[queue.loop].append((queue, outcome, count))
        for loop, told in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(_tell, told)
        self._ring(outcomes)

    def _commit_until_it_holds(self, shares: list[Share]) -> list[Outcome]:
        """Return what became of ``shares``; while the database is away, try again.

        Meanwhile events pile up in the queues, whose readers pause when there is no room. What
        the database will never take is looked for share by share: it harms no other run.
        """
        backoff = Backoff(first=0.05, ceiling=2.0)
        while True:
            try:
                return commit(shares)
            except Exception as exc:
                error = exc
                if not is_away(exc) or (backoff.tries >= TRIES and _is_there()):
                    if len(shares) > 1:
                        return [self._commit_until_it_holds([share])[0] for share in shares]
                    logger.exception("Events of run %s can't be kept.", shares[0].run_id)
                    return [Outcome(error=Refused(str(exc)))]
            if self._stopping:
                return [Outcome(error=Refused("The server stops.")) for _ in shares]
            logger.warning("The journal can't be written; trying again.", exc_info=error)
            connections.close_all()
            with self._wakeup:
                self._wakeup.wait(backoff.next())

    def _ring(self, outcomes: Sequence[Outcome]) -> None:
        notifications.publish_rows([row for outcome in outcomes for row in outcome.rows])
        for outcome in outcomes:
            if outcome.owner_id is not None and outcome.has_moved:
                notifications.publish(
                    notifications.of_person(outcome.owner_id), ("thread", str(outcome.thread_id))
                )
        # The next run may go, or a question was answered by a rule.
        if any(each.has_answered or (each.is_over and each.has_moved) for each in outcomes):
            notifications.publish(notifications.RUNS)


def _is_there() -> bool:
    """Say whether the database answers, so that what it refuses is the work's own fault."""
    connections.close_all()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except AnyDatabaseError:
        return False
    return True


def _tell(told: list[Told]) -> None:
    for queue, outcome, count in told:
        queue.told(outcome, count)
