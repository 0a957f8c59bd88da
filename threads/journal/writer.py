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

from mesh.database_errors import AnyDatabaseError
from mesh.lib.backoff import Backoff
from threads.core.decide import Numbered, hold_from
from threads.journal import rows
from threads.journal.committing import Missing, Outcome, Refused, Share, StaleFence, commit
from threads.reading import bell

__all__ = ["Lane", "Refused", "StaleFence", "Writer"]

logger = logging.getLogger(__name__)

EVENTS_PER_COMMIT: Final = 4_000
TRIES: Final = 12  # of one commit, some 15 seconds, while the database answers all else
ROOM: Final = 256  # events of one run that wait, at most, before its reader pauses,
ROOM_SIZE: Final = 8 * 1024 * 1024  # or characters of them: one tool can return megabytes


class Lane:
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
        """Wait until the lane may take more.

        Raises:
            Refused: the writer takes nothing more from this lane; the subclass says why.
        """
        while self.error is None and self._is_full():
            await self._wait()
        if self.error is not None:
            raise self.error

    def _is_full(self) -> bool:
        if len(self.waiting) >= ROOM:
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
        """Return the number up to which the lane will be committed without another event."""
        events = list(self.waiting)
        ready = hold_from(events)
        return events[ready - 1].n if ready else self.committed

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def told(self, outcome: Outcome, count: int) -> None:
        """Take what became of a share of ``count`` events; called in the lane's loop."""
        self._size -= sum(self._sizes.popleft() for _ in range(count))
        self.committed = max(self.committed, outcome.last_n)
        if outcome.is_over and not self.is_over:
            self.is_over = True
            if self._on_over is not None:
                self._on_over()
        self.error = self.error or outcome.error
        self._changed.set()


Told = tuple[Lane, Outcome, int]


class Writer:
    """The journal's one writing thread in this process."""

    def __init__(self) -> None:
        self._ready: list[Lane] = []
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

    def lane(
        self,
        *,
        run_id: UUID,
        fence: int,
        after: int = 0,
        on_over: Callable[[], None] | None = None,
    ) -> Lane:
        """Return a way in for the events of one attempt, of which ``after`` are committed.

        ``on_over`` is called in the lane's loop when the run is found to have ended.
        """
        return Lane(self, run_id, fence, after, on_over)

    async def append(self, run_id: UUID, fence: int, events: Sequence[Numbered]) -> Lane:
        """Commit ``events`` and return their lane.

        Raises:
            StaleFence: a newer attempt of the run exists.
            Refused: the run is gone, or a number is missing.
        """
        lane = self.lane(run_id=run_id, fence=fence)
        for event in events:
            lane.put(event)
        if events:
            await lane.settled(events[-1].n)
        return lane

    def wake(self, lane: Lane) -> None:
        """Have the thread look at ``lane``."""
        if lane.is_ready:  # the thread has yet to take it, and then takes all
            return
        with self._wakeup:
            if not lane.is_ready:
                lane.is_ready = True
                self._ready.append(lane)
                self._wakeup.notify()

    def _work(self) -> None:
        try:
            while (lanes := self._next_lanes()) is not None:
                try:
                    self._serve(lanes)
                except Exception:  # a bug of ours; without this thread every run stands still
                    logger.exception("The journal's writer failed; its lanes begin anew.")
                    self._let_go(lanes)
        finally:
            connections.close_all()

    def _let_go(self, lanes: list[Lane]) -> None:
        """Have the readers of ``lanes`` look how far they are, and come with new ones."""
        outcome = Outcome(error=Missing("The journal's writer failed."))
        for lane in lanes:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                lane.loop.call_soon_threadsafe(lane.told, outcome, 0)

    def _next_lanes(self) -> list[Lane] | None:
        with self._wakeup:
            while not self._ready and not self._stopping:
                self._wakeup.wait()
            if not self._ready:
                return None
            lanes, self._ready = self._ready, []
            for lane in lanes:
                lane.is_ready = False
            return lanes

    def _serve(self, lanes: list[Lane]) -> None:
        """Commit what waits in ``lanes``, in as many commits as it takes."""
        shares: list[Share] = []
        taken: list[tuple[Lane, int]] = []
        for lane in lanes:
            events = list(lane.waiting)
            decidable = 0 if lane.error else hold_from(events)
            if decidable:
                shares.append(Share(lane.run_id, lane.fence, events[:decidable]))
                taken.append((lane, decidable))
            if sum(len(share.events) for share in shares) >= EVENTS_PER_COMMIT:
                self._commit(shares, taken)
                shares, taken = [], []
        if shares:
            self._commit(shares, taken)

    def _commit(self, shares: list[Share], taken: list[tuple[Lane, int]]) -> None:
        outcomes = self._commit_until_it_holds(shares)
        by_loop: dict[asyncio.AbstractEventLoop, list[Told]] = defaultdict(list)
        for (lane, count), outcome in zip(taken, outcomes, strict=True):
            for _ in range(count):
                lane.waiting.popleft()
            by_loop[lane.loop].append((lane, outcome, count))
        for loop, told in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(_tell, told)
        self._ring(outcomes)

    def _commit_until_it_holds(self, shares: list[Share]) -> list[Outcome]:
        """Return what became of ``shares``; while the database is away, try again.

        Meanwhile events pile up in the lanes, whose readers pause when there is no room. What
        the database will never take is looked for share by share: it harms no other run.
        """
        backoff = Backoff(first=0.05, ceiling=2.0)
        while True:
            try:
                return commit(shares)
            except Exception as exc:
                error = exc
                if not rows.is_passing(exc) or (backoff.tries >= TRIES and _is_there()):
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
        bell.ring_rows([row for outcome in outcomes for row in outcome.rows])
        for outcome in outcomes:
            if outcome.owner_id is not None and outcome.has_moved:
                bell.ring(bell.of_person(outcome.owner_id), ("thread", str(outcome.thread_id)))
        # The next run may go, or a question was answered by a rule.
        if any(each.has_answered or (each.is_over and each.has_moved) for each in outcomes):
            bell.ring(bell.RUNS)


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
    for lane, outcome, count in told:
        lane.told(outcome, count)
