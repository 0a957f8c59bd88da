"""Writing the events of runs into the journal: many runs, one OS thread, one commit.

While a commit is being written, events of all runs queue up; the next commit takes them
together, with adjacent deltas joined. So a lone event does not wait, and under load every commit
carries more. After the commit the readers are notified, with copies of the rows.
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
from threads.run.unfinished_answer import UnfinishedAnswer

__all__ = ["Refused", "RunQueue", "StaleFence", "Writer"]

logger = logging.getLogger(__name__)

EVENTS_PER_COMMIT: Final = 4_000
TRIES: Final = 12  # of one commit, some 15 seconds, while the database answers other queries
CAPACITY: Final = 256  # events of one run that wait, at most, before its reader pauses,
CAPACITY_SIZE: Final = 8 * 1024 * 1024  # or their characters: one tool can return megabytes


class RunQueue:
    """The events of one attempt that wait for the journal. Used in the event loop that made it.

    ``committed`` is the producer's number up to which everything is committed. ``is_over``: the
    run has ended; later events are dropped, but counted, so that they can be acknowledged.
    ``on_over`` is called once when the writer finds that. ``ahead`` is the fold of what is
    committed, set before the last event of a long answer is put.
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
        self.ahead: UnfinishedAnswer | None = None
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
        """Hand an event to the writer without waiting; ``room`` bounds the queue."""
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
        # Events that the writer holds back until more arrive must not block those.
        return self._size >= CAPACITY_SIZE and hold_from(list(self.waiting)) > 0

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

    def settle(self, outcome: Outcome, count: int) -> None:
        """Apply the outcome of a share of ``count`` events; called in the queue's loop."""
        self._size -= sum(self._sizes.popleft() for _ in range(count))
        self.committed = max(self.committed, outcome.last_n)
        if outcome.is_over and not self.is_over:
            self.is_over = True
            if self._on_over is not None:
                self._on_over()
        self.error = self.error or outcome.error
        self._changed.set()


Settlement = tuple[RunQueue, Outcome, int]


class Writer:
    """The journal's one writer in this process, an OS thread of its own."""

    def __init__(self) -> None:
        self._ready: list[RunQueue] = []
        self._wakeup = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the OS thread; it opens a database connection of its own."""
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits, close the connection, and end the OS thread."""
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
        """Return a queue for the events of one attempt, of which ``after`` are committed.

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
        """Have the OS thread commit what waits in ``queue``."""
        if queue.is_ready:  # it has not been taken yet, and will be taken whole
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
                except Exception:  # a bug of ours; without this OS thread no run makes progress
                    ids = ", ".join(str(queue.run_id) for queue in queues)
                    logger.exception("runs %s: the journal's writer failed; reading again", ids)
                    self._reject(queues)
        finally:
            connections.close_all()

    def _reject(self, queues: list[RunQueue]) -> None:
        """Have the followers of ``queues`` read again, from the last committed number."""
        outcome = Outcome(error=Missing("The journal's writer failed."))
        for queue in queues:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                queue.loop.call_soon_threadsafe(queue.settle, outcome, 0)

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
        """Commit what waits in ``queues``, in as many commits as necessary."""
        shares: list[Share] = []
        taken: list[tuple[RunQueue, int]] = []
        for queue in queues:
            events = list(queue.waiting)
            decidable = 0 if queue.error else hold_from(events)
            if decidable:
                shares.append(
                    Share(queue.run_id, queue.fence, events[:decidable], ahead=queue.ahead)
                )
                taken.append((queue, decidable))
            if sum(len(share.events) for share in shares) >= EVENTS_PER_COMMIT:
                self._commit(shares, taken)
                shares, taken = [], []
        if shares:
            self._commit(shares, taken)

    def _commit(self, shares: list[Share], taken: list[tuple[RunQueue, int]]) -> None:
        outcomes = self._commit_until_it_holds(shares)
        by_loop: dict[asyncio.AbstractEventLoop, list[Settlement]] = defaultdict(list)
        for (queue, count), outcome in zip(taken, outcomes, strict=True):
            for _ in range(count):
                queue.waiting.popleft()
            by_loop[queue.loop].append((queue, outcome, count))
        for loop, settlements in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(_settle, settlements)
        self._notify(outcomes)

    def _commit_until_it_holds(self, shares: list[Share]) -> list[Outcome]:
        """Return the outcomes of ``shares``; while the database is unavailable, try again.

        Meanwhile events wait in the queues, whose readers pause when one is full. If the database
        will never take the commit, each share is tried alone, so that only the bad one fails.
        """
        backoff = Backoff(first=0.05, ceiling=2.0)
        while True:
            try:
                return commit(shares)
            except Exception as exc:
                error = exc
                if not is_away(exc) or (backoff.tries >= TRIES and _answers()):
                    if len(shares) > 1:
                        return [self._commit_until_it_holds([share])[0] for share in shares]
                    logger.exception(
                        "run %s: the database refused its events; ending the run",
                        shares[0].run_id,
                    )
                    return [Outcome(error=Refused(str(exc)))]
            if self._stopping:
                return [Outcome(error=Refused("The server stops.")) for _ in shares]
            wait = backoff.next()
            logger.warning(
                "journal: the database took no commit of %d runs; retrying in %.1f s",
                len(shares),
                wait,
                exc_info=error,
            )
            connections.close_all()
            with self._wakeup:
                self._wakeup.wait(wait)

    def _notify(self, outcomes: Sequence[Outcome]) -> None:
        notifications.publish_rows([row for outcome in outcomes for row in outcome.rows])
        for outcome in outcomes:
            has_changed = outcome.has_moved or outcome.has_background
            if outcome.owner_id is not None and has_changed:
                notifications.publish(
                    notifications.of_person(outcome.owner_id), ("thread", str(outcome.thread_id))
                )
        # The next run may go, a question was answered by a rule, or there is something to watch.
        if any(
            each.has_answered or each.has_background or (each.is_over and each.has_moved)
            for each in outcomes
        ):
            notifications.publish(notifications.RUNS)


def _answers() -> bool:
    """Say whether the database answers: if it does, a refused commit is at fault itself."""
    connections.close_all()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except AnyDatabaseError:
        return False
    return True


def _settle(settlements: list[Settlement]) -> None:
    for queue, outcome, count in settlements:
        queue.settle(outcome, count)
