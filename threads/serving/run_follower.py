"""Following one run on its machine: start it and read it until it ends or can't be reached.

A follower keeps nothing that is not in the rows. A run that can't be reached rests: its row says
so, and the next follower tries again, from the last number that was committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY
from sandboxes.providers.base import (
    DispatchRefused,
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
from threads.journal.writer import Writer
from threads.run import state as run_state
from threads.run.transitions import FIRST_WAIT
from threads.serving.attempt_reader import AttemptReader
from threads.serving.orders import Order, find_order
from threads.serving.sandbox_records import note_sandbox

logger = logging.getLogger(__name__)

# Failures whose code says why the run can't be reached; any other is a stream that broke.
EXPLAINED: Final = (LinkOffline, NoAnswer, NotNow, SandboxDown, UploadStalled)
HOLDS_AFTER: Final = 1.0  # seconds for which a stream must hold before its run rests no longer
SHORT_WAIT: Final = 0.1  # seconds that a follower waits itself, without the dispatcher's next look


class RunFollower:
    """One run, from its claim to its last event, or until its machine can't be reached.

    ``started`` holds the attempts at server runs that started in this process: fence by run. No
    other process may start them; an attempt that is not in it is replaced by the next one.
    """

    def __init__(
        self,
        run_id: UUID,
        *,
        provider: SandboxProvider,
        writer: Writer,
        node: str,
        started: dict[UUID, int],
    ) -> None:
        self.run_id = run_id
        self._provider = provider
        self._writer = writer
        self._node = node
        self._started = started
        self._task: asyncio.Task[float | None] | None = None
        self._is_lost = False
        self._reader: AttemptReader | None = None
        self._recording: asyncio.Task[None] | None = None

    def lose(self) -> None:
        """Stop following, and serving: the run has ended, or another process has it."""
        has_all = self._reader is not None and self._reader.has_all
        if self._task is not None and not has_all:
            logger.warning(
                "run %s: ended, or taken over by another process; stopping its agent here",
                self.run_id,
            )
            self._is_lost = True
            self._task.cancel()

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

        Returns in how many seconds to try again; ``None`` when the run has ended, or another
        process has it.
        """
        self._task = current = asyncio.current_task()
        assert current is not None
        try:
            return await self._follow(is_fresh)
        except asyncio.CancelledError:
            if not self._is_lost:
                raise
            current.uncancel()
            await self._release()
            return None
        finally:
            if self._recording is not None:
                await self._recording

    async def _follow(self, is_fresh: bool) -> float | None:
        while (order := await self._order()) is not None:
            self._reader = reader = self._reader_of(order)
            try:
                if is_fresh and not await self._may_be_sent(order):
                    return None
                await self._read(reader, is_ensured=is_fresh)
            except (StreamCut, SandboxDown, NotNow, Missing, LinkOffline) as exc:
                wait = await self._rest(reader, exc)
                if wait is None or wait > SHORT_WAIT:
                    return wait
                await asyncio.sleep(wait)
            except StaleFence:  # a newer attempt has the run
                await self._release()
                return None
            except UnknownRun:
                if not await self._may_restart(order):
                    return None
            except DispatchRefused as exc:
                await self._end_refused(order, exc)
                return None
            except Refused:
                await self._end(run_state.FAILED, "internal_error")
                return None
            is_fresh = False
        return None

    async def _order(self) -> Order | None:
        return await database_pool.heavy.run(find_order, self.run_id, node=self._node)

    def _reader_of(self, order: Order) -> AttemptReader:
        queue = self._writer.queue(
            run_id=order.run_id,
            fence=order.fence,
            after=order.last_n,
            # A machine is told to stop; what it still sends is acknowledged, and dropped.
            on_over=self.lose if order.executor == executors.SERVER else None,
        )
        return AttemptReader(order, provider=self._provider, queue=queue)

    async def _may_be_sent(self, order: Order) -> bool:
        """Say whether a run that was just claimed is to be sent, and start its sandbox."""
        self._started[self.run_id] = order.fence
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

    async def _read(self, reader: AttemptReader, *, is_ensured: bool) -> None:
        """Open the attempt's stream and read it into the journal, up to its end."""
        order = reader.order
        if not is_ensured:
            await self._provider.ensure(order.place)
        if self._provider.has_sandboxes and order.last_n == 0 and self._recording is None:
            # In a task of its own: the run's first words don't wait for it.
            self._recording = asyncio.create_task(note_sandbox(order.place))
        async with self._stream(order) as events, self._waking(order):
            await reader.read(events)

    def _stream(self, order: Order) -> Stream:
        is_ours = order.executor == executors.LINK or self._started.get(order.run_id) == order.fence
        if order.last_n == 0 and is_ours and not order.is_unasked:
            # Under the same fence, this joins an attempt that was started already.
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
    async def _waking(self, order: Order) -> AsyncIterator[None]:
        """Record, once the stream has held for ``HOLDS_AFTER``, that the run can be reached.

        The machine may have been away for long, and that time is not the agent's silence.
        """

        async def wake() -> None:
            await asyncio.sleep(HOLDS_AFTER)
            with contextlib.suppress(*DATABASE_AWAY):
                await database_pool.writes.run(services.wake_run, run_id=order.run_id)

        waking = asyncio.create_task(wake()) if order.last_n or order.resting_since else None
        try:
            yield
        finally:
            if waking is not None:
                waking.cancel()
                await asyncio.gather(waking, return_exceptions=True)

    async def _rest(self, reader: AttemptReader, exc: Exception) -> float | None:
        order = reader.order
        if reader.has_progress and order.resting_since is None:
            return FIRST_WAIT.total_seconds()  # a connection that broke: not worth a row
        code = exc.code if isinstance(exc, EXPLAINED) else TRUNCATED[0]
        found = services.Unreachable(
            run_id=order.run_id,
            fence=order.fence,
            since=None if reader.has_progress else order.resting_since,
            shown_code=order.resting_code,
            code=code,
        )
        wait = await database_pool.writes.run(services.rest_run, found, node=self._node)
        if wait is not None:
            logger.info(
                "run %s: the sandbox can't be reached; retrying in %.2f s: %r",
                self.run_id,
                wait,
                exc,
            )
        return wait

    async def _may_restart(self, order: Order) -> bool:
        """Say whether to continue with a new attempt of a run that its sandbox does not know."""
        if order.executor != executors.SERVER or order.is_unasked:
            # The machine has lost its journal. What the agent did there it might do twice.
            await self._end(run_state.FAILED, *TRUNCATED)
            return False
        restarts = await database_pool.heavy.run(
            services.restart_run, run_id=self.run_id, fence=order.fence, node=self._node
        )
        if restarts:
            self._started[self.run_id] = order.fence + 1
        return restarts

    async def _end_refused(self, order: Order, exc: DispatchRefused) -> None:
        if exc.code == "stale_fence":
            now = await self._order()
            if now is None or now.fence != order.fence:
                return  # there is a newer attempt
            # No row knows of it: the database was restored from an older copy. Nothing else ends
            # the run.
        await self._end(run_state.FAILED, exc.code, str(exc))

    async def _release(self) -> None:
        """Have the provider end the attempt in this process, without a word to the journal."""
        order = self._reader.order if self._reader else None
        if order is not None and order.executor == executors.SERVER:
            with contextlib.suppress(LinkOffline, SandboxDown, StreamCut, DispatchRefused):
                await self._provider.release(
                    order.place, run_id=str(order.run_id), fence=order.fence
                )

    async def _end(self, state: str, code: str = "", text: str = "") -> None:
        await database_pool.heavy.run(
            services.finish_run, run_id=self.run_id, state=state, code=code, text=text
        )
