"""A thin runner for tests: starts what an adapter asks for and carries out its outputs.

The product's runner is in ``sandboxes/daemon``; this one has no journal, no limits and no
mercy, so that a test of an adapter tests the adapter.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.harness.base import (
    Adapter,
    Again,
    Applied,
    Ask,
    Done,
    Emit,
    Fail,
    Out,
    TurnInput,
    Unasked,
    Write,
    parse_input,
)

LIMIT = 64 * 1024 * 1024
PATIENCE = 300  # seconds: on a busy machine a program takes one to start
STEER = "11111111-1111-4111-8111-111111111111"


def turn(text: str = "", **changes: Any) -> TurnInput:
    """Return a turn in which ``text`` is said; ``changes`` are keys of its input."""
    message = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": text}]}
    value = {
        "threadId": "thread-1",
        "runId": "run-1",
        "taskId": "thread-1",
        "messages": [message],
        "models": {
            "credentialId": "laptop:demo",
            "thinking": {"id": "claude-code:sonnet", "title": "Sonnet"},
        },
        "mode": "default",
        "temperature": 0.5,
        "toolApprovalLevel": "auto",
        "user": {"id": "ada", "email": "ada@mesh.example"},
        "organizationId": "home",
        "agent": {"id": "default"},
    }
    return parse_input(value | changes)


class Driver:
    """One program and what came of it, turn after turn."""

    def __init__(
        self, adapter: Adapter, program: list[str], *, env: dict[str, str], cwd: Path
    ) -> None:
        self.adapter = adapter
        self.program = program
        self.env = env
        self.cwd = cwd
        self.process: asyncio.subprocess.Process | None = None
        self.outs: list[Out] = []
        self.lines: list[bytes] = []  # all of stdout, for recordings
        self.launches = 0
        # Called with each output before it is carried out; may call answer() or interrupt().
        self.on_out: Callable[[Out], Any] = lambda out: None

    async def __aenter__(self) -> Driver:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def run(self, turn: TurnInput) -> list[dict[str, Any]]:
        """Play one turn, and return its chunks."""
        turn = replace(turn, folder=str(self.cwd))
        self.outs = []
        async with asyncio.timeout(PATIENCE):
            await self._start(turn)
            while not any(isinstance(out, Done) for out in self.outs):
                if again := next((o for o in self.outs if isinstance(o, Again)), None):
                    self.outs.remove(again)
                    await self.stop()
                    await self._start(again.turn)
                await self._step()
        return self.chunks

    async def run_unasked(self, turn: TurnInput) -> list[dict[str, Any]]:
        """Wait until the program begins a turn by itself, and play it as ``turn``."""
        async with asyncio.timeout(PATIENCE):
            while not any(isinstance(out, Unasked) for out in self.outs):
                await self._step()
            self.outs = []
            self.carry_out(self.adapter.begin_unasked(turn))
            while not any(isinstance(out, Done) for out in self.outs):
                await self._step()
        return self.chunks

    async def _start(self, turn: TurnInput) -> None:
        if self.process is None:
            launch = self.adapter.launch(turn)
            self.launches += 1
            self.process = await asyncio.create_subprocess_exec(
                *self.program,
                *launch.args,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**self.env, **launch.env},
                cwd=self.cwd,
                limit=LIMIT,
                start_new_session=True,
            )
        self.carry_out(self.adapter.begin(turn))

    async def _step(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if line:
            self.lines.append(line)
            self.carry_out(self.adapter.feed(line.rstrip(b"\n")))
            return
        assert self.process.stderr is not None
        stderr = (await self.process.stderr.read()).decode(errors="replace")
        process, self.process = self.process, None
        self.carry_out(self.adapter.ended(await process.wait(), stderr))

    def carry_out(self, outs: list[Out]) -> None:
        for out in outs:
            self.outs.append(out)
            if isinstance(out, Write):
                assert b"\n" not in out.line
                if self.process and self.process.stdin:
                    self.process.stdin.write(out.line + b"\n")
            self.on_out(out)

    def answer(self, decision: str, reason: str = "", answers: Any = None) -> None:
        """Answer the newest question."""
        ask = [out for out in self.outs if isinstance(out, Ask)][-1]
        self.carry_out(self.adapter.answer(ask.approval_id, decision, reason, answers))

    def steer(self, text: str) -> None:
        """Say something in the middle of the turn."""
        message = {"id": "m2", "role": "user", "parts": [{"type": "text", "text": text}]}
        self.carry_out(self.adapter.steer(STEER, message))

    def interrupt(self) -> None:
        self.carry_out(self.adapter.interrupt())

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """End the program with all it started."""
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return chunks_of(self.outs)

    def failure(self) -> Fail | None:
        return next((out for out in self.outs if isinstance(out, Fail)), None)

    def applied(self) -> list[Applied]:
        return [out for out in self.outs if isinstance(out, Applied)]


def chunks_of(outs: list[Out]) -> list[dict[str, Any]]:
    """Return the chunks a reader gets, the questions among them."""
    return [out.chunk for out in outs if isinstance(out, Emit | Ask)]


def text_of(chunks: list[dict[str, Any]], kind: str = "text") -> str:
    """Return what was said, or thought (``reasoning``)."""
    return "".join(chunk["delta"] for chunk in chunks if chunk["type"] == f"{kind}-delta")


def types_of(chunks: list[dict[str, Any]]) -> list[str]:
    """Return the chunks' types, repeats in a row once."""
    types = [chunk["type"] for chunk in chunks]
    return [kind for n, kind in enumerate(types) if n == 0 or types[n - 1] != kind]


def one(chunks: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the only chunk of a type."""
    found = [chunk for chunk in chunks if chunk["type"] == kind]
    assert len(found) == 1, f"{len(found)} × {kind}"
    return found[0]
