"""What the adapters of real programs do alike: a turn's answer, its questions, its ends."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from agents.harness.answer import Answer
from agents.harness.base import Applied, NotSteered, Out, TurnInput
from agents.harness.history import retold
from agents.harness.lines import as_object
from agents.harness.questions import Answers

Message = dict[str, Any]
Q = TypeVar("Q")

_COLOUR = re.compile(r"\x1b\[[\d;]*m")  # some colour their log, terminal or not


class CliAdapter(ABC, Generic[Q]):
    """A conversation with one program; ``Q`` is what is remembered of a question it asks.

    A subclass begins its turns with ``_open`` and says what a line means (``_take``), how an
    answer is passed on (``_reply``), what fixes a program (``_key``) and what the program's end
    means for the next one (``_on_gone``).
    """

    kind: str
    title: str  # as people call the program

    def __init__(self) -> None:
        self._turn: TurnInput | None = None
        self._answer = Answer("")
        self._session = ""  # the program's own name of the conversation
        self._is_interrupted = False
        self._spoiled = 0  # programs not worth going on with
        self._questions: dict[str, Q] = {}

    # What a runner asks for; see ``Adapter``

    def key(self, turn: TurnInput) -> str:
        return f"{self._spoiled}:{self._key(turn)}"

    def feed(self, line: bytes) -> list[Out]:
        if not line.strip():
            return []
        message = as_object(line)
        if self._turn is None:
            return self._between_turns(message)
        if message is None:
            self._answer.notice(self.kind, line)
        else:
            self._take(message, line)
        return self._taken()

    def answer(
        self, approval_id: str, decision: str, reason: str, answers: Answers | None = None
    ) -> list[Out]:
        question = self._questions.pop(approval_id, None)
        if question is None:
            return []
        self._reply(question, decision == "allow", reason, answers or {})
        self._answer.put(Applied(approval_id, decision))
        return self._answer.take()

    def steer(self, steer_id: str, message: Message) -> list[Out]:
        """A program takes nothing in the middle of a turn, unless its adapter knows better; the
        catalog says which does."""
        return [NotSteered(steer_id)] if self._turn is not None else []

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        self._on_gone()
        if self._turn is None:
            return []
        if self._is_interrupted:
            self._answer.abort(self._metadata())
        else:
            self._on_crash(code, stderr)
        return self._taken()

    # What each program does its own way

    @abstractmethod
    def _key(self, turn: TurnInput) -> str:
        """Return what of a turn is fixed when the program starts."""

    @abstractmethod
    def _take(self, message: Message, line: bytes) -> None:
        """Take one message of a running turn."""

    @abstractmethod
    def _between_turns(self, message: Message | None) -> list[Out]:
        """No turn, so nobody reads: but whoever asks is answered."""

    @abstractmethod
    def _reply(self, question: Q, is_allowed: bool, reason: str, answers: Answers) -> None:
        """Pass on what a person decided."""

    @abstractmethod
    def _on_gone(self) -> None:
        """The program is gone: forget what it knew."""

    def _on_crash(self, code: int | None, stderr: str) -> None:
        """The program ended in the middle of a turn that nobody stopped."""
        self._answer.fail(*crash(self.title, code, stderr), self._metadata())

    # What they share

    def _open(self, turn: TurnInput) -> None:
        """Begin a turn: a new message, nothing asked, nothing stopped."""
        self._turn = turn
        self._answer = Answer(turn.run_id)
        self._questions = {}
        self._is_interrupted = False
        self._answer.start()

    def _taken(self) -> list[Out]:
        if self._answer.finished:
            self._turn = None
            self._questions = {}
        return self._answer.take()

    def _ask(self, approval_id: str, question: Q, *, call: str, tool: str, value: Any) -> None:
        """Let a person decide on a call."""
        if not call or self._answer.is_ended_call(call):
            call = approval_id  # the question is a call of its own, so that it can be answered
        self._questions[approval_id] = question
        self._answer.ask(approval_id, call, tool, value)

    def _fail(self, code: str, sentence: str, metadata: Message | None = None) -> None:
        # The next turn deserves a program that reads its sign-in and settings anew.
        self._spoiled += 1
        self._answer.fail(code, sentence, metadata or self._metadata())

    def _retell(self) -> None:
        """Go on without the earlier conversation, and say so: better than a dead thread. What
        was said in it goes into the turn's message, as far as it is known."""
        assert self._turn is not None
        lost = f"{self.title} no longer has the earlier conversation, so it"
        does = "is told again what was said" if self._turn.earlier else "starts afresh"
        self._turn = retold(self._turn)
        self._tell("session_lost", f"{lost} {does}.")

    def _tell_unreachable(self, server: str) -> None:
        """Say that an MCP server of the agent's can't be used in this turn."""
        self._tell("mcp_server", f"{self.title} can't use the MCP server {server} here.")

    def _tell(self, code: str, text: str) -> None:
        """Say something beside the answer that the person should know."""
        self._answer.data("notice", {"source": self.kind, "code": code, "text": text})

    def _metadata(self) -> Message:
        """Return what a message says of its conversation."""
        if not self._session:
            return {}
        return {"codingAgentSessionId": self._session, "codingAgentProvider": self.kind}


def crash(title: str, code: int | None, stderr: str) -> tuple[str, str]:
    """Return code and sentence of a program that ended in the middle of a turn."""
    how = f"with exit code {code}" if code is not None and code >= 0 else "by a signal"
    said = _COLOUR.sub("", stderr).strip().splitlines()
    last = f" Its last words: {said[-1][:500]}" if said else ""
    return "harness_crashed", f"{title} ended {how} in the middle of the answer.{last}"
