"""An adapter and its program, which outlive a turn and serve the next one of their thread."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from agents.harness.base import Adapter, Out, TurnInput, Write
from mesh import process_tree
from mesh.lib.errors import AppError
from sandboxes.daemon import descendants
from sandboxes.daemon.env import child_env
from sandboxes.daemon.journal import Journal
from sandboxes.daemon.program import Program
from sandboxes.daemon.programs import find_program

logger = logging.getLogger(__name__)

TIDY_WITHIN = 1.0  # seconds for a stopped program to end the commands that it started
TIDY_STEP = 0.1


class HarnessCrashed(AppError):
    """The adapter, or the program it drives, broke its contract."""

    code = "harness_crashed"
    text = "The agent stopped unexpectedly."
    hint = "Send the message again; see the sandbox's log for details."


class ProjectRunsPrograms(AppError):
    """The project contains programs that the agent would run without asking anybody."""

    code = "project_runs_programs"
    text = "The project contains programs that this agent would run without asking you."
    hint = "Remove them, choose another agent, or send the message with “Auto approve”."


class CurrentTurn(Protocol):
    """The turn that a conversation is in."""

    def apply(self, outs: Sequence[Out]) -> None: ...

    def crash(self, error: AppError) -> None: ...


class Conversation:
    """One thread's adapter and, while it runs, its program."""

    def __init__(
        self,
        *,
        thread_id: str,
        harness: str,
        adapter: Adapter,
        cwd: Path,
        journal: Journal,
        mark: str,
    ) -> None:
        self.thread_id, self.harness = thread_id, harness
        self.adapter = adapter
        self.cwd = cwd
        self.program: Program | None = None
        self.turn: CurrentTurn | None = None
        # When the program last read or wrote something, by the loop's clock, which stops while
        # the machine sleeps.
        self.heard_at = asyncio.get_running_loop().time()
        self._journal = journal
        self._mark = mark
        self._key = ""
        self._folder: tuple[int, int] | None = None  # in which the program was started

    def can_serve(self, harness: str, turn: TurnInput, cwd: Path) -> bool:
        """Return whether the running program can take ``turn`` as its next one."""
        return (
            self.program is not None
            and self.program.is_alive
            and (self.harness, self.cwd) == (harness, cwd)
            # A folder that was deleted and made again is another one, under the same path.
            and self._folder == _identity(cwd)
            and self.adapter.key(turn) == self._key
        )

    def start(self, turn: TurnInput) -> None:
        """Start the program for ``turn``.

        Raises:
            ProgramMissing: it isn't on this machine.
            ProjectRunsPrograms: it would run programs from the folder without asking.
            HarnessCrashed: the system can't start it.
        """
        launch = self.adapter.launch(turn)
        if found := _find_any(launch.refuses, self.cwd):
            raise ProjectRunsPrograms(f"This agent would run {found} without asking you.")
        env = child_env(os.environ, launch.env, program=launch.program)
        env = descendants.marked(env, self._mark)
        argv = [*find_program(launch.program, env), *launch.args]
        try:
            self.program = Program.start(argv, env=env, cwd=self.cwd, listener=self)
        except OSError as exc:
            raise HarnessCrashed(f"The agent's program could not be started: {exc}.") from exc
        # Before its first input: if this process dies, the next one finds the program.
        self._journal.add_process(self.program.pid, self.program.started)
        self._key = self.adapter.key(turn)
        self._folder = _identity(self.cwd)

    def write(self, line: bytes) -> None:
        self._note_activity()
        if self.program is not None:
            self.program.write(line)

    async def end(self) -> None:
        """End the program and its descendants; returns once they are gone.

        Cancelling the caller does not cancel the ending.
        """
        if self.program is not None:
            await asyncio.shield(self.program.end())

    async def end_turn_leftovers(self, since: float) -> None:
        """End the processes that a stopped turn left behind; ``since`` is when the turn started.

        The program itself may stay for the next turn, unless it keeps a command running.
        """
        if self.program is not None and self.program.is_alive and not await self._is_tidy(since):
            await self.end()
        await asyncio.shield(descendants.end_orphans(self._mark, since=since))

    async def _is_tidy(self, since: float) -> bool:
        """Return whether the program ends in time what it started in sessions of their own."""
        assert self.program is not None
        until = asyncio.get_running_loop().time() + TIDY_WITHIN
        while strays := await asyncio.to_thread(_strays, self.program.pid, since):
            if asyncio.get_running_loop().time() >= until:
                logger.info(
                    "thread %s: the stopped %s program keeps %d commands running, ending it",
                    self.thread_id,
                    self.harness,
                    len(strays),
                )
                return False
            await asyncio.sleep(TIDY_STEP)
        return True

    # Callbacks of the program

    def on_line(self, line: bytes) -> None:
        self._note_activity()
        try:
            outs = self.adapter.feed(line)
        except Exception as exc:
            logger.exception(
                "thread %s: the %s adapter failed on a line of its program, ending the turn",
                self.thread_id,
                self.harness,
            )
            self._crash(HarnessCrashed("The agent sent something that Mesh can't handle."), exc)
            return
        self._apply(outs)

    def on_exit(self, code: int | None, stderr: str) -> None:
        assert self.program is not None
        # Once its children are gone too, the next sandbox process has nothing to end.
        forget = partial(self._forget, self.program.pid)
        self.program.end().add_done_callback(forget)
        try:
            outs = self.adapter.ended(code, stderr)
        except Exception as exc:
            logger.exception(
                "thread %s: the %s adapter failed on its program's exit, ending the turn",
                self.thread_id,
                self.harness,
            )
            self._crash(HarnessCrashed(), exc)
            return
        self._apply(outs)
        if self.turn is not None:  # the adapter did not end the turn
            self.turn.crash(HarnessCrashed())

    def _note_activity(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()

    def _forget(self, pid: int, _: object) -> None:
        self._journal.remove_process(pid)

    def on_flood(self) -> None:
        self._crash(HarnessCrashed("The agent wrote a line longer than 64 MiB."), None)

    def _apply(self, outs: Sequence[Out]) -> None:
        if self.turn is not None:
            self.turn.apply(outs)
            return
        for out in outs:  # between two turns a program may still ask for something
            if isinstance(out, Write):
                self.write(out.line)

    def _crash(self, error: AppError, cause: Exception | None) -> None:
        error.__cause__ = cause
        if self.turn is not None:
            self.turn.crash(error)
        elif self.program is not None:
            self.program.end()


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        facts = folder.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _strays(program: int, since: float) -> set[process_tree.Process]:
    return descendants.strays(process_tree.table(), program, since=since)


def _find_any(patterns: Sequence[str], folder: Path) -> Path | None:
    """Return a path that one of the patterns means in ``folder`` or above it; what lies in the
    person's own home is theirs."""
    for place in (folder, *folder.parents):
        if place == Path.home():
            return None
        for pattern in patterns:
            if found := next(place.glob(pattern), None):
                return found
    return None
