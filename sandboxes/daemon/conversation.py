"""An adapter and its program, which outlive a turn and serve the next one of their thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from agents.harness.base import Adapter, Background, Launch, Out, TurnInput, Unasked, Write
from agents.harness.mcp import asked_directly
from mesh import process_tree
from mesh.agent_programs import own_servers
from mesh.background import run_in_background
from mesh.lib.errors import AppError
from mesh.process_tree import Process
from sandboxes.daemon import descendants
from sandboxes.daemon.background import BackgroundWork
from sandboxes.daemon.descendants import Moments
from sandboxes.daemon.disk import broken_by
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

    @property
    def is_over(self) -> bool: ...

    def apply(self, outs: Sequence[Out]) -> None: ...

    def crash(self, error: AppError) -> None: ...

    def begin_anew(self) -> bool: ...


class Conversation:
    """One thread's adapter and, while it runs, its program."""

    def __init__(
        self,
        *,
        thread_id: str,
        harness: str,
        make_adapter: Callable[[], Adapter],
        cwd: Path,
        journal: Journal,
        mark: str,
    ) -> None:
        self.thread_id, self.harness = thread_id, harness
        self._make_adapter = make_adapter
        self.adapter = make_adapter()
        self.cwd = cwd
        self.program: Program | None = None
        self.turn: CurrentTurn | None = None
        self.background = BackgroundWork()
        # The settings of the last turn, with which one that the program begins by itself runs.
        self.request: TurnInput | None = None
        self.on_unasked: Callable[[Conversation, str], None] = lambda conversation, reason: None
        self.on_background: Callable[[], None] = lambda: None
        self.on_left_out: Callable[[Sequence[str]], None] = lambda servers: None
        # MCP servers: for these, which it asks itself, the program may wait; without those it runs.
        self.own_servers: dict[str, str] = {}
        self.left_out: tuple[str, ...] = ()
        # When the program last read or wrote something, by the loop's clock, which stops while
        # the machine sleeps.
        self.heard_at = asyncio.get_running_loop().time()
        self._journal = journal
        self._mark = mark
        self._began = self.turn_began = process_tree.now()  # this, and its last turn
        self._cleaning: asyncio.Task[dict[Process, str]] | None = None  # after a crash
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
            JournalBroken: such as on a full disk.
        """
        launch = self.adapter.launch(turn)
        if found := _find_any(launch.refuses, self.cwd):
            raise ProjectRunsPrograms(f"This agent would run {found} without asking you.")
        command = (launch.program, *launch.args)
        env = child_env(os.environ, launch.env, command=command, named=launch.variables)
        env = descendants.marked(env, self._mark)
        argv = [*find_program(launch.program, env), *launch.args]
        try:
            self._cleaning = None
            self.program = Program.start(argv, env=env, cwd=self.cwd, listener=self)
        except OSError as exc:
            raise HarnessCrashed(f"The agent's program could not be started: {exc}.") from exc
        # Before its first input: if this process dies, the next one finds the program.
        try:
            self._journal.add_process(self.program.pid, self.program.started)
        except sqlite3.Error as exc:  # its run fails, and that ends it
            raise broken_by(exc) from exc
        self._key = self.adapter.key(turn)
        self._folder = _identity(self.cwd)
        self.own_servers = self._waits_for(turn, launch, env)
        self.left_out = turn.left_out

    def servers_waited_for(self, turn: TurnInput) -> dict[str, str]:
        """Return the MCP servers for which a program that is started for ``turn`` may wait, and
        without which it can be started: their names, with a hash of what is known of each.

        Reads the settings of the program's person.
        """
        launch = self.adapter.launch(turn)
        if launch.own_servers is None:
            return {}
        command = (launch.program, *launch.args)
        env = child_env(os.environ, launch.env, command=command, named=launch.variables)
        return self._waits_for(turn, launch, env)

    def _waits_for(self, turn: TurnInput, launch: Launch, env: Mapping[str, str]) -> dict[str, str]:
        own = launch.own_servers
        theirs = {name: value for name, value in env.items() if name not in launch.env}
        if own is None or own_servers.is_taken(own, theirs):
            return {}
        asked = {
            name: own_servers.fingerprint(self.harness, name, url)
            for name, url in asked_directly(turn).items()
        }
        if own.only and turn.left_out:  # then it starts none of its own
            return asked
        found = own_servers.find(own, theirs, self.cwd)
        return {
            name: own_servers.fingerprint(self.harness, said)
            for name, said in found.items()
            if name not in turn.left_out
        } | asked

    def write(self, line: bytes) -> None:
        self._note_activity()
        if self.program is not None:
            self.program.write(line)

    def stop_task(self, task_id: str) -> None:
        """Ask the program to end what runs in the background, if it can be asked."""
        for out in self.adapter.stop_task(task_id):
            if isinstance(out, Write):
                self.write(out.line)

    def note(self, out: Background | Unasked) -> None:
        """Take what the program tells of itself, in a turn or outside."""
        if isinstance(out, Background):
            self.background.update(out.tasks)
            self.on_background()
        else:
            self.on_unasked(self, out.reason)

    async def end(self) -> None:
        """End the program and its descendants; returns once they are gone.

        Cancelling the caller does not cancel the ending.
        """
        if self.program is not None:
            await asyncio.shield(self.program.end())

    async def renew(self) -> None:
        """Make it ready for another program after its own has crashed."""
        if self._cleaning is not None:
            await asyncio.shield(self._cleaning)
        self.adapter = self._make_adapter()
        self.background.update(())
        self.on_background()

    @property
    def has_crashed(self) -> bool:
        """Whether its program exited by itself, and in a way that it should not."""
        return self._cleaning is not None

    async def end_turn_leftovers(self, moments: Moments) -> list[str]:
        """End the processes that a stopped or failed turn left behind; return their commands.

        The program itself may stay for the next turn, unless it keeps a command running.
        """
        if self.program is None:
            return []
        program = self.program
        if program.is_ending or (program.is_alive and not await self._is_tidy(moments)):
            await self.end()
        ended = dict(program.ended)
        if self._cleaning is not None:
            ended |= await asyncio.shield(self._cleaning)
        else:
            ended |= await asyncio.shield(descendants.end_orphans(self._mark, since=moments.turn))
        commands = [one for one in ended if moments.has_command(one, program.pid)]
        return [ended[one] for one in sorted(commands, key=lambda one: one.began)]

    async def _clean(self) -> dict[Process, str]:
        """End everything that a crashed program has left; return it with its commands."""
        assert self.program is not None
        await self.program.end()
        return await descendants.end_orphans(
            self._mark, since=self.turn_began, marked_since=self._began
        )

    async def _is_tidy(self, moments: Moments) -> bool:
        """Return whether the program ends in time the commands that it started."""
        assert self.program is not None
        until = asyncio.get_running_loop().time() + TIDY_WITHIN
        while strays := await asyncio.to_thread(_strays, self.program.pid, moments):
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
        is_in_turn = self.turn is not None and not self.turn.is_over
        if not self.program.is_ending and (code != 0 or is_in_turn):
            what = f"ending what process {self.program.pid} has left"
            self._cleaning = run_in_background(self._clean(), what=what)
        self.program.end().add_done_callback(forget)
        if self.turn is not None and self.has_crashed and self.turn.begin_anew():
            return
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
        with contextlib.suppress(sqlite3.Error):  # then the next process finds that it is gone
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
            elif isinstance(out, Background | Unasked):
                self.note(out)

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


def _strays(program: int, moments: Moments) -> set[Process]:
    return descendants.strays(process_tree.table(), program, moments)


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
