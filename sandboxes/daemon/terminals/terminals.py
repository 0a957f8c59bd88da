"""All terminals of one sandbox: opens, lists and ends them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from agents.harness.base import BadInput
from sandboxes.daemon.descendants import Marks, marked
from sandboxes.daemon.env import tool_env
from sandboxes.daemon.files.tree import path_of
from sandboxes.daemon.terminals.errors import (
    JobRunning,
    TerminalNotStarted,
    TooManyTerminals,
    UnknownTerminal,
)
from sandboxes.daemon.terminals.terminal import GRACE, Terminal, start
from sandboxes.daemon.terminals.wire import Size
from sandboxes.daemon.working_folder import Workplace

AT_ONCE: Final = 8
KEPT_ENDED: Final = 50
_ID = re.compile(r"[0-9a-f-]{8,40}", re.ASCII)
_SHELLS = ("bash", "zsh", "sh")  # where the person's own is not known


class Terminals:
    """Terminals by the ids that the server gave them."""

    def __init__(
        self,
        workplace: Workplace,
        marks: Marks,
        environment: Callable[[], Awaitable[Mapping[str, str]]],
    ) -> None:
        """``environment`` returns the environment of the project's programs."""
        self._workplace, self._marks, self._environment = workplace, marks, environment
        self._open: dict[str, Terminal] = {}
        self._ended: deque[Terminal] = deque(maxlen=KEPT_ENDED)
        self._starting: dict[str, asyncio.Task[Terminal]] = {}

    def list(self) -> list[Terminal]:
        """Return the open and the recently ended ones, oldest first."""
        return sorted([*self._open.values(), *self._ended], key=lambda one: one.started_at)

    @property
    def are_at_work(self) -> bool:
        """Whether a person looks at one, or a program runs in one."""
        return any(one.has_reader or one.job for one in self._open.values())

    def get(self, terminal_id: str) -> Terminal:
        """Return the terminal, open or ended.

        Raises:
            UnknownTerminal: there is none with that id.
        """
        found = next((one for one in self.list() if one.id == terminal_id), None)
        if found is None:
            raise UnknownTerminal
        return found

    async def open(self, terminal_id: str, size: Size) -> Terminal:
        """Open a terminal; safe to repeat with the same id.

        Raises:
            BadInput: the id has another form.
            TooManyTerminals, TerminalNotStarted: as their texts say.
            NotReady, GitFailed: the working folder is not available.
        """
        if not _ID.fullmatch(terminal_id):
            raise BadInput("id must be a UUID.", detail="id")
        for one in self.list():
            if one.id == terminal_id:
                return one
        starting = self._starting.get(terminal_id)
        if starting is None:
            if len(self._open) + len(self._starting) >= AT_ONCE:
                raise TooManyTerminals
            starting = asyncio.create_task(self._opened(terminal_id, size))
            self._starting[terminal_id] = starting
            starting.add_done_callback(lambda _: self._starting.pop(terminal_id, None))
        # Shielded from a caller that is cancelled: an untracked shell would never be ended.
        return await asyncio.shield(starting)

    async def _opened(self, terminal_id: str, size: Size) -> Terminal:
        tree = await self._workplace.tree()
        mark, shell = self._marks.new(), shell_of(os.environ)
        # The project's own tools are found as its programs find them.
        project = await self._environment()
        own = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "TERM_PROGRAM": "mesh"}
        env = marked(tool_env(os.environ, {**project, **own}), mark)
        terminal = Terminal(terminal_id, shell, mark, self._on_end)
        try:
            with tree.open_folder("") as (folder, _):
                cwd = path_of(folder)
                process, fd = await asyncio.to_thread(start, [shell], cwd=cwd, env=env, size=size)
        except OSError as exc:
            raise TerminalNotStarted(f"{shell} could not be started: {exc.strerror}.") from exc
        self._open[terminal_id] = terminal
        terminal.watch(process, fd)
        return terminal

    async def close(self, terminal_id: str, *, force: bool) -> None:
        """End a terminal; nothing to do for one that has ended.

        Raises:
            UnknownTerminal: there is none with that id.
            JobRunning: a program runs in it, and ``force`` is false.
        """
        terminal = self.get(terminal_id)
        if terminal.is_running and not force and (job := terminal.job):
            raise JobRunning(f"{job} is still running in this terminal.")
        await terminal.close()

    async def close_all(self, *, grace: float = GRACE) -> None:
        """End all of them, with everything that was started in them."""
        await asyncio.gather(*self._starting.values(), return_exceptions=True)
        await asyncio.gather(*[one.close(grace=grace) for one in list(self._open.values())])

    def _on_end(self, terminal: Terminal) -> None:
        if self._open.pop(terminal.id, None) is not None:
            self._ended.append(terminal)


def shell_of(env: Mapping[str, str]) -> str:
    """Return the person's own shell if it can be started, else one that there is."""
    own = env.get("SHELL", "")
    if os.path.isabs(own) and os.access(own, os.X_OK) and not own.endswith(("nologin", "false")):
        return own
    found = (shutil.which(name, path=env.get("PATH")) for name in _SHELLS)
    return next((path for path in found if path), "/bin/sh")
