"""Sends queued runs to their sandboxes, follows active runs, and delivers stops and answers.

A dispatcher serves executors (``core/executors.py``): the machines whose sockets this process
holds, or the runs that any process may serve under a lease, or both.

It keeps no state in memory that matters: it reads its work from the rows, at each notification
and every few seconds anyway. So a restart, a lost notification or the crash of another process
needs no code of its own.
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
from threads.serving.background_watcher import BackgroundWatcher
from threads.serving.orders import Delivery, Job, Watch, WorkScope, is_answer_due, list_work
from threads.serving.run_follower import RunFollower

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 5.0  # seconds: a notification may be lost
REVOKED_EVERY: Final = 3.0  # seconds, at most, whatever the number of notifications
RETRY_FIRST: Final = 0.1  # seconds until a new delivery is tried again
LOOK_AGAIN: Final = 0.02  # seconds, after something ended while the rows were read
LOOK_SOON: Final = 0.2  # seconds, while a run is being stopped: its grace is a second
# Refusals of an answer for which no agent waits any more.
NO_LONGER_ASKED: Final = ("unknown_approval", "already_answered", "question_withdrawn")
# Refusals of a steer: the turn has ended, or the laptop's program is too old to take one.
TAKES_NO_STEER: Final = ("not_steerable", "not_found", "method_not_allowed")
RENEW_EVERY: Final = LEASE.total_seconds() / 3
CAPACITY: Final = 50  # runs of the server executor that a process follows at the same time

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
        self._loops: list[asyncio.Task[None]] = []
        self._capacity_taken: set[UUID] = set()  # by runs of the server executor,
        self._leased: dict[UUID, RunFollower] = {}  # and their followers, once they are leased
        self._started: dict[UUID, int] = {}  # attempts that started here, see RunFollower
        self._look_now = asyncio.Event()
        self._tasks: dict[tuple[str, UUID | str], asyncio.Task[None]] = {}
        self._watchers: dict[tuple[str, str], BackgroundWatcher] = {}
        # Tasks that ended while the rows were being read: what was read of them is out of date.
        self._ended: set[tuple[str, UUID | str]] = set()
        self._was_outdated = False
        self._revoked_checked_at = 0.0  # by the loop's clock

    async def start(self) -> None:
        """Start looking for work."""
        self._loops = [asyncio.create_task(self._work())]
        if SERVER in self._executors:
            self._loops.append(asyncio.create_task(self._renew_periodically()))

    async def stop(self) -> None:
        """Stop following and release the leases. The runs continue; the next process follows
        them."""
        tasks = [*self._loops, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loops = []
        if SERVER in self._executors:
            with contextlib.suppress(*DATABASE_AWAY):  # then the leases lapse
                if await database_pool.heartbeats.run(services.release_leases, node=self._node):
                    self.notify()

    async def link_up(self, link_id: UUID) -> None:
        """Look for work now: queued runs of the machine may go, and its resting runs are due."""
        with contextlib.suppress(*DATABASE_AWAY):  # each resting run is due soon anyway
            await database_pool.writes.run(services.retry_runs, link_id=link_id)
        self.notify()

    async def link_down(self, link_id: UUID, cause: str = "") -> None:
        """Look for work now; the streams through the machine's tunnel have broken already."""
        self.notify()

    def notify(self) -> None:
        """Have every dispatcher look for work now."""
        notifications.publish(notifications.RUNS)

    async def _work(self) -> None:
        with notifications.subscribe(notifications.RUNS) as subscriber:
            while True:
                wait = self._look_every
                try:
                    wait = await self._look() or wait
                except DATABASE_AWAY:
                    logger.warning(
                        "dispatcher: the database can't be read; retrying in %.1f s",
                        wait,
                        exc_info=True,
                    )
                except Exception:
                    logger.exception("dispatcher: a look for work failed; retrying in %.1f s", wait)
                await self._wait(subscriber, wait)

    async def _wait(self, subscriber: notifications.Subscriber, seconds: float) -> None:
        """Wait for a notification, for a task of our own that is due, or ``seconds``."""
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

    async def _stop_revoked_runs(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._revoked_checked_at + REVOKED_EVERY:
            self._revoked_checked_at = now
            if count := await database_pool.heavy.run(services.stop_revoked_runs):
                logger.info("dispatcher: stopped runs of people without access, threads: %d", count)
            if count := await database_pool.heavy.run(services.hand_over_threads):
                logger.info("dispatcher: handed over threads of removed members: %d", count)

    async def _look(self) -> float | None:
        """Start a task for all work that has none; return when to look again, if soon."""
        self._ended.clear()
        self._was_outdated = False
        await self._stop_revoked_runs()
        work = await database_pool.reads.run(list_work, self._scope())
        for stop in work.stops:
            self._begin("stop", stop.id, self._deliver_stop(stop))
        for answer in work.answers:
            self._begin("answer", answer.id, self._deliver_answer(answer))
        for steer in work.steers:
            self._begin("steer", steer.id, self._deliver_steer(steer))
        for job in work.jobs:
            self._begin("run", job.run_id, self._serve(job))
        for watch in work.watches:
            self._watch(watch)
        for run_id in work.orphans:
            await database_pool.heavy.run(
                services.finish_run, run_id=run_id, state=run_state.FAILED, code="link_removed"
            )
        if work.awaits_stop:
            await database_pool.heavy.run(services.end_overdue_stops, now=timezone.now())
        if self._was_outdated:
            return LOOK_AGAIN
        return LOOK_SOON if work.awaits_stop else None

    def _scope(self) -> WorkScope:
        return WorkScope(
            node=self._node,
            executors=self._executors,
            links=self._links(),
            capacity=CAPACITY - len(self._capacity_taken),
        )

    async def _renew_periodically(self) -> None:
        while True:
            await asyncio.sleep(self._renew_every)
            try:
                await self._renew()
            except DATABASE_AWAY:
                logger.warning(
                    "dispatcher: the database took no lease renewal; retrying in %.1f s",
                    self._renew_every,
                    exc_info=True,
                )
            except Exception:
                logger.exception(
                    "dispatcher: renewing leases failed; retrying in %.1f s", self._renew_every
                )

    async def _renew(self) -> None:
        """Renew the leases of runs followed here; stop following runs that are ours no more."""
        for key, watcher in list(self._watchers.items()):
            if watcher.is_leased and not await database_pool.heartbeats.run(
                services.hold_background, thread_ids=watcher.thread_ids, node=self._node
            ):
                self._tasks[key].cancel()
        if not self._leased:
            return
        lost = await database_pool.heartbeats.run(
            services.renew_leases, run_ids=set(self._leased), node=self._node
        )
        for run_id in lost:
            if (follower := self._leased.get(run_id)) is not None:
                follower.lose()

    def _watch(self, watch: Watch) -> None:
        if (watcher := self._watchers.get(watch.key)) is not None:
            watcher.update(watch)
            return
        provider = self._provider_for(watch.place.kind, watch.harness_id)
        watcher = BackgroundWatcher(watch, provider=provider, node=self._node)
        self._begin(*watch.key, self._keep_watching(watch.key, watcher))

    async def _keep_watching(self, key: tuple[str, str], watcher: BackgroundWatcher) -> None:
        self._watchers[key] = watcher
        try:
            await watcher.watch()
        finally:
            del self._watchers[key]

    def _begin(self, kind: str, id: UUID | str, work: Coroutine[Any, Any, None]) -> None:
        key = (kind, id)
        if key in self._tasks or key in self._ended:
            self._was_outdated |= key in self._ended
            work.close()
            return
        task = self._tasks[key] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._end(key, task))

    def _end(self, key: tuple[str, UUID | str], task: asyncio.Task[None]) -> None:
        del self._tasks[key]
        self._ended.add(key)
        if not task.cancelled() and (error := task.exception()):
            # Its work is still in the rows: the next look starts it again.
            logger.error("%s %s: the dispatcher's task failed; retrying", *key, exc_info=error)

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
            logger.warning("run %s: the database is unavailable; retrying", run_id, exc_info=True)
            return
        except AppError as exc:
            await self._fail(run_id, exc.code, str(exc))
        except Exception:
            logger.exception("run %s: following it failed; ending the run", run_id)
            await self._fail(run_id, "internal_error")
        finally:
            self._leased.pop(run_id, None)
            self._capacity_taken.discard(run_id)
        if wait is None:
            self._started.pop(run_id, None)
        else:
            self._look_in(wait)

    def _look_in(self, seconds: float) -> None:
        """Look for work again then: nothing notifies us when a row's time has come."""
        asyncio.get_running_loop().call_later(seconds, self._look_now.set)

    async def _fail(self, run_id: UUID, code: str, text: str = "") -> None:
        await database_pool.heavy.run(
            services.finish_run, run_id=run_id, state=run_state.FAILED, code=code, text=text
        )

    async def _deliver_stop(self, stop: Delivery) -> None:
        provider = self._provider_for(stop.place.kind, stop.harness_id)

        async def send() -> None:
            await provider.cancel(stop.place, run_id=str(stop.run_id))

        if await self._is_delivered(provider, stop, send):
            await database_pool.writes.run(services.mark_stop_delivered, run_id=stop.run_id)
            self.notify()  # the next message of the thread may go
        elif stop.executor == SERVER or stop.place.link_id in self._links():
            await database_pool.writes.run(services.rest_stop, run_id=stop.run_id)

    async def _deliver_answer(self, answer: Delivery) -> None:
        provider = self._provider_for(answer.place.kind, answer.harness_id)
        is_due = False

        async def send() -> None:
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

        if await self._is_delivered(provider, answer, send) and is_due:
            await database_pool.writes.run(services.mark_answer_delivered, approval_id=answer.id)

    async def _deliver_steer(self, steer: Delivery) -> None:
        provider = self._provider_for(steer.place.kind, steer.harness_id)
        message = await database_pool.writes.run(services.try_steer, steer_id=steer.id)
        is_taken = True
        if message is None:
            return

        async def send() -> None:
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
                is_taken = exc.code not in TAKES_NO_STEER
                if is_taken:
                    raise

        if await self._is_delivered(provider, steer, send):
            await database_pool.writes.run(
                services.mark_steer_delivered, steer_id=steer.id, is_taken=is_taken
            )

    async def _is_delivered(
        self,
        provider: SandboxProvider,
        delivery: Delivery,
        send: Callable[[], Coroutine[Any, Any, None]],
    ) -> bool:
        """Send the delivery once; say whether the sandbox has it, or needs it no more.

        If not, the row stays as it is, and a later look tries again: soon if the delivery is new,
        and immediately when the machine is back.
        """
        try:
            await self._send_to_running(provider, delivery, send)
            return True
        except LinkOffline:
            return False
        except UnknownRun:
            return True
        except DispatchRefused as exc:
            if exc.code in NO_LONGER_ASKED:
                return True
            # Such as a wrong clock. Counted as delivered, the agent would never stop waiting.
            self._retry(delivery, "the machine refuses a delivery", exc)
        except (SandboxDown, StreamCut) as exc:
            self._retry(delivery, "the sandbox can't be reached for a delivery", exc)
        return False

    def _retry(self, delivery: Delivery, problem: str, exc: Exception) -> None:
        age = (timezone.now() - delivery.since).total_seconds()
        wait = min(max(age, RETRY_FIRST), self._look_every)
        logger.info("run %s: %s; retrying in %.1f s: %r", delivery.run_id, problem, wait, exc)
        self._look_in(wait)

    async def _send_to_running(
        self,
        provider: SandboxProvider,
        delivery: Delivery,
        send: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """Send the delivery to the sandbox; start one that is down for it.

        A new sandbox takes charge of what its predecessor left running. If the start is refused,
        nothing runs there that the delivery could be for.
        """
        try:
            await send()
            return
        except SandboxDown:
            pass
        try:
            await provider.ensure(delivery.place)
        except NotNow:
            raise
        except DispatchRefused as exc:
            logger.info(
                "run %s: the sandbox can't be started; dropping its delivery: %r",
                delivery.run_id,
                exc,
            )
            return
        await send()
