"""Watching one sandbox while agents work there in the background.

A watcher keeps nothing that is not in the rows or in the sandbox: its feed tells the whole state
whenever it is opened. Without background work no sandbox is watched; with it, a minute in which
nothing changes costs four comments of a few bytes on an open connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from uuid import UUID

from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY
from mesh.lib.backoff import Backoff
from mesh.lib.errors import AppError
from sandboxes.providers.base import (
    DispatchRefused,
    LinkOffline,
    NotNow,
    NotOffered,
    SandboxDown,
    SandboxProvider,
    SandboxRemoved,
    StreamCut,
    UnknownRun,
)
from threads import services
from threads.core import executors
from threads.core.background import NOTHING, ThreadBackground, read_state
from threads.serving.orders import Watch

logger = logging.getLogger(__name__)

LONGEST_WAIT: Final = 30.0  # seconds until a sandbox that can't be reached is tried again
AT_MOST_EVERY: Final = 0.1  # seconds: a state may be followed by many others


class BackgroundWatcher:
    """Keeps the rows equal to what a sandbox tells, and delivers what it must be told."""

    def __init__(self, watch: Watch, *, provider: SandboxProvider, node: str) -> None:
        self._watch = watch
        self._provider = provider
        self._node = node
        self._state: dict[UUID, ThreadBackground] | None = None
        self._delivered: set[tuple[UUID, str]] = set()  # on this connection
        self._waits = False  # a turn for its thread's active run to end
        self._has_changed = asyncio.Event()

    @property
    def thread_ids(self) -> list[UUID]:
        return list(self._watch.threads)

    @property
    def is_leased(self) -> bool:
        return self._watch.executor == executors.SERVER

    def update(self, watch: Watch) -> None:
        """Take what the rows say now. Something in them, or a run, may have changed."""
        has_changed = watch.threads != self._watch.threads or self._is_outdated(watch)
        self._watch = watch
        if has_changed or self._waits:
            self._has_changed.set()

    def _is_outdated(self, watch: Watch) -> bool:
        """Return whether a row says something else than the feed: the events of a turn, which say
        what ran then, may be committed after what the feed has told since."""
        if self._state is None:
            return False
        told = {id: list(self._state.get(id, NOTHING).tasks) for id in watch.threads}
        return any(tasks != told[id] for id, (tasks, _, _) in watch.threads.items())

    async def watch(self) -> None:
        """Watch until nothing is left to watch, or the machine is away."""
        if not await self._is_ours():
            return None
        backoff = Backoff(ceiling=LONGEST_WAIT)
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                return await self._follow_feed()
            except LinkOffline:
                return None  # the dispatcher looks again when the machine is back
            except SandboxDown as exc:
                if await self._is_over_without_sandbox(exc):
                    return None
            except (NotOffered, DispatchRefused, StreamCut, *DATABASE_AWAY) as exc:
                if _is_final(exc) and await self._is_over({}):
                    return None
                logger.info("sandbox %s: its feed broke: %r", self._watch.place.handle, exc)
            backoff.connected_for(loop.time() - began)
            await asyncio.sleep(backoff.next())

    async def _is_ours(self) -> bool:
        return await database_pool.heartbeats.run(
            services.hold_background, thread_ids=self.thread_ids, node=self._node
        )

    async def _is_over_without_sandbox(self, exc: SandboxDown) -> bool:
        """Start a sandbox that is down, for what its programs said before they ended with it.

        Returns whether nothing is left to watch. A container is not started for it: the next
        message starts it, and then its sandbox tells what it has.
        """
        is_shown = any(not must_end for _, _, must_end in self._watch.threads.values())
        if self.is_leased or not is_shown or isinstance(exc, SandboxRemoved):
            return await self._is_over({})
        try:
            await self._provider.ensure(self._watch.place)
        except NotNow:
            return False
        except DispatchRefused as exc:
            logger.info("sandbox %s: can't be started: %r", self._watch.place.handle, exc)
            return await self._is_over({})
        except (LinkOffline, StreamCut, SandboxDown):
            return False
        return False

    async def _is_over(self, state: Mapping[UUID, ThreadBackground]) -> bool:
        """Note a state without a feed; return whether nothing is left to watch."""
        return (await self._review(state)).look_in is None

    async def _follow_feed(self) -> None:
        self._state, self._delivered = None, set()
        async with self._provider.watch(self._watch.place) as states:
            reading = asyncio.create_task(self._read(states))
            try:
                await self._review_changes(reading)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, states: AsyncIterator[dict[str, Any]]) -> None:
        async for state in states:
            self._state = read_state(state)
            self._has_changed.set()

    async def _review_changes(self, reading: asyncio.Task[None]) -> None:
        """Review each change until nothing is left to watch.

        Raises:
            StreamCut: the feed broke.
        """
        wait: float | None = None
        while True:
            await self._wait(reading, wait)
            self._has_changed.clear()
            if self._state is None:
                continue
            due = await self._review(self._state)
            await self._deliver(due)
            if due.look_in is None:
                return
            wait = due.look_in.total_seconds()
            await asyncio.sleep(AT_MOST_EVERY)

    async def _wait(self, reading: asyncio.Task[None], seconds: float | None) -> None:
        changing = asyncio.create_task(self._has_changed.wait())
        try:
            await asyncio.wait(
                {changing, reading}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
        if reading.done() and not self._has_changed.is_set():
            reading.result()

    async def _review(self, state: Mapping[UUID, ThreadBackground]) -> services.Due:
        due = await database_pool.heavy.run(
            services.review_background, place=self._watch.place, state=state, node=self._node
        )
        self._waits = due.waits
        return due

    async def _deliver(self, due: services.Due) -> None:
        """Tell the sandbox what is due. What it does not get, it gets with the next feed."""
        place, provider = self._watch.place, self._provider
        for run_id, n in due.acks:
            if self._is_new(run_id, "ack"):
                await self._tell(provider.ack(place, run_id=str(run_id), fence=1, n=n))
        for run_id in due.cancels:
            if self._is_new(run_id, "cancel"):
                await self._tell(provider.cancel(place, run_id=str(run_id)))
        for thread_id, task_id in due.stops:
            if self._is_new(thread_id, f"stop {task_id}"):
                stop = provider.stop_task(place, thread_id=str(thread_id), task_id=task_id)
                await self._tell(stop)
        for thread_id in due.ends:
            if self._is_new(thread_id, "end"):
                await self._tell(provider.end_thread(place, thread_id=str(thread_id)))

    def _is_new(self, id: UUID, what: str) -> bool:
        is_new = (id, what) not in self._delivered
        self._delivered.add((id, what))
        return is_new

    async def _tell(self, telling: Any) -> None:
        try:
            await telling
        except UnknownRun:
            return
        except (NotNow, SandboxDown, StreamCut, LinkOffline):
            raise StreamCut from None  # with a new feed all of it is told again
        except AppError as exc:
            logger.info("sandbox %s: refuses what it is told: %r", self._watch.place.handle, exc)


def _is_final(exc: Exception) -> bool:
    """Return whether the sandbox can't be watched at all: nothing that is shown runs there."""
    return isinstance(exc, NotOffered) or (
        isinstance(exc, DispatchRefused) and not isinstance(exc, NotNow)
    )
