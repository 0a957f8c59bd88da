"""The runs of one sandbox: started once each, stopped for good, found again by number."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from agents.harness.base import Adapter, Json, TurnInput
from agents.harness.questions import Answers
from mesh.lib.errors import AppError
from sandboxes.daemon.conversation import Conversation, HarnessCrashed
from sandboxes.daemon.journal import Journal, RunRow
from sandboxes.daemon.recovery import close_run, end_again
from sandboxes.daemon.streams import RunStream
from sandboxes.daemon.turns import (
    INTERRUPT_GRACE,
    NotSteerable,
    SandboxStopped,
    Silent,
    Turn,
    UnknownApproval,
)
from sandboxes.daemon.warm import Warm
from sandboxes.daemon.writer import Writer

log = logging.getLogger(__name__)

STOP_GRACE = 0.5  # seconds for a program to obey when the whole sandbox ends


class UnknownHarness(AppError):
    code = "unknown_harness"
    text = "This machine's Mesh does not know that kind of agent."
    hint = "Update the link program on that machine."


class Tombstoned(AppError):
    code = "tombstoned"
    text = "The run was cancelled."
    hint = "Send the message again to start a new run."
    status = 410


class StaleFence(AppError):
    code = "stale_fence"
    text = "A newer attempt of this run exists."
    hint = "Nothing is to be done: the newer attempt goes on."
    status = 409


class UnknownRun(AppError):
    code = "unknown_run"
    text = "This sandbox has no such run."
    hint = "Dispatch it; its journal may have been pruned."
    status = 404


class Checkout(Protocol):
    """Where the agents work."""

    async def ready(self) -> Path: ...


@dataclass(slots=True, eq=False)
class LiveRun:
    """A run that is not over: its turn, and the task that takes it through."""

    turn: Turn
    harness: str
    preparing: asyncio.Task[Conversation] = field(init=False)
    task: asyncio.Task[None] = field(init=False)
    error: AppError | None = None  # why it was stopped, if not by a person
    stopping: asyncio.Task[None] | None = None

    @property
    def stream(self) -> RunStream:
        return self.turn.stream


class Runs:
    """Starts, finds, stops runs. A run is named by its id and its fence, the attempt's number."""

    def __init__(
        self,
        *,
        journal: Journal,
        writer: Writer,
        checkout: Checkout,
        adapters: Mapping[str, Callable[[], Adapter]],
        warm: Warm,
        leftovers_gone: asyncio.Future[None] | asyncio.Task[None],
    ) -> None:
        self._journal, self._writer = journal, writer
        self._checkout = checkout
        self._adapters = adapters
        self._warm = warm
        self._leftovers_gone = leftovers_gone
        self._is_closing = False
        self.begun = 0  # so far
        self._live: dict[str, LiveRun] = {}
        self._newest_of_thread: dict[str, LiveRun] = {}

    @property
    def active(self) -> int:
        return len(self._live)

    @property
    def is_idle(self) -> bool:
        return not self._live and not self._warm

    def dispatch(self, *, harness: str, fence: int, turn: TurnInput, after: int = 0) -> RunStream:
        """Start the run unless this attempt of it is known, and return its stream.

        Safe to repeat. A newer fence stops the older attempt first.

        Raises:
            Tombstoned: it was cancelled less than a minute ago.
            UnknownHarness: no adapter of that name.
            StaleFence: a newer attempt is known.
            SandboxStopped: the sandbox is about to end.
        """
        if self._journal.is_buried(turn.run_id, now=time.time()):
            raise Tombstoned
        if harness not in self._adapters:
            raise UnknownHarness(f"“{harness}” is not an agent that this machine's Mesh knows.")
        newest = self._journal.find_run(turn.run_id)
        if newest is not None and fence < newest.fence:
            raise StaleFence
        if newest is not None and fence == newest.fence:
            return self._stream_of(newest, after)
        if self._is_closing:
            raise SandboxStopped
        return self._start(harness, fence, turn)

    def stream(self, run_id: str, *, fence: int, after: int = 0) -> RunStream:
        """Return the stream of a known attempt, for a reader that has it up to ``after``.

        Raises:
            UnknownRun: it was never dispatched here, or is pruned.
            StaleFence: a newer attempt is known.
        """
        newest = self._journal.find_run(run_id)
        if newest is None or fence > newest.fence:
            raise UnknownRun
        if fence < newest.fence:
            raise StaleFence
        return self._stream_of(newest, after)

    def list(self) -> list[RunRow]:
        return self._journal.list_runs()

    def ack(self, run_id: str, *, fence: int, n: int) -> None:
        """Note that the server keeps the run's events up to ``n``."""
        self._journal.ack(run_id, fence, n)

    def answer(
        self,
        run_id: str,
        *,
        fence: int,
        approval_id: str,
        decision: str,
        reason: str,
        answers: Answers | None = None,
    ) -> None:
        """Give a person's answer to the run's agent; safe to repeat.

        An answer is for one attempt: the next one may call another question by the same id.

        Raises:
            UnknownRun, UnknownApproval, AlreadyAnswered: as they say.
        """
        live = self._live.get(run_id)
        if live is not None and live.stopping is not None:
            raise UnknownApproval  # told to stop: what was allowed before is not begun any more
        if live is not None and live.stream.fence != fence:
            raise UnknownApproval
        if live is not None:
            live.turn.answer(approval_id, decision, reason, answers)
        elif self._journal.find_run(run_id) is None:
            raise UnknownRun
        else:
            raise UnknownApproval

    def steer(self, run_id: str, *, steer_id: str, message: Json) -> None:
        """Give the run's agent a message in the middle of its turn; once for each ``steer_id``.

        Raises:
            UnknownRun: it was never dispatched here, or is pruned.
            NotSteerable: its turn has not begun, or is over.
        """
        live = self._live.get(run_id)
        if live is not None:
            live.turn.steer(steer_id, message)
        elif self._journal.find_run(run_id) is None:
            raise UnknownRun
        else:
            raise NotSteerable

    def cancel(self, run_id: str) -> None:
        """Refuse the run for a minute, and begin to stop it; unknown runs too. Safe to repeat."""
        self._journal.bury(run_id, now=time.time())
        if live := self._live.get(run_id):
            self._stop(live)

    def end_silent(self) -> None:
        """End the runs whose programs hang. The server does so too, but may be out of reach."""
        for live in list(self._live.values()):
            if live.turn.is_silent:
                log.warning("Run %s said nothing for too long.", live.stream.run_id)
                self._stop(live, Silent())

    async def close(self) -> None:
        """Stop all runs, each with a clear last word, and end all programs."""
        self._is_closing = True
        stopped = [
            self._stop(live, SandboxStopped(), grace=STOP_GRACE) for live in self._live.values()
        ]
        await asyncio.gather(
            *stopped, *[live.task for live in self._live.values()], return_exceptions=True
        )
        await self._warm.close()

    # One run

    def _start(self, harness: str, fence: int, turn: TurnInput) -> RunStream:
        row = self._journal.open_run(turn.run_id, fence, thread_id=turn.thread_id, harness=harness)
        stream = RunStream(self._journal, row)
        live = LiveRun(Turn(stream, self._writer, turn), harness)
        self.begun += 1
        older = {self._live.get(turn.run_id), self._newest_of_thread.get(turn.thread_id)}
        self._live[turn.run_id] = self._newest_of_thread[turn.thread_id] = live
        loop = asyncio.get_running_loop()
        live.preparing = loop.create_task(self._prepare(live, older))
        live.task = loop.create_task(self._drive(live))
        return stream

    async def _drive(self, live: LiveRun) -> None:
        """Take a run through to its last event, whatever happens."""
        conversation: Conversation | None = None
        error: AppError | None = None
        try:
            conversation = await live.preparing
            await live.turn.run(conversation)
        except asyncio.CancelledError:
            pass  # stopped while it was still being prepared
        except AppError as exc:
            error = exc
        except Exception:
            log.exception("Run %s failed in an unforeseen way.", live.stream.run_id)
            error = HarnessCrashed()
        live.turn.close(live.error or error)
        if conversation is not None:
            if error is None:
                self._warm.keep(conversation)  # if it is alive
            else:
                await conversation.end()
        self._forget(live)

    async def _prepare(self, live: LiveRun, older: set[LiveRun | None]) -> Conversation:
        """Return the conversation for the run, once all that must be over is over."""
        request = live.turn.request
        for run in filter(None, older):
            if run.turn.request.run_id == request.run_id:
                self._stop(run)  # an older attempt
            await asyncio.wait([run.task])
        await asyncio.wait([self._leftovers_gone])
        cwd = await self._checkout.ready()
        waiting = self._warm.take(request.thread_id)
        if waiting is not None:
            if waiting.can_serve(live.harness, request, cwd):
                return waiting
            await waiting.end()
        return Conversation(
            thread_id=request.thread_id,
            harness=live.harness,
            adapter=self._adapters[live.harness](),
            cwd=cwd,
            journal=self._journal,
        )

    def _stop(
        self, live: LiveRun, error: AppError | None = None, *, grace: float = INTERRUPT_GRACE
    ) -> asyncio.Task[None]:
        """Begin to stop a run, or join who began."""
        if live.stopping is None:
            if not live.turn.is_over:  # what is done is done well
                live.error = error
            live.stopping = asyncio.get_running_loop().create_task(self._stopping(live, grace))
        return live.stopping

    async def _stopping(self, live: LiveRun, grace: float) -> None:
        if not live.preparing.done():
            live.preparing.cancel()
            return
        await live.turn.stop(grace=grace)

    def _forget(self, live: LiveRun) -> None:
        request = live.turn.request
        # Only if still the one: a newer attempt may have taken the place.
        if self._live.get(request.run_id) is live:
            del self._live[request.run_id]
        if self._newest_of_thread.get(request.thread_id) is live:
            del self._newest_of_thread[request.thread_id]

    def _stream_of(self, row: RunRow, after: int) -> RunStream:
        live = self._live.get(row.run_id)
        if live is not None and live.stream.fence == row.fence:
            return live.stream
        if not row.is_done:  # nobody is at it any more: its end could not be written then
            close_run(self._journal, row)
            row = self._journal.get_run(row.run_id, row.fence)
        if after > row.last_n:
            row = end_again(self._journal, row, after=after)
        return RunStream(self._journal, row)
