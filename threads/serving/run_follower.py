"""Following one run on its machine: start it, read it, keep it, until it is over or out of reach.

A follower knows nothing that is not in the rows. What can't be reached rests, says so in its row,
and is tried again by the next follower, from the number that was committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY
from sandboxes.providers.base import (
    DispatchRefused,
    Events,
    LinkOffline,
    NoAnswer,
    NotNow,
    SandboxDown,
    SandboxProvider,
    Stream,
    StreamCut,
    UnknownRun,
    UploadStalled,
)
from threads import services
from threads.core import executors
from threads.core.decide import TRUNCATED
from threads.journal.committing import Missing, Refused, StaleFence
from threads.journal.writer import RunQueue, Writer
from threads.run import state as run_state
from threads.run.transitions import FIRST_WAIT
from threads.serving.orders import Order, find_order
from threads.serving.sandbox_records import note_sandbox

logger = logging.getLogger(__name__)

ACK_EVENTS: Final = 256  # acknowledge at the latest after so many,
ACK_SECONDS: Final = 1.0  # or when the last time is so long ago
# Failures whose code says why the run can't be reached; any other is a stream that broke.
EXPLAINED: Final = (LinkOffline, NoAnswer, NotNow, SandboxDown, UploadStalled)
HOLDS_AFTER: Final = 1.0  # seconds for which a stream must hold, before its run rests no longer


class RunFollower:
    """One run, from its claim to its last event, or until its machine can't be reached.

    ``begun`` holds the attempts at server runs that began in this process, by run. No other process
    may begin them; without that knowledge the next attempt begins.
    """

    def __init__(
        self,
        run_id: UUID,
        *,
        provider: SandboxProvider,
        writer: Writer,
        node: str,
        begun: dict[UUID, int],
    ) -> None:
        self.run_id = run_id
        self._provider = provider
        self._writer = writer
        self._node = node
        self._begun = begun
        self._following: asyncio.Task[float | None] | None = None
        self._is_lost = False
        self._has_all = False  # that the run will ever say
        self._latest: Order | None = None
        self._committed = 0
        self._acked = 0
        self._acked_at = time.monotonic()
        self._acking: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None

    def lose(self) -> None:
        """Stop following, and serving: the run has ended, or another process has it."""
        if self._following is not None and not self._has_all:
            logger.warning("run %s: ended, or served elsewhere; its agent here stops", self.run_id)
            self._is_lost = True
            self._following.cancel()

    async def begin(self, how: str) -> bool:
        """Claim the run, or take it over, as the job says; say whether it is ours now."""
        match how:
            case "claim":
                return await database_pool.writes.run(
                    services.claim_run, run_id=self.run_id, node=self._node
                )
            case "take over":
                return await database_pool.writes.run(
                    services.take_over, run_id=self.run_id, node=self._node
                )
        return True

    async def follow(self, *, is_fresh: bool = False) -> float | None:
        """Follow the run as long as it can be reached; ``is_fresh``: it was claimed just now.

        Returns in how many seconds to try again; ``None`` when the run is over, or another's.
        """
        self._following = current = asyncio.current_task()
        assert current is not None
        try:
            return await self._follow(is_fresh)
        except asyncio.CancelledError:
            if not self._is_lost:
                raise
            current.uncancel()
            await self._let_go()
            return None
        finally:
            if self._noting is not None:
                await self._noting

    async def _follow(self, is_fresh: bool) -> float | None:
        while (order := await self._order()) is not None:
            try:
                if is_fresh and not await self._may_be_sent(order):
                    return None
                await self._attempt(order, is_ensured=is_fresh)
                is_fresh = False
            except (StreamCut, SandboxDown, NotNow, Missing, LinkOffline) as exc:
                return await self._rest(order, exc)
            except StaleFence:  # a newer attempt has the run
                await self._let_go()
                return None
            except UnknownRun:
                is_fresh = False
                if not await self._may_restart(order):
                    return None
            except DispatchRefused as exc:
                await self._end_refused(order, exc)
                return None
            except Refused:
                await self._end(run_state.FAILED, "internal_error")
                return None
        return None

    async def _may_be_sent(self, order: Order) -> bool:
        """Say whether a run that was just claimed is to be sent, and start its sandbox."""
        self._begun[self.run_id] = order.fence
        if order.is_stopping:
            await self._end(run_state.CANCELLED)
            return False
        try:
            await self._provider.ensure(order.place)
        except LinkOffline:
            # It certainly was not sent, so it can be edited, and expires, like any that waits.
            if await database_pool.writes.run(services.requeue_run, run_id=self.run_id):
                return False
            raise
        return True

    async def _order(self) -> Order | None:
        order = await database_pool.heavy.run(find_order, self.run_id, node=self._node)
        self._latest = order or self._latest
        self._committed = order.last_n if order else 0
        return order

    async def _rest(self, order: Order, exc: Exception) -> float | None:
        has_moved = self._committed > order.last_n
        if has_moved and order.resting_since is None:
            return FIRST_WAIT.total_seconds()  # a connection that broke: nothing to keep of that
        code = exc.code if isinstance(exc, EXPLAINED) else TRUNCATED[0]
        found = services.Unreachable(
            run_id=order.run_id,
            fence=order.fence,
            since=None if has_moved else order.resting_since,
            told=order.resting_code,
            code=code,
        )
        wait = await database_pool.writes.run(services.rest_run, found, node=self._node)
        if wait is not None:
            logger.info("run %s: can't be reached (%r); retrying in %.2f s", self.run_id, exc, wait)
        return wait

    async def _may_restart(self, order: Order) -> bool:
        """Say whether to go on with a new attempt of a run that its sandbox does not know."""
        if order.executor != executors.SERVER:
            # The machine has lost its journal. What the agent did there it might do twice.
            await self._end(run_state.FAILED, *TRUNCATED)
            return False
        begins = await database_pool.heavy.run(
            services.restart_run, run_id=self.run_id, fence=order.fence, node=self._node
        )
        if begins:
            self._begun[self.run_id] = order.fence + 1
        return begins

    async def _end_refused(self, order: Order, exc: DispatchRefused) -> None:
        if exc.code == "stale_fence":
            now = await self._order()
            if now is None or now.fence != order.fence:
                return  # there is a newer attempt
            # No row knows of it: the database was set back in time. Nobody else ends the run.
        await self._end(run_state.FAILED, exc.code, str(exc))

    async def _let_go(self) -> None:
        order = self._latest
        if order is not None and order.executor == executors.SERVER:
            with contextlib.suppress(LinkOffline, SandboxDown, StreamCut, DispatchRefused):
                await self._provider.let_go(
                    order.place, run_id=str(order.run_id), fence=order.fence
                )

    async def _attempt(self, order: Order, *, is_ensured: bool) -> None:
        """Join the run's stream and bring it into the journal, up to its end."""
        if not is_ensured:
            await self._provider.ensure(order.place)
        if self._provider.has_sandboxes and order.last_n == 0 and self._noting is None:
            # Beside the run, whose first words don't wait for it.
            self._noting = asyncio.create_task(note_sandbox(order.place))
        self._acked, self._has_all = order.last_n, False
        queue = self._writer.queue(
            run_id=order.run_id,
            fence=order.fence,
            after=order.last_n,
            # A machine is told to stop; what it still says is taken from it, and dropped.
            on_over=self.lose if order.executor == executors.SERVER else None,
        )
        try:
            async with self._stream(order) as events, self._noted_as_joined(order):
                await self._read(order, queue, events)
        finally:
            self._committed = queue.committed

    def _stream(self, order: Order) -> Stream:
        is_ours = order.executor == executors.LINK or self._begun.get(order.run_id) == order.fence
        if order.last_n == 0 and is_ours:
            # The same fence again joins what may have been started already.
            return self._provider.dispatch(
                order.place,
                harness_id=order.harness_id,
                fence=order.fence,
                input=order.input,
            )
        return self._provider.attach(
            order.place, run_id=str(order.run_id), fence=order.fence, after=order.last_n
        )

    @contextlib.asynccontextmanager
    async def _noted_as_joined(self, order: Order) -> AsyncIterator[None]:
        """Note, once the stream has held, that the run can be reached; it may have been away for
        long, which is not the agent's fault."""

        async def note() -> None:
            await asyncio.sleep(HOLDS_AFTER)
            with contextlib.suppress(*DATABASE_AWAY):
                await database_pool.writes.run(services.note_joined, run_id=order.run_id)

        noting = asyncio.create_task(note()) if order.last_n or order.resting_since else None
        try:
            yield
        finally:
            if noting is not None:
                noting.cancel()
                await asyncio.gather(noting, return_exceptions=True)

    async def _read(self, order: Order, queue: RunQueue, events: Events) -> None:
        last = order.last_n
        try:
            async for event in events:
                queue.put(event, size=event.size)
                last, self._has_all = event.n, event.is_last
                await queue.room()
                self._acknowledge_now_and_then(order, queue)
        except StreamCut:
            # What is on its way in is committed before the rows are asked how far we are.
            await queue.settled(queue.decidable_n())
            raise
        await queue.settled(last)
        if self._acking is not None:
            await self._acking
        await self._acknowledge(order, last)

    def _acknowledge_now_and_then(self, order: Order, queue: RunQueue) -> None:
        """Let the sandbox forget what is committed, one request at a time, beside the reading."""
        new = queue.committed - self._acked
        if not new or (self._acking is not None and not self._acking.done()):
            return
        if new >= ACK_EVENTS or time.monotonic() - self._acked_at >= ACK_SECONDS:
            self._acked, self._acked_at = queue.committed, time.monotonic()
            self._acking = asyncio.create_task(self._acknowledge(order, queue.committed))

    async def _acknowledge(self, order: Order, n: int) -> None:
        try:
            await self._provider.ack(order.place, run_id=str(order.run_id), fence=order.fence, n=n)
        except (LinkOffline, SandboxDown, StreamCut, UnknownRun, DispatchRefused) as exc:
            # The next one says more anyway, and the sandbox can do without.
            logger.debug("Run %s: event %s was not acknowledged: %s", order.run_id, n, exc)

    async def _end(self, state: str, code: str = "", text: str = "") -> None:
        await database_pool.heavy.run(
            services.finish_run, run_id=self.run_id, state=state, code=code, text=text
        )
