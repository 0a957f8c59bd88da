"""Following one run on its machine: start it, read it, keep it, until it is over.

Whatever breaks on the way, the follower comes back with the number it has committed. It ends
when the run has, or when the machine is offline: then the dispatcher starts another one later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Final
from uuid import UUID

from mesh import database_pool
from mesh.lib.backoff import Backoff
from sandboxes.providers.base import (
    DispatchRefused,
    Events,
    LinkOffline,
    NoAnswer,
    NotNow,
    SandboxDown,
    SandboxProvider,
    StreamCut,
    UnknownRun,
    UploadStalled,
)
from threads import services
from threads.committing import Missing, Refused, StaleFence
from threads.core import lanes
from threads.core.decide import TRUNCATED
from threads.journal import Lane, Writer
from threads.noting import note_sandbox
from threads.orders import Order, find_order
from threads.run import state as run_state

logger = logging.getLogger(__name__)

ACK_EVENTS: Final = 256  # acknowledge at the latest after so many,
ACK_SECONDS: Final = 1.0  # or when the last time is so long ago
TRIES: Final = 8  # without any progress, before the run fails


class RunFollower:
    """One run, from its claim to its last event. ``nudge`` ends a wait: the link is back."""

    def __init__(
        self, run_id: UUID, *, provider: SandboxProvider, writer: Writer, node: str
    ) -> None:
        self.run_id = run_id
        self._provider = provider
        self._writer = writer
        self._node = node
        self._begins = False  # the attempt that is read next begins here
        self._fence = 0  # of the attempt that began here
        self._following: asyncio.Task[None] | None = None
        self._is_lost = False
        self._has_all = False  # that the run will ever say
        self._nudged = asyncio.Event()
        self._backoff = Backoff(first=0.05, ceiling=5.0)
        self._latest: Order | None = None
        self._was_sent = True  # until we have claimed it ourselves, nobody knows
        self._is_ensured = False
        self._acked = 0
        self._acked_at = time.monotonic()
        self._acking: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None

    @property
    def link_id(self) -> UUID | None:
        """The machine on which the run is, as far as it is known."""
        return self._latest.place.link_id if self._latest else None

    def nudge(self) -> None:
        """Try at once instead of waiting any longer."""
        self._nudged.set()

    def lose(self) -> None:
        """Stop following, and serving: the run has ended, or another process has it."""
        if self._following is not None and not self._has_all:
            logger.warning("run %s: ended, or served elsewhere; its agent here stops", self.run_id)
            self._is_lost = True
            self._following.cancel()

    async def begin(self, how: str) -> bool:
        """Claim the run, or take it over, as the job says; say whether to follow it."""
        match how:
            case "claim":
                return await self.claim()
            case "take over":
                return await self.take_over()
        return True

    async def claim(self) -> bool:
        """Take the run if it is queued; say whether it is ours now."""
        self._begins = await database_pool.writes.run(
            services.claim_run, run_id=self.run_id, node=self._node
        )
        self._was_sent = not self._begins
        return self._begins

    async def take_over(self) -> bool:
        """Take the run from a process that is lost; say whether it is ours now."""
        return await database_pool.writes.run(
            services.take_over, run_id=self.run_id, node=self._node
        )

    async def follow(self) -> None:
        """Return when the run is over, was taken by a newer attempt, or its machine is gone."""
        self._following = current = asyncio.current_task()
        assert current is not None
        try:
            await self._follow()
        except asyncio.CancelledError:
            if not self._is_lost:
                raise
            current.uncancel()
            await self._let_go()
        finally:
            if self._noting is not None:
                await self._noting

    async def _follow(self) -> None:
        committed = -1
        while (order := await self._order()) is not None:
            if order.last_n > committed:  # it goes forward: troubles start to count anew
                self._backoff.tries = 0
                committed = order.last_n
            if order.is_stopping and not self._was_sent:
                await self._end(run_state.CANCELLED)
                return
            try:
                await self._attempt(order)
            except (StreamCut, SandboxDown, NotNow, Missing) as exc:
                if not await self._may_try_again(exc):
                    return
            except LinkOffline:
                if not self._was_sent:
                    await database_pool.writes.run(services.requeue_run, run_id=self.run_id)
                return
            except StaleFence:  # a newer attempt has the run
                await self._let_go()
                return
            except UnknownRun:
                if not await self._may_restart(order):
                    return
                committed = -1
            except DispatchRefused as exc:
                await self._end_refused(order, exc)
                return
            except Refused:
                await self._end(run_state.FAILED, "internal_error")
                return

    async def _order(self) -> Order | None:
        order = await database_pool.heavy.run(find_order, self.run_id, node=self._node)
        if order is not None and self._begins:
            self._fence, self._begins = order.fence, False
        self._latest = order or self._latest
        return order

    async def _may_restart(self, order: Order) -> bool:
        """Say whether to go on with a new attempt of a run that its sandbox does not know."""
        if order.lane != lanes.SERVER:
            # The machine has lost its journal. What the agent did there it might do twice.
            await self._end(run_state.FAILED, *TRUNCATED)
            return False
        self._begins = await database_pool.heavy.run(
            services.restart_run, run_id=self.run_id, fence=order.fence, node=self._node
        )
        self._is_ensured = False
        return self._begins

    async def _end_refused(self, order: Order, exc: DispatchRefused) -> None:
        if exc.code == "stale_fence":
            now = await self._order()
            if now is None or now.fence != order.fence:
                return  # there is a newer attempt
            # No row knows of it: the database was set back in time. Nobody else ends the run.
        await self._end(run_state.FAILED, exc.code, str(exc))

    async def _let_go(self) -> None:
        order = self._latest
        if order is not None and order.lane == lanes.SERVER:
            with contextlib.suppress(LinkOffline, SandboxDown, StreamCut, DispatchRefused):
                await self._provider.let_go(
                    order.place, run_id=str(order.run_id), fence=order.fence
                )

    async def _may_try_again(self, exc: Exception) -> bool:
        """Wait, then say whether to try once more; after too many tries the run is failed."""
        logger.info("Run %s is joined again: %r", self.run_id, exc)
        self._is_ensured = False
        if self._backoff.tries >= TRIES:
            code, text = TRUNCATED[0], ""
            if isinstance(exc, SandboxDown | NotNow | UploadStalled | NoAnswer):
                code, text = exc.code, str(exc)
            await self._end(run_state.FAILED, code, text)
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.next()):
                await self._nudged.wait()
                self._backoff.tries -= 1  # it was not our turn yet
        self._nudged.clear()
        return True

    async def _attempt(self, order: Order) -> None:
        """Join the run's stream and bring it into the journal, up to its end."""
        if not self._is_ensured:
            await self._provider.ensure(order.place)
            self._is_ensured = True
            if self._provider.has_sandboxes:
                # Beside the run, whose first words don't wait for it.
                self._noting = asyncio.create_task(note_sandbox(order.place))
        lane = self._writer.lane(
            run_id=order.run_id,
            fence=order.fence,
            after=order.last_n,
            # A machine is told to stop; what it still says is taken from it, and dropped.
            on_over=self.lose if order.lane == lanes.SERVER else None,
        )
        self._was_sent = True
        # In the server lane, who begins an attempt is known, and nobody else may begin it.
        if order.last_n == 0 and (order.lane == lanes.LINK or order.fence == self._fence):
            # The same fence again joins what may have been started already.
            stream = self._provider.dispatch(
                order.place,
                harness_id=order.harness_id,
                fence=order.fence,
                input=order.input,
            )
        else:
            stream = self._provider.attach(
                order.place, run_id=str(order.run_id), fence=order.fence, after=order.last_n
            )
        async with stream as events:
            if order.last_n:  # it may have been away for long: not the agent's fault
                await database_pool.writes.run(services.note_joined, run_id=order.run_id)
            await self._read(order, lane, events)

    async def _read(self, order: Order, lane: Lane, events: Events) -> None:
        last = order.last_n
        try:
            async for event in events:
                lane.put(event, size=event.size)
                last, self._has_all = event.n, event.is_last
                await lane.room()
                self._acknowledge_now_and_then(order, lane)
        except StreamCut:
            # What is on its way in is committed before the rows are asked how far we are.
            await lane.settled(lane.decidable_n())
            raise
        await lane.settled(last)
        if self._acking is not None:
            await self._acking
        await self._acknowledge(order, last)

    def _acknowledge_now_and_then(self, order: Order, lane: Lane) -> None:
        """Let the sandbox forget what is committed, one request at a time, beside the reading."""
        new = lane.committed - self._acked
        if not new or (self._acking is not None and not self._acking.done()):
            return
        if new >= ACK_EVENTS or time.monotonic() - self._acked_at >= ACK_SECONDS:
            self._acked, self._acked_at = lane.committed, time.monotonic()
            self._acking = asyncio.create_task(self._acknowledge(order, lane.committed))

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
