"""One attempt at a run that lives in this process: its events, and the answers it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from agents.harness.base import Applied, Ask, Done, Emit, Fail, Out
from sandboxes.providers.base import DispatchRefused, Json, SandboxEvent

DONE: Final = {"type": "done"}
EVENT_COST: Final = 100  # characters


@dataclass(frozen=True, slots=True)
class Answered:
    """What a person said to a question."""

    decision: str
    reason: str = ""
    answers: Json = field(default_factory=dict)

    @property
    def is_allowed(self) -> bool:
        return self.decision == "allow"


class Attempt:
    """Numbers what is told, keeps it until it is acknowledged, and hands answers to who asked."""

    def __init__(self, run_id: str, fence: int) -> None:
        self.run_id = run_id
        self.fence = fence
        self.is_over = False
        self.size = 0  # of all that was told: characters, and what a row costs besides
        self.work: asyncio.Task[None] | None = None
        self._events: list[SandboxEvent] = []
        self._acked = 0
        self._grown = asyncio.Event()
        self._questions: dict[str, asyncio.Future[Answered]] = {}

    # What it tells

    def put(self, outs: list[Out]) -> None:
        """Add outputs to the events, in their order."""
        for out in outs:
            match out:
                case Emit(chunk):
                    self._add({"type": "ui-message-chunk", "chunk": chunk})
                case Ask():
                    self._add({**_chunk_of(out), "approval": _facts_of(out)})
                case Applied(approval_id, decision):
                    self._add(
                        {
                            "type": "approval-applied",
                            "approvalId": approval_id,
                            "decision": decision,
                        }
                    )
                case Fail(code, message):
                    self._add({"type": "error", "code": code, "message": message})
                case Done():
                    self.end()

    def end(self) -> None:
        """Say that there is no more; once."""
        if not self.is_over:
            self._add(DONE)
            self.is_over = True

    def _add(self, body: dict[str, Any]) -> None:
        if not self.is_over:
            self.size += EVENT_COST + _length(body)
            self._events.append(SandboxEvent(self._acked + len(self._events) + 1, body))
            self._grown.set()

    async def read(self, after: int) -> AsyncIterator[SandboxEvent]:
        """Yield the events behind number ``after``, up to the last one there will be.

        Raises:
            DispatchRefused: they were acknowledged, so nobody may need them again.
        """
        if after < self._acked:
            raise DispatchRefused("cursor_too_old", "These events were acknowledged before.")
        while True:
            self._grown.clear()
            for event in self._events[after - self._acked :]:
                after = event.n
                yield event
                if event.is_last:
                    return
            if not self._events or self._events[-1].n <= after:
                await self._grown.wait()

    def ack(self, n: int) -> None:
        """Forget the events up to ``n``."""
        count = min(n - self._acked, len(self._events))
        if count > 0:
            del self._events[:count]
            self._acked += count

    # What it asks

    async def ask(self, ask: list[Out], approval_id: str) -> Answered:
        """Put a question, and return a person's answer, however long it takes."""
        question = self._questions[approval_id] = asyncio.get_running_loop().create_future()
        self.put(ask)
        answered: Answered = await question
        self.put([Applied(approval_id, answered.decision)])
        return answered

    def answer(self, approval_id: str, answered: Answered) -> None:
        """Hand over an answer; the same once more changes nothing.

        Raises:
            DispatchRefused: there is no such question, or it was answered otherwise.
        """
        question = self._questions.get(approval_id)
        if question is None or question.cancelled():
            raise DispatchRefused("unknown_approval", "This is not asked any more.")
        if not question.done():
            question.set_result(answered)
        elif question.result().decision != answered.decision:
            raise DispatchRefused("already_answered", "It was answered otherwise before.")


def _length(value: Any) -> int:
    """Return the characters of the texts in a value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(str(key)) + _length(item) for key, item in value.items())
    return sum(map(_length, value)) if isinstance(value, list | tuple) else 8


def _chunk_of(ask: Ask) -> dict[str, Any]:
    return {"type": "ui-message-chunk", "chunk": ask.chunk}


def _facts_of(ask: Ask) -> dict[str, Any]:
    return {
        "approvalId": ask.approval_id,
        "toolCallId": ask.tool_call_id,
        "tool": ask.tool,
        "input": ask.input,
    }
