"""The common part of the adapters of real programs: a turn's answer, questions and end."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from agents.harness.answer import AnswerBuilder
from agents.harness.base import Applied, NotSteered, Out, TurnInput
from agents.harness.history import with_history
from agents.harness.lines import as_object
from agents.harness.questions import Answers

Message = dict[str, Any]
Q = TypeVar("Q")

_COLOUR = re.compile(r"\x1b\[[\d;]*m")  # some programs colour their log without a terminal


class CliAdapter(ABC, Generic[Q]):
    """A conversation with one program; ``Q`` is the adapter's record of a question.

    A subclass starts its turns with ``_open`` and defines the meaning of a line (``_take``), how
    to pass on an answer (``_reply``), a program's fixed settings (``_key``) and the state to reset
    when the program exits (``_on_gone``).
    """

    kind: str
    title: str  # the program's name for people

    def __init__(self) -> None:
        self._turn: TurnInput | None = None
        self._answer = AnswerBuilder("")
        self._session = ""  # the program's own id of the conversation
        self._is_interrupted = False
        self._discarded = 0  # programs that must not serve another turn
        self._questions: dict[str, Q] = {}

    # The runner's interface; see ``Adapter``

    def key(self, turn: TurnInput) -> str:
        return f"{self._discarded}:{self._key(turn)}"

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
        return self._outputs()

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
        """Refuse: by default a program accepts no message in the middle of a turn. The catalog
        says which ones do."""
        return [NotSteered(steer_id)] if self._turn is not None else []

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        self._on_gone()
        if self._turn is None:
            return []
        if self._is_interrupted:
            self._answer.abort(self._metadata())
        else:
            self._on_crash(code, stderr)
        return self._outputs()

    # What each program defines

    @abstractmethod
    def _key(self, turn: TurnInput) -> str:
        """Return the settings of a turn that are fixed when the program starts."""

    @abstractmethod
    def _take(self, message: Message, line: bytes) -> None:
        """Take one message of a running turn."""

    @abstractmethod
    def _between_turns(self, message: Message | None) -> list[Out]:
        """Handle a message outside of a turn: requests are answered, the rest is dropped."""

    @abstractmethod
    def _reply(self, question: Q, is_allowed: bool, reason: str, answers: Answers) -> None:
        """Pass on a person's decision."""

    @abstractmethod
    def _on_gone(self) -> None:
        """The program has exited: reset the state that it held."""

    def _on_crash(self, code: int | None, stderr: str) -> None:
        """The program ended in the middle of a turn that nobody stopped."""
        self._answer.fail(*crash(self.title, code, stderr), self._metadata())

    # What they share

    def _open(self, turn: TurnInput) -> None:
        """Start a turn with a new message and no open question."""
        self._turn = turn
        self._answer = AnswerBuilder(turn.run_id)
        self._questions = {}
        self._is_interrupted = False
        self._answer.start()

    def _outputs(self) -> list[Out]:
        if self._answer.finished:
            self._turn = None
            self._questions = {}
        return self._answer.take()

    def _ask(self, approval_id: str, question: Q, *, call: str, tool: str, value: Any) -> None:
        """Ask a person to decide about a call."""
        if not call or self._answer.is_ended_call(call):
            call = approval_id  # the question becomes a call of its own
        self._questions[approval_id] = question
        self._answer.ask(approval_id, call, tool, value)

    def _fail(self, code: str, sentence: str, metadata: Message | None = None) -> None:
        # The next turn needs a new program, which reads its sign-in and settings again.
        self._discarded += 1
        self._answer.fail(code, sentence, metadata or self._metadata())

    def _start_over(self) -> None:
        """Continue without the earlier conversation, and notify the person. The known history of
        it is put into the turn's message."""
        assert self._turn is not None
        lost = f"{self.title} no longer has the earlier conversation, so it"
        does = "gets the messages again" if self._turn.earlier else "starts afresh"
        self._turn = with_history(self._turn)
        self._notice("session_lost", f"{lost} {does}.")

    def _note_unreachable(self, server: str) -> None:
        """Notify the person that an MCP server of the agent can't be used in this turn."""
        self._notice("mcp_server", f"{self.title} can't use the MCP server {server} here.")

    def _notice(self, code: str, text: str) -> None:
        """Add a notice for the person beside the answer."""
        self._answer.data("notice", {"source": self.kind, "code": code, "text": text})

    def _metadata(self) -> Message:
        """Return a message's metadata about its conversation."""
        if not self._session:
            return {}
        return {"codingAgentSessionId": self._session, "codingAgentProvider": self.kind}


def crash(title: str, code: int | None, stderr: str) -> tuple[str, str]:
    """Return code and sentence of a program that ended in the middle of a turn."""
    how = f"with exit code {code}" if code is not None and code >= 0 else "by a signal"
    lines = _COLOUR.sub("", stderr).strip().splitlines()
    last = f" Its last words: {lines[-1][:500]}" if lines else ""
    return "harness_crashed", f"{title} ended {how} in the middle of the answer.{last}"
