"""Asks an agent that Mesh does not know which approval levels it can hold, before any message.

    sandboxes.daemon.agent_levels --acp JSON [--acp-env JSON] KIND

The link program runs this, for it knows nothing of how agents are spoken to. The agent's program is
started as for a chat that has to ask, in an empty folder, and opens a session; nothing is sent to
its model. What it says is printed as JSON: ``levels`` (``null``: it did not say) and ``version``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from agents.harness import with_agents
from agents.harness.acp import AcpAdapter
from agents.harness.base import Done, Fail, Out, TurnInput, Write, parse_input
from mesh import children
from mesh.lib.errors import AppError
from sandboxes.daemon import descendants
from sandboxes.daemon.cli import add_agents
from sandboxes.daemon.env import child_env
from sandboxes.daemon.program import Program
from sandboxes.daemon.programs import find_program

LIMIT: Final = 30.0  # seconds: a launcher such as npx may have to download the program first


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent says of itself; ``levels`` are ``None`` if it did not get so far."""

    levels: tuple[str, ...] | None = None
    version: str = ""

    def as_json(self) -> dict[str, Any]:
        levels = None if self.levels is None else list(self.levels)
        return {"levels": levels, "version": self.version}


def main(argv: Sequence[str] | None = None) -> int:
    """Ask the agent, print its answer, and return 0."""
    parser = argparse.ArgumentParser(prog="agent_levels")
    parser.add_argument("kind", help="the agent: acp:NAME")
    add_agents(parser)
    given = parser.parse_args(argv)
    answer = asyncio.run(_ask(given.kind, given.acp, given.acp_env))
    print(json.dumps(answer.as_json()))
    return 0


async def _ask(
    kind: str, commands: Mapping[str, Sequence[str]], variables: Mapping[str, Sequence[str]]
) -> Answer:
    adapter = with_agents(commands, variables)[kind]()
    assert isinstance(adapter, AcpAdapter)
    children.adopt_orphans()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            return await ask(adapter, Path(folder), stopped=stopped)
    finally:
        await descendants.end_everything()


async def ask(
    adapter: AcpAdapter,
    folder: Path,
    *,
    limit: float = LIMIT,
    stopped: asyncio.Event | None = None,
) -> Answer:
    """Return what the agent says in ``folder`` within ``limit`` seconds; its program has ended."""
    question = Question(adapter)
    try:
        question.begin(folder)
    except (AppError, OSError):  # it is not there, or can't be started
        return question.answer
    stop = asyncio.ensure_future((stopped or asyncio.Event()).wait())
    waits = {asyncio.ensure_future(question.is_over.wait()), stop}
    try:
        await asyncio.wait(waits, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
        await question.end()
    return question.answer


class Question:
    """A conversation with an agent up to its session."""

    def __init__(self, adapter: AcpAdapter) -> None:
        self.answer = Answer()
        self.is_over = asyncio.Event()
        self._adapter = adapter
        self._program: Program | None = None

    def begin(self, folder: Path) -> None:
        """Start the program, unless the table knows the agent.

        Raises:
            ProgramMissing: it is not there.
            OSError: it can't be started.
        """
        turn = replace(_TURN, folder=str(folder))
        if self._take_answer():
            return
        launch = self._adapter.launch(turn)
        command = (launch.program, *launch.args)
        env = child_env(os.environ, launch.env, command=command, named=launch.variables)
        argv = [*find_program(launch.program, env), *launch.args]
        self._program = Program.start(argv, env=env, cwd=folder, listener=self)
        self._apply(lambda: self._adapter.begin(turn))

    async def end(self) -> None:
        if self._program is not None:
            await self._program.end()

    def _take_answer(self) -> bool:
        if not self.is_over.is_set() and (levels := self._adapter.find_levels()) is not None:
            self.answer = Answer(tuple(levels), self._adapter.version)
            self.is_over.set()
        return self.is_over.is_set()

    def _apply(self, say: Callable[[], Sequence[Out]]) -> None:
        """Pass on what the adapter says, up to the session: the message is never sent."""
        if self.is_over.is_set():
            return
        try:
            outs = say()
        except Exception:  # the agent sent what no adapter can handle
            self.is_over.set()
            raise
        if self._take_answer():
            return
        for out in outs:
            if isinstance(out, Write) and self._program is not None:
                self._program.write(out.line)
            elif isinstance(out, Fail | Done):  # such as: not signed in
                self.is_over.set()

    # Callbacks of the program

    def on_line(self, line: bytes) -> None:
        self._apply(lambda: self._adapter.feed(line))

    def on_exit(self, code: int | None, stderr: str) -> None:
        self.is_over.set()

    def on_flood(self) -> None:
        self.is_over.set()


# Of a chat that has to ask, so that the program is started in its careful environment.
_TURN: Final[TurnInput] = parse_input(
    {
        "threadId": "levels",
        "runId": "levels",
        "taskId": "levels",
        "messages": [{"id": "m", "role": "user", "parts": []}],
        "models": {"credentialId": "levels", "thinking": {"id": "smart", "title": ""}},
        "mode": "default",
        "temperature": 0,
        "toolApprovalLevel": "readonly",
        "user": {"id": "levels", "email": ""},
        "organizationId": "levels",
        "agent": {"id": "levels"},
    }
)


if __name__ == "__main__":
    raise SystemExit(main())
