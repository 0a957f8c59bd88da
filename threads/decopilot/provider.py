"""Decopilot behind the interface of a sandbox: dispatched, followed, answered and stopped alike.

The loop lives in this process. ``attach`` in another process, or after this one has died, raises
``UnknownRun``; the caller then starts the next attempt, which continues where this one stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from agents.harness.base import parse_input
from mesh import database_pool
from sandboxes import providers
from sandboxes.core.kinds import REMOTE_USER
from sandboxes.providers.attachments import inlined, names_files
from sandboxes.providers.base import (
    DispatchRefused,
    Events,
    Json,
    Place,
    SandboxProvider,
    UnknownRun,
)
from threads.decopilot.attempt import Answered, Attempt
from threads.decopilot.context import find_link
from threads.decopilot.files import FindPlace, ToolFailed
from threads.decopilot.loop import Loop
from threads.serving.attachments import read_file

TOMBSTONE: Final = 60.0  # seconds for which a stopped run can't be started
KEEP: Final = 60.0  # seconds for which an ended run can be read again
NO_MACHINE: Final = (
    "No machine of the person is connected, so there are no files and no shell. Say so; they can"
    " link one with deco_link."
)

AWAY: Final = (
    "The files of this conversation are on “{}”, which is not connected. Say so, and ask the"
    " person to wake it up."
)

ProviderFor = Callable[[str], SandboxProvider]


class DecopilotProvider(SandboxProvider):
    """Runs of Decopilot in this process; their tools work on the thread's sandbox."""

    def __init__(self, provider_for: ProviderFor = providers.provider_for) -> None:
        self._provider_for = provider_for
        self._attempts: dict[str, Attempt] = {}
        self._stopped: OrderedDict[str, float] = OrderedDict()

    has_sandboxes = False
    read_file = staticmethod(read_file)

    async def ensure(self, place: Place) -> None:
        """Nothing: a sandbox is started when the first tool needs it."""

    @asynccontextmanager
    async def dispatch(
        self, place: Place, *, harness_id: str, fence: int, input: Json, after: int = 0
    ) -> AsyncIterator[Events]:
        if names_files(input.get("messages", [])):
            input = {**input, "messages": await inlined(input["messages"], self.read_file)}
        turn = parse_input(input)
        if self._is_stopped(turn.run_id):
            raise DispatchRefused("tombstoned", "The run was stopped before it started.")
        attempt = self._attempts.get(turn.run_id)
        if attempt is not None and attempt.fence > fence:
            raise DispatchRefused("stale_fence", "There is a newer attempt.")
        if attempt is None or attempt.fence < fence:
            if attempt is not None:
                _cancel(attempt)
            attempt = self._attempts[turn.run_id] = Attempt(turn.run_id, fence)
            loop = Loop(turn, attempt=attempt, find=self._place_finder(place, str(turn.user["id"])))
            attempt.work = asyncio.create_task(loop.run(), name=f"decopilot {turn.run_id}")
            attempt.work.add_done_callback(partial(self._ended, attempt))
        yield attempt.read(after)

    @asynccontextmanager
    async def attach(
        self, place: Place, *, run_id: str, fence: int, after: int
    ) -> AsyncIterator[Events]:
        attempt = self._attempts.get(run_id)
        if attempt is None or attempt.fence < fence:
            raise UnknownRun
        if attempt.fence > fence:
            raise DispatchRefused("stale_fence", "There is a newer attempt.")
        yield attempt.read(after)

    async def ack(self, place: Place, *, run_id: str, fence: int, n: int) -> None:
        attempt = self._attempts.get(run_id)
        if attempt is not None and attempt.fence == fence:
            attempt.ack(n)

    async def cancel(self, place: Place, *, run_id: str) -> None:
        self._stopped[run_id] = time.monotonic() + TOMBSTONE
        if (attempt := self._attempts.get(run_id)) is not None:
            _cancel(attempt)

    async def answer(
        self,
        place: Place,
        *,
        run_id: str,
        fence: int,
        approval_id: str,
        decision: str,
        reason: str,
        answers: Json | None = None,
    ) -> None:
        attempt = self._attempts.get(run_id)
        if attempt is None:
            raise UnknownRun
        attempt.answer(approval_id, Answered(decision, reason, answers or {}))

    async def release(self, place: Place, *, run_id: str, fence: int) -> None:
        """End an attempt that another process has taken over."""
        attempt = self._attempts.get(run_id)
        if attempt is not None and attempt.fence <= fence:
            _cancel(attempt)

    def _ended(self, attempt: Attempt, work: asyncio.Task[None]) -> None:
        attempt.end()  # also when its task was cancelled before its first step
        asyncio.get_running_loop().call_later(KEEP, self._forget, attempt)

    def _forget(self, attempt: Attempt) -> None:
        if self._attempts.get(attempt.run_id) is attempt:
            del self._attempts[attempt.run_id]

    def _is_stopped(self, run_id: str) -> bool:
        now = time.monotonic()
        while self._stopped and next(iter(self._stopped.values())) <= now:
            self._stopped.popitem(last=False)
        return run_id in self._stopped

    def _place_finder(self, place: Place, user_id: str) -> FindPlace:
        async def find() -> tuple[Place, SandboxProvider]:
            if place.kind:
                return place, self._provider_for(place.kind)
            link = await database_pool.reads.run(find_link, user_id=user_id, place=place)
            if link is None:
                raise ToolFailed(NO_MACHINE)
            if not link.is_online:
                raise ToolFailed(AWAY.format(link.name))
            on_machine = replace(place, kind=REMOTE_USER, link_id=link.id)
            return on_machine, self._provider_for(on_machine.kind)

        return find


def _cancel(attempt: Attempt) -> None:
    if attempt.work is not None:
        attempt.work.cancel()
