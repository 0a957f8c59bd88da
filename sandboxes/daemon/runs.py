"""The runs of one sandbox: each starts once, stops for good, and is found again by its id."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from agents.harness.base import Adapter, GitFolders, Json, TurnInput
from agents.harness.questions import CANCEL, Answers
from mesh.background import run_in_background
from mesh.lib.errors import AppError
from sandboxes.daemon.background_service import BackgroundService
from sandboxes.daemon.checkout.choices import Choice, Question
from sandboxes.daemon.checkout.kept_choices import ChoiceNeeded
from sandboxes.daemon.conversation import Conversation, HarnessCrashed
from sandboxes.daemon.descendants import Marks
from sandboxes.daemon.disk import DiskFull, is_full
from sandboxes.daemon.journal import Journal, RunRow
from sandboxes.daemon.notices import Notice, Notices
from sandboxes.daemon.own_servers import SilentServers
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
from sandboxes.daemon.warm_programs import WarmPrograms
from sandboxes.daemon.writer import Writer

logger = logging.getLogger(__name__)

STOP_GRACE = 0.5  # seconds for a program to obey when the sandbox stops


class UnknownHarness(AppError):
    code = "unknown_harness"
    text = "Mesh on this machine does not support that kind of agent."
    hint = "Update the link program on that machine."


class Tombstoned(AppError):
    code = "tombstoned"
    text = "The run was cancelled."
    hint = "Send the message again to start a new run."
    status = 410


class StaleFence(AppError):
    code = "stale_fence"
    text = "A newer attempt of this run exists."
    hint = "Nothing to do: the newer attempt continues."
    status = 409


class UnknownRun(AppError):
    code = "unknown_run"
    text = "This sandbox has no such run."
    hint = "Dispatch it again; its journal may have been pruned."
    status = 404


class Superseded(AppError):
    code = "superseded"
    text = "A newer message of the thread was given to the agent, so this run was stopped."
    hint = "See the newer answer, or send the message again."
    status = 409


class Checkout(Protocol):
    """Where the agents work."""

    async def ready(self) -> Path: ...
    def skip_submodules(self) -> None: ...
    def choose(self, question: Question, choice: Choice) -> None: ...
    async def met(self, thread_id: str) -> list[Notice]: ...
    async def commit_folders(self) -> GitFolders | None: ...


@dataclass(slots=True, eq=False)
class LiveRun:
    """An unfinished run: its turn, and the asyncio task that drives it.

    It counts as live until nothing of it is left that could change the working folder.
    """

    turn: Turn
    harness: str
    preparing: asyncio.Task[Conversation] = field(init=False)
    task: asyncio.Task[None] = field(init=False)
    error: AppError | None = None  # why it was stopped, if not by a person
    is_cut: bool = False  # it was stopped before its turn had ended
    replaced: Conversation | None = None  # the thread's previous one, which had to end first
    stopping: asyncio.Task[None] | None = None

    @property
    def stream(self) -> RunStream:
        return self.turn.stream


class Runs:
    """Starts, finds and stops runs. An attempt of a run is identified by its id and its fence."""

    def __init__(
        self,
        *,
        journal: Journal,
        writer: Writer,
        checkout: Checkout,
        adapters: Mapping[str, Callable[[], Adapter]],
        warm: WarmPrograms,
        marks: Marks,
        notices: Notices,
        silent: SilentServers,
        leftovers_gone: asyncio.Future[None] | asyncio.Task[None],
    ) -> None:
        self._journal, self._writer = journal, writer
        self._checkout = checkout
        self._adapters = adapters
        self._warm = warm
        self._marks = marks
        self._notices = notices
        self._leftovers_gone = leftovers_gone
        self._is_closing = False
        self._choosing = asyncio.Lock()  # two runs must not ask the same
        self.started = 0  # runs, since the process started
        self._live: dict[str, LiveRun] = {}
        self._buried: set[str] = set()  # cancelled while the disk took nothing
        self._silent = silent
        self._unwritten: dict[str, RunStream] = {}  # ended, and the disk does not take their ends
        self._live_of_thread: defaultdict[str, set[LiveRun]] = defaultdict(set)
        self.background = BackgroundService(journal, self._conversations)

    @property
    def active(self) -> int:
        return len(self._live)

    @property
    def is_idle(self) -> bool:
        return not self._live and not self._warm

    def dispatch(self, *, harness: str, fence: int, turn: TurnInput, after: int = 0) -> RunStream:
        """Start the run unless this attempt is known, and return its stream.

        Safe to repeat. An older attempt and every other run of the thread are stopped first: the
        server has at most one active, so one that it has given up on must not work beside this.

        Raises:
            Tombstoned: it was cancelled less than a minute ago.
            UnknownHarness: there is no adapter of that name.
            StaleFence: a newer attempt is known.
            SandboxStopped: the sandbox is stopping.
        """
        if turn.run_id in self._buried or self._journal.is_buried(turn.run_id, now=time.time()):
            raise Tombstoned
        if harness not in self._adapters:
            raise UnknownHarness(f"Mesh on this machine does not support the agent “{harness}”.")
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
            UnknownRun: it was never dispatched here, or has been pruned.
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
        """Record that the server has stored the run's events up to ``n``."""
        self._journal.ack(run_id, fence, n)
        self.background.tell()

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
        """Pass a person's answer to the run's agent; safe to repeat.

        An answer is for one attempt: the next one may use the same id for another question.

        Raises:
            UnknownRun, UnknownApproval, AlreadyAnswered, QuestionWithdrawn: as their texts say.
        """
        live = self._live.get(run_id)
        if live is not None and live.stopping is not None:
            raise UnknownApproval  # stopping: an answer must not start anything now
        if live is not None and live.stream.fence != fence:
            raise UnknownApproval
        if live is not None:
            live.turn.answer(approval_id, decision, reason, answers)
        elif self._journal.find_run(run_id) is None:
            raise UnknownRun
        else:
            raise UnknownApproval

    def steer(self, run_id: str, *, steer_id: str, message: Json) -> None:
        """Pass the run's agent a message in the middle of its turn; once for each ``steer_id``.

        Raises:
            UnknownRun: it was never dispatched here, or has been pruned.
            NotSteerable: its turn has not started, or has ended.
        """
        live = self._live.get(run_id)
        if live is not None:
            live.turn.steer(steer_id, message)
        elif self._journal.find_run(run_id) is None:
            raise UnknownRun
        else:
            raise NotSteerable

    def cancel(self, run_id: str) -> None:
        """Start stopping the run and refuse it for a minute, known or not. Safe to repeat."""
        if live := self._live.get(run_id):
            self._stop(live)  # first: it must be stopped even if the journal can't be written
        try:
            self._journal.bury(run_id, now=time.time())
        except sqlite3.Error as exc:
            logger.warning("run %s: its stop is kept in memory only: %s", run_id, exc)
            self._buried.add(run_id)

    def write_ends(self) -> None:
        """Store the ends of runs that the disk did not take before."""
        for run_id, stream in list(self._unwritten.items()):
            try:
                self._journal.append(stream.unwritten, force=True)
                self._journal.finish_run(stream.key, done_n=stream.last_n)
            except sqlite3.Error as exc:
                logger.debug("run %s: its end can't be stored yet: %s", run_id, exc)
                return
            del self._unwritten[run_id]

    def end_silent(self) -> None:
        """Stop the runs whose programs hang. The server does so too, but may be unreachable."""
        for live in list(self._live.values()):
            if live.turn.is_silent:
                logger.warning(
                    "run %s: no output from the agent for too long, stopping it",
                    live.stream.run_id,
                )
                self._stop(live, Silent())

    # What programs do beside the turns that they are given

    def end_thread(self, thread_id: str) -> None:
        """Start ending all that runs for a thread: its runs, its program and what that has in the
        background. Safe to repeat."""
        live = list(self._live_of_thread.get(thread_id, ()))
        for run in live:
            self._stop(run)
        what = f"ending what runs for thread {thread_id}"
        run_in_background(self._end_thread(thread_id, live), what=what)

    async def _end_thread(self, thread_id: str, live: Sequence[LiveRun]) -> None:
        if live:
            await asyncio.wait([run.task for run in live])
        # Unless it has got a new message meanwhile.
        if thread_id not in self._live_of_thread and (left := self._warm.take(thread_id)):
            await left.end()
        self.background.tell()

    def _conversations(self) -> Iterator[Conversation]:
        yield from self._warm.all()
        for live in list(self._live.values()):
            if live.turn.conversation is not None:
                yield live.turn.conversation

    def _open_unasked(self, conversation: Conversation, reason: str) -> None:
        """Open a run for the turn that a program has begun by itself.

        It comes after the thread's runs that have not ended, and gives way to the next one that
        the server dispatches, as any run that the server does not follow.
        """
        if self._is_closing or conversation.request is None:
            return
        request = replace(
            conversation.request, run_id=str(uuid.uuid4()), messages=(), resume_session_ref=None
        )
        try:
            row = self._journal.open_run(
                request.run_id,
                1,
                thread_id=request.thread_id,
                harness=conversation.harness,
                unasked=reason,
            )
        except sqlite3.Error as exc:  # such as a full disk
            what = "thread %s: what its program does by itself can't be kept: %s"
            logger.warning(what, request.thread_id, exc)
            return
        stream = RunStream(self._journal, row)
        turn = Turn(stream, self._writer, request, self._notices, is_unasked=True)
        live = LiveRun(turn, conversation.harness)
        older = self._enter(live)
        self.background.tell()
        self._launch(live, self._continue(live, conversation, older))

    async def _continue(
        self, live: LiveRun, conversation: Conversation, older: set[LiveRun]
    ) -> Conversation:
        """Return the conversation once the runs before have ended."""
        if older:
            await asyncio.wait([run.task for run in older])
        if self._warm.take(conversation.thread_id) is not conversation or (
            conversation.program is None or not conversation.program.is_alive
        ):
            raise HarnessCrashed("The agent's program ended before it was heard.")
        return conversation

    async def close(self) -> None:
        """Stop all runs, each with a final event that says why, and end all programs."""
        self._is_closing = True
        self.background.close()
        stopped = [
            self._stop(live, SandboxStopped(), grace=STOP_GRACE) for live in self._live.values()
        ]
        await asyncio.gather(
            *stopped, *[live.task for live in self._live.values()], return_exceptions=True
        )
        await self._warm.close()
        self.write_ends()

    # One run

    def _start(self, harness: str, fence: int, turn: TurnInput) -> RunStream:
        row = self._journal.open_run(turn.run_id, fence, thread_id=turn.thread_id, harness=harness)
        stream = RunStream(self._journal, row)
        has_unclaimed = any(
            each.thread_id == turn.thread_id for each in self._journal.list_unclaimed()
        )
        live = LiveRun(
            Turn(stream, self._writer, turn, self._notices, has_unclaimed=has_unclaimed), harness
        )
        self.started += 1
        attempt = self._live.get(turn.run_id)
        older = self._enter(live)
        for run in older:
            self._stop(run, None if run is attempt else Superseded())
        self._launch(live, self._prepare(live, older))
        return stream

    def _enter(self, live: LiveRun) -> set[LiveRun]:
        """Count the run as live; return those that must end before it: of its thread, and an older
        attempt of it."""
        request = live.turn.request
        siblings = self._live_of_thread[request.thread_id]
        older = set(siblings)
        if (attempt := self._live.get(request.run_id)) is not None:
            older.add(attempt)
        self._live[request.run_id] = live
        siblings.add(live)
        return older

    def _launch(self, live: LiveRun, preparing: Coroutine[Any, Any, Conversation]) -> None:
        loop = asyncio.get_running_loop()
        live.preparing = loop.create_task(preparing)
        live.task = loop.create_task(self._drive(live))

    async def _drive(self, live: LiveRun) -> None:
        """Drive a run to its last event; no failure keeps it from getting one."""
        conversation: Conversation | None = None
        error: AppError | None = None
        try:
            conversation = await live.preparing
            await live.turn.run(conversation)
        except asyncio.CancelledError:
            pass  # stopped while it was still being prepared
        except AppError as exc:
            error = exc
        except Exception as exc:
            logger.exception("run %s: unexpected error, ending the run", live.stream.run_id)
            error = DiskFull() if is_full(exc) else HarnessCrashed()
        has_failed = error is not None
        try:
            if conversation is not None:
                await self._end_leftovers(live, conversation, has_failed=has_failed)
            # Its turn may have been over when the disk refused its last events.
            live.turn.close(live.error or error or live.turn.broken)
            if conversation is None and isinstance(live.error, Superseded):
                # Only a turn that its program began by itself is announced again.
                self._journal.disclaim(live.stream.run_id)
        finally:
            if live.stream.unwritten:
                self._unwritten[live.stream.run_id] = live.stream
            await self._leave(live, conversation, has_failed=has_failed)

    async def _end_leftovers(
        self, live: LiveRun, conversation: Conversation, *, has_failed: bool
    ) -> None:
        """End the commands of a run that was stopped or has failed, and say so in its answer."""
        has_crashed = live.turn.has_crashed or conversation.has_crashed
        if self._is_closing or not (has_failed or live.is_cut or has_crashed):
            return
        try:
            if has_failed:
                await conversation.end()
            live.turn.tell_ended(await conversation.end_turn_leftovers(live.turn.moments))
        except Exception:
            logger.exception("run %s: ending its commands failed, continuing", live.stream.run_id)

    async def _leave(
        self, live: LiveRun, conversation: Conversation | None, *, has_failed: bool
    ) -> None:
        """Keep the program for the next turn, or end it; then the thread's next run may start."""
        try:
            if live.replaced is not None:
                await live.replaced.end()
            if conversation is None:
                return
            if has_failed or self._is_closing:
                await conversation.end()
            self._warm.keep(conversation)  # if it is alive
        except Exception:
            logger.exception(
                "run %s: cleaning up after its program failed, continuing", live.stream.run_id
            )
        finally:
            self._forget(live)

    async def _prepare(self, live: LiveRun, older: set[LiveRun]) -> Conversation:
        """Return the conversation for the run, once the runs before it have ended."""
        request = live.turn.request
        if older:
            await asyncio.wait([run.task for run in older])
        await asyncio.wait([self._leftovers_gone])
        async with self._choosing:
            cwd = await self._working_folder(live.turn)
        request = live.turn.request = replace(
            request, folder=str(cwd), git=await self._checkout.commit_folders()
        )
        live.turn.notes += await self._checkout.met(request.thread_id)
        waiting = self._warm.take(request.thread_id)
        if waiting is not None:
            # What runs without a server goes on without it.
            served = replace(request, left_out=waiting.left_out)
            if waiting.can_serve(live.harness, served, cwd):
                live.turn.request = served
                return waiting
            live.replaced = waiting
            await waiting.end()
        conversation = Conversation(
            thread_id=request.thread_id,
            harness=live.harness,
            make_adapter=self._adapters[live.harness],
            cwd=cwd,
            journal=self._journal,
            mark=self._marks.new(),
        )
        conversation.on_background = self.background.tell
        left_out = self._silent.among(conversation.servers_waited_for(request))
        request = live.turn.request = replace(request, left_out=left_out)
        conversation.on_left_out = partial(self._note_silent, conversation)
        if request.takes_unasked:
            conversation.on_unasked = self._open_unasked
        return conversation

    def _note_silent(self, conversation: Conversation, left_out: Sequence[str]) -> None:
        waited_for = conversation.own_servers
        self._silent.note(waited_for[name] for name in left_out if name in waited_for)

    async def _working_folder(self, turn: Turn) -> Path:
        """Return the folder to work in; the person is asked first if they must choose.

        Cancelled if they choose not to start the agent.
        """
        in_advance = set(turn.request.folder_choices)
        while True:
            try:
                return await self._checkout.ready()
            except ChoiceNeeded as exc:
                question = exc.question
            choice = question.named_in(in_advance)
            if choice is None:
                choice = question.chosen(*await turn.ask_first(question.as_input()))
            if choice.id == CANCEL:
                raise asyncio.CancelledError
            in_advance.discard(choice.id)  # once: if it can't be followed, a person must say more
            self._checkout.choose(question, choice)

    def _stop(
        self, live: LiveRun, error: AppError | None = None, *, grace: float = INTERRUPT_GRACE
    ) -> asyncio.Task[None]:
        """Start stopping a run, or return the stop that is in progress."""
        if live.stopping is None:
            if not live.turn.is_over:  # else it had completed, and nothing was cut short
                live.error, live.is_cut = error, True
            live.stopping = asyncio.get_running_loop().create_task(self._stopping(live, grace))
        return live.stopping

    async def _stopping(self, live: LiveRun, grace: float) -> None:
        if not live.preparing.done():
            live.preparing.cancel()
            others = (run for run in self._live.values() if run is not live)
            if all(run.preparing.done() for run in others):
                self._checkout.skip_submodules()
            return
        await live.turn.stop(grace=grace)

    def _forget(self, live: LiveRun) -> None:
        request = live.turn.request
        # Only if it is still the current one: a newer attempt may have replaced it.
        if self._live.get(request.run_id) is live:
            del self._live[request.run_id]
        siblings = self._live_of_thread[request.thread_id]
        siblings.discard(live)
        if not siblings:
            del self._live_of_thread[request.thread_id]
        self.background.tell()

    def _stream_of(self, row: RunRow, after: int) -> RunStream:
        live = self._live.get(row.run_id)
        if live is not None and live.stream.fence == row.fence:
            return live.stream
        kept = self._unwritten.get(row.run_id)
        if kept is not None and kept.fence == row.fence:
            return kept
        if not row.is_done:  # nothing works on it any more: its end could not be written
            close_run(self._journal, row)
            row = self._journal.get_run(row.run_id, row.fence)
        if after > row.last_n:
            row = end_again(self._journal, row, after=after)
        return RunStream(self._journal, row)
