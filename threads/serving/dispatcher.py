"""Sends queued runs to where they are served, and follows what runs there.

It serves executors (``core/executors.py``): the machines whose sockets are held here, or what any
process
may serve under a lease, or both.

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

from django.utils import timezone

from links.calls import held_here
from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY
from mesh.lib.errors import AppError
from sandboxes.providers.base import (
    DispatchRefused,
    LinkOffline,
    NotNow,
    SandboxDown,
    SandboxProvider,
    StreamCut,
    UnknownRun,
)
from threads import services
from threads.core.executors import ALL, SERVER
from threads.journal.writer import Writer
from threads.reading import notifications
from threads.run import state as run_state
from threads.run.transitions import LEASE
from threads.serving.orders import Delivery, Job, Scope, is_answer_due, list_work
from threads.serving.run_follower import RunFollower

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 5.0  # seconds: a bell may be lost
WHO_LEFT_EVERY: Final = 3.0  # seconds, however often it is rung
RETELL_FIRST: Final = 0.1  # seconds until something young is told again
LOOK_AGAIN: Final = 0.02  # where something ended while the rows were read
LOOK_SOON: Final = 0.2  # while a run is being stopped: its grace is a second
# Refusals of an answer that has nobody waiting for it any more.
NO_LONGER_ASKED: Final = ("unknown_approval", "already_answered")
# Refusals of a message for a run: its turn is over, or the laptop's program is an older one.
TAKES_NOTHING: Final = ("not_steerable", "not_found", "method_not_allowed")
RENEW_EVERY: Final = LEASE.total_seconds() / 3
CAPACITY: Final = 50  # runs of the server executor that a process follows at once

ProviderFor = Callable[[str, str], SandboxProvider]  # of a kind and a harness


class Dispatcher:
    """One per process that serves runs; lives in its event loop."""

    def __init__(
        self,
        *,
        provider_for: ProviderFor,
        writer: Writer,
        node: str,
        executors: Collection[str] = ALL,
        links: Callable[[], Collection[UUID]] = held_here,
        look_every: float = LOOK_EVERY,
        renew_every: float = RENEW_EVERY,
    ) -> None:
        self._provider_for = provider_for
        self._writer = writer
        self._node = node
        self._executors = frozenset(executors)
        self._links = links
        self._look_every = look_every
        self._renew_every = renew_every
        self._always: list[asyncio.Task[None]] = []
        self._capacity_taken: set[UUID] = set()  # by runs of the server executor,
        self._leased: dict[UUID, RunFollower] = {}  # once they are ours
        self._started: dict[UUID, int] = {}  # attempts that started here, see RunFollower
        self._look_now = asyncio.Event()
        self._tasks: dict[tuple[str, UUID], asyncio.Task[None]] = {}
        # What ended while the rows were being read: for it they are out of date already.
        self._ended: set[tuple[str, UUID]] = set()
        self._was_outdated = False
        self._asked_who_left = 0.0  # by the loop's clock

    async def start(self) -> None:
        """Begin to look for work."""
        self._always = [asyncio.create_task(self._work())]
        if SERVER in self._executors:
            self._always.append(asyncio.create_task(self._renew_for_ever()))

    async def stop(self) -> None:
        """Let go of everything. The runs go on; whoever starts next follows them."""
        tasks = [*self._always, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._always = []
        if SERVER in self._executors:
            with contextlib.suppress(*DATABASE_AWAY):  # then the leases lapse
                if await database_pool.heartbeats.run(services.release_leases, node=self._node):
                    self.notify()

    async def link_up(self, link_id: UUID) -> None:
        """Look at once: what waited for the machine may go, what rests is joined again."""
        with contextlib.suppress(*DATABASE_AWAY):  # it is tried again soon anyway
            await database_pool.writes.run(services.retry_runs, link_id=link_id)
        self.notify()

    async def link_down(self, link_id: UUID, cause: str = "") -> None:
        """Look at once; the streams through the machine's tunnel have ended by themselves."""
        self.notify()

    def notify(self) -> None:
        """Look at once."""
        notifications.publish(notifications.RUNS)

    async def _work(self) -> None:
        with notifications.subscribe(notifications.RUNS) as subscriber:
            while True:
                wait = self._look_every
                try:
                    wait = await self._look() or wait
                except DATABASE_AWAY:
                    logger.warning("The dispatcher can't read its work.", exc_info=True)
                except Exception:
                    logger.exception("The dispatcher failed; it goes on.")
                await self._wait(subscriber, wait)

    async def _wait(self, subscriber: notifications.Subscriber, seconds: float) -> None:
        """Wait for the bell, or until something of our own is due."""
        waits = [
            asyncio.create_task(subscriber.wait(seconds)),
            asyncio.create_task(self._look_now.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            self._look_now.clear()

    async def _stop_those_who_left(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._asked_who_left + WHO_LEFT_EVERY:
            self._asked_who_left = now
            if count := await database_pool.heavy.run(services.stop_runs_of_those_who_left):
                logger.info("stopped the runs of people who left, in %s threads", count)

    async def _look(self) -> float | None:
        """Start whatever is to be done and not begun yet; return when to look again, if soon."""
        self._ended.clear()
        self._was_outdated = False
        await self._stop_those_who_left()
        work = await database_pool.reads.run(list_work, self._scope())
        for stop in work.stops:
            self._begin("stop", stop.id, self._deliver_stop(stop))
        for answer in work.answers:
            self._begin("answer", answer.id, self._deliver_answer(answer))
        for steer in work.steers:
            self._begin("steer", steer.id, self._deliver_steer(steer))
        for job in work.jobs:
            self._begin("run", job.run_id, self._serve(job))
        for run_id in work.orphans:
            await database_pool.heavy.run(
                services.finish_run, run_id=run_id, state=run_state.FAILED, code="link_removed"
            )
        if work.awaits_stop:
            await database_pool.heavy.run(services.end_overdue_stops, now=timezone.now())
        if self._was_outdated:
            return LOOK_AGAIN
        return LOOK_SOON if work.awaits_stop else None

    def _scope(self) -> Scope:
        return Scope(
            node=self._node,
            executors=self._executors,
            links=self._links(),
            room=CAPACITY - len(self._capacity_taken),
        )

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._renew_every)
            try:
                await self._renew()
            except DATABASE_AWAY:
                logger.warning("Leases can't be renewed.", exc_info=True)
            except Exception:
                logger.exception("The renewing of leases failed; it goes on.")

    async def _renew(self) -> None:
        """Renew what is followed here; leave alone what another process has, or what has ended."""
        if not self._leased:
            return
        lost = await database_pool.heartbeats.run(
            services.renew_leases, run_ids=set(self._leased), node=self._node
        )
        for run_id in lost:
            if (follower := self._leased.get(run_id)) is not None:
                follower.lose()

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

    async def _serve(self, job: Job) -> None:
        run_id = job.run_id
        is_leased = job.executor == SERVER
        if is_leased:
            self._capacity_taken.add(run_id)
        wait = None
        try:
            follower = RunFollower(
                run_id,
                provider=self._provider_for(job.kind, job.harness_id),
                writer=self._writer,
                node=self._node,
                started=self._started,
            )
            if await follower.begin(job.how):
                if is_leased:
                    self._leased[run_id] = follower
                wait = await follower.follow(is_fresh=job.how == "claim")
        except DATABASE_AWAY:
            logger.warning("run %s: the database can't be used; retrying", run_id, exc_info=True)
            return
        except AppError as exc:
            await self._fail(run_id, exc.code, str(exc))
        except Exception:
            logger.exception("run %s: could not be followed", run_id)
            await self._fail(run_id, "internal_error")
        finally:
            self._leased.pop(run_id, None)
            self._capacity_taken.discard(run_id)
        if wait is None:
            self._started.pop(run_id, None)
        else:
            self._look_in(wait)

    def _look_in(self, seconds: float) -> None:
        """Look again then: rows say what is due, but nobody rings when it is."""
        asyncio.get_running_loop().call_later(seconds, self._look_now.set)

    async def _fail(self, run_id: UUID, code: str, text: str = "") -> None:
        await database_pool.heavy.run(
            services.finish_run, run_id=run_id, state=run_state.FAILED, code=code, text=text
        )

    async def _deliver_stop(self, stop: Delivery) -> None:
        provider = self._provider_for(stop.place.kind, stop.harness_id)

        async def tell() -> None:
            await provider.cancel(stop.place, run_id=str(stop.run_id))

        if await self._told(provider, stop, tell):
            await database_pool.writes.run(services.mark_stop_delivered, run_id=stop.run_id)
            self.notify()  # the next message of the thread may go
        elif stop.executor == SERVER or stop.place.link_id in self._links():
            await database_pool.writes.run(services.rest_stop, run_id=stop.run_id)

    async def _deliver_answer(self, answer: Delivery) -> None:
        provider = self._provider_for(answer.place.kind, answer.harness_id)
        is_due = False

        async def tell() -> None:
            nonlocal is_due
            # Looked up each time: between two tries the person may have stopped the run.
            is_due = await database_pool.reads.run(is_answer_due, answer.id)
            if not is_due:
                return
            await provider.answer(
                answer.place,
                run_id=str(answer.run_id),
                fence=answer.fence,
                approval_id=answer.approval_id,
                decision=answer.decision,
                reason=answer.reason,
                answers=answer.answers,
            )

        if await self._told(provider, answer, tell) and is_due:
            await database_pool.writes.run(services.mark_answer_delivered, approval_id=answer.id)

    async def _deliver_steer(self, steer: Delivery) -> None:
        provider = self._provider_for(steer.place.kind, steer.harness_id)
        message = await database_pool.writes.run(services.try_steer, steer_id=steer.id)
        is_taken = True
        if message is None:
            return

        async def tell() -> None:
            nonlocal is_taken
            try:
                await provider.steer(
                    steer.place,
                    run_id=str(steer.run_id),
                    steer_id=str(steer.id),
                    message=message,
                )
            except UnknownRun:
                is_taken = False
            except DispatchRefused as exc:
                is_taken = exc.code not in TAKES_NOTHING
                if is_taken:
                    raise

        if await self._told(provider, steer, tell):
            await database_pool.writes.run(
                services.mark_steer_told, steer_id=steer.id, is_taken=is_taken
            )

    async def _told(
        self,
        provider: SandboxProvider,
        delivery: Delivery,
        tell: Callable[[], Coroutine[Any, Any, None]],
    ) -> bool:
        """Tell the sandbox, once; say whether it knows, or no longer cares.

        If not, the row stays as it is, and a later look tries again: soon what is young, and all at
        once when the machine is back.
        """
        try:
            await self._told_running(provider, delivery, tell)
            return True
        except LinkOffline:
            return False
        except UnknownRun:
            return True
        except DispatchRefused as exc:
            if exc.code in NO_LONGER_ASKED:
                return True
            # Such as a wrong clock: taken for told, the agent would wait or work for ever.
            logger.info("run %s: the machine refuses a word (%s); retrying", delivery.run_id, exc)
        except (SandboxDown, StreamCut) as exc:
            logger.info("run %s: the sandbox can't be told (%r); retrying", delivery.run_id, exc)
        age = (timezone.now() - delivery.since).total_seconds()
        self._look_in(min(max(age, RETELL_FIRST), self._look_every))
        return False

    async def _told_running(
        self,
        provider: SandboxProvider,
        delivery: Delivery,
        tell: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """Tell the sandbox; one that is down is started for it: it looks after what its predecessor
        left running. If that is refused there is nobody to tell, and nothing waits for it."""
        try:
            await tell()
            return
        except SandboxDown:
            pass
        try:
            await provider.ensure(delivery.place)
        except NotNow:
            raise
        except DispatchRefused as exc:
            logger.info("run %s: its sandbox can't be started: %s", delivery.run_id, exc)
            return
        await tell()
