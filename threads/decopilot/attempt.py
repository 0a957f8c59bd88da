"""One attempt at a run in this process: its events, and the answers it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from agents.harness.base import Applied, Ask, Done, Emit, Fail, Out
from sandboxes.providers.base import DispatchRefused, Json, SandboxEvent

DONE: Final = {"type": "done"}
EVENT_COST: Final = 100  # characters, for what a row costs besides its text


@dataclass(frozen=True, slots=True)
class Answered:
    """A person's answer to a question."""

    decision: str
    reason: str = ""
    answers: Json = field(default_factory=dict)

    @property
    def is_allowed(self) -> bool:
        return self.decision == "allow"


class Attempt:
    """Numbers events, keeps them until they are acknowledged, and passes answers to the asker."""

    def __init__(self, run_id: str, fence: int) -> None:
        self.run_id = run_id
        self.fence = fence
        self.has_ended = False
        self.size = 0  # of all events: characters, plus ``EVENT_COST`` each
        self.work: asyncio.Task[None] | None = None
        self._events: list[SandboxEvent] = []
        self._acked = 0
        self._grown = asyncio.Event()
        self._questions: dict[str, asyncio.Future[Answered]] = {}

    # Events

    def put(self, outs: list[Out]) -> None:
        """Append outputs to the events, in their order."""
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
        """Append the final event; safe to repeat."""
        if not self.has_ended:
            self._add(DONE)
            self.has_ended = True

    def _add(self, body: dict[str, Any]) -> None:
        if not self.has_ended:
            self.size += EVENT_COST + _length(body)
            self._events.append(SandboxEvent(self._acked + len(self._events) + 1, body))
            self._grown.set()

    async def read(self, after: int) -> AsyncIterator[SandboxEvent]:
        """Yield the events after number ``after``, up to the final one.

        Raises:
            DispatchRefused: some of them were acknowledged and are gone.
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
        """Drop the events up to ``n``."""
        count = min(n - self._acked, len(self._events))
        if count > 0:
            del self._events[:count]
            self._acked += count

    # Questions

    async def ask(self, ask: list[Out], approval_id: str) -> Answered:
        """Ask a question, and return a person's answer, however long it takes."""
        question = self._questions[approval_id] = asyncio.get_running_loop().create_future()
        self.put(ask)
        answered: Answered = await question
        self.put([Applied(approval_id, answered.decision)])
        return answered

    def answer(self, approval_id: str, answered: Answered) -> None:
        """Pass on an answer; repeating the same one changes nothing.

        Raises:
            DispatchRefused: there is no such question, or it has a different answer.
        """
        question = self._questions.get(approval_id)
        if question is None or question.cancelled():
            raise DispatchRefused("unknown_approval", "This question is no longer open.")
        if not question.done():
            question.set_result(answered)
        elif question.result().decision != answered.decision:
            raise DispatchRefused("already_answered", "It already has a different answer.")


def _length(value: Any) -> int:
    """Return the total length of the strings in a value."""
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
