"""Sends queued runs to the machines held here, and follows what runs on them.

Nothing is kept in memory that matters: whatever is to be done is read from the rows, at each
ring of the bell and every few seconds anyway. So a restart, a lost bell or a crash of another
process needs no treatment of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from links.calls import held_here
from mesh.lib.backoff import Backoff
from sandboxes.providers.base import (
    DispatchRefused,
    LinkOffline,
    SandboxDown,
    SandboxProvider,
    StreamCut,
    UnknownRun,
)
from threads import bell, pool, services
from threads.core import run_state
from threads.journal import Writer
from threads.orders import Delivery, list_work
from threads.run_follower import RunFollower

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 5.0  # seconds: a bell may be lost
LOOK_SOON: Final = 0.2  # while a run is being stopped: its grace is a second
# Refusals of an answer that has nobody waiting for it any more.
NO_LONGER_ASKED: Final = ("unknown_approval", "already_answered")
KIND: Final = "remote-user"  # the kind whose runs go where a link's socket is

ProviderFor = Callable[[str], SandboxProvider]


class Dispatcher:
    """One per server process; lives in its event loop."""

    def __init__(
        self,
        *,
        provider_for: ProviderFor,
        writer: Writer,
        links: Callable[[], Collection[UUID]] = held_here,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self._provider_for = provider_for
        self._writer = writer
        self._links = links
        self._look_every = look_every
        self._looking: asyncio.Task[None] | None = None
        self._followers: dict[UUID, RunFollower] = {}
        self._tasks: dict[tuple[str, UUID], asyncio.Task[None]] = {}
        # What ended while the rows were being read: for it they are out of date already.
        self._ended: set[tuple[str, UUID]] = set()
        self._was_outdated = False

    async def start(self) -> None:
        """Begin to look for work."""
        self._looking = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Let go of everything. The runs go on; whoever starts next follows them."""
        tasks = [task for task in (self._looking, *self._tasks.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._looking = None

    async def link_up(self, link_id: UUID) -> None:
        """Look at once: what waited for the machine may go, what was cut is joined again."""
        for follower in self._followers.values():
            follower.nudge()
        self.ring()

    async def link_down(self, link_id: UUID, cause: str = "") -> None:
        """Look at once; the streams through the machine's tunnel have ended by themselves."""
        self.ring()

    def ring(self) -> None:
        """Look at once."""
        bell.ring(bell.RUNS)

    async def _work(self) -> None:
        with bell.listen(bell.RUNS) as ear:
            while True:
                wait = self._look_every
                try:
                    if await self._look():
                        wait = LOOK_SOON
                except (DatabaseError, InterfaceError):
                    logger.warning("The dispatcher can't read its work.", exc_info=True)
                except Exception:
                    logger.exception("The dispatcher failed; it goes on.")
                await ear.wait(wait)

    async def _look(self) -> bool:
        """Start whatever is to be done and not yet going on; say whether to look again soon."""
        self._ended.clear()
        self._was_outdated = False
        work = await pool.run(list_work, links=self._links())
        for stop in work.stops:
            self._begin("stop", stop.id, self._deliver_stop(stop))
        for answer in work.answers:
            self._begin("answer", answer.id, self._deliver_answer(answer))
        for run_id in work.queued:
            self._begin("run", run_id, self._serve(run_id, is_queued=True))
        for run_id in work.active:
            self._begin("run", run_id, self._serve(run_id, is_queued=False))
        for run_id in work.orphans:
            await pool.run(
                services.finish_run, run_id=run_id, state=run_state.FAILED, code="link_removed"
            )
        if work.awaits_stop:
            await pool.run(services.end_overdue_stops, now=timezone.now())
        return work.awaits_stop or self._was_outdated

    def _begin(self, kind: str, id: UUID, work: Coroutine[Any, Any, None]) -> None:
        key = (kind, id)
        if key in self._tasks or key in self._ended:
            self._was_outdated |= key in self._ended
            work.close()
            return
        task = self._tasks[key] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._end(key, task))

    def _end(self, key: tuple[str, UUID], task: asyncio.Task[None]) -> None:
        del self._tasks[key]
        self._ended.add(key)
        if not task.cancelled() and (error := task.exception()):
            # What it was to do is still in the rows: the next look begins it again.
            logger.error("A %s of the dispatcher failed (%s).", *key, exc_info=error)

    async def _serve(self, run_id: UUID, *, is_queued: bool) -> None:
        follower = RunFollower(run_id, provider=self._provider_for(KIND), writer=self._writer)
        self._followers[run_id] = follower
        try:
            if is_queued and not await follower.claim():
                return
            await follower.follow()
        except (DatabaseError, InterfaceError):
            logger.warning("Run %s is taken up again later.", run_id, exc_info=True)
        except Exception:
            logger.exception("Run %s could not be followed.", run_id)
            await pool.run(
                services.finish_run, run_id=run_id, state=run_state.FAILED, code="internal_error"
            )
        finally:
            del self._followers[run_id]

    async def _deliver_stop(self, stop: Delivery) -> None:
        provider = self._provider_for(KIND)

        async def tell() -> None:
            await provider.cancel(stop.place, run_id=str(stop.run_id))

        if await self._told(provider, stop, tell):
            await pool.run(services.mark_stop_delivered, run_id=stop.run_id)
            self.ring()  # the next message of the thread may go

    async def _deliver_answer(self, answer: Delivery) -> None:
        provider = self._provider_for(KIND)

        async def tell() -> None:
            await provider.answer(
                answer.place,
                run_id=str(answer.run_id),
                approval_id=answer.approval_id,
                decision=answer.decision,
                reason=answer.reason,
                answers=answer.answers,
            )

        if await self._told(provider, answer, tell):
            await pool.run(services.mark_answer_delivered, approval_id=answer.id)

    async def _told(
        self,
        provider: SandboxProvider,
        delivery: Delivery,
        tell: Callable[[], Coroutine[Any, Any, None]],
    ) -> bool:
        """Tell the sandbox, again and again; say whether it knows, or no longer cares.

        No when the machine is offline: it is told when it is back.
        """
        backoff = Backoff(first=0.1, ceiling=5.0)
        while delivery.place.link_id in self._links():
            try:
                await tell()
                return True
            except LinkOffline:
                return False
            except UnknownRun:
                return True
            except DispatchRefused as exc:
                if exc.code in NO_LONGER_ASKED:
                    return True
                # Such as a wrong clock: taken for told, the agent would wait or work for ever.
                logger.warning("Run %s: the machine refuses a word: %s", delivery.run_id, exc)
            except SandboxDown:
                if not await self._is_to_be_had(provider, delivery):
                    return True
            except StreamCut:
                pass
            await asyncio.sleep(backoff.next())
        return False

    async def _is_to_be_had(self, provider: SandboxProvider, delivery: Delivery) -> bool:
        """Start the sandbox, which looks after what its predecessor left running.

        Say no if that is refused: then there is nobody to tell, and nothing waits for it.
        """
        try:
            with contextlib.suppress(LinkOffline, SandboxDown, StreamCut):
                await provider.ensure(delivery.place)
        except DispatchRefused as exc:
            logger.info("Run %s: its sandbox can't be started: %s", delivery.run_id, exc)
            return False
        return True
