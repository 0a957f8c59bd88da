"""The common part of the adapters of real programs: a turn's answer, questions and end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from agents.harness import commands
from agents.harness.answer import AnswerBuilder
from agents.harness.base import Applied, Done, NotSteered, Opens, Out, TurnInput, words_of
from agents.harness.failures import REFUSED, SENTENCES, SPOILING, crashed, plain
from agents.harness.history import with_history
from agents.harness.lines import as_object
from agents.harness.questions import Answers

Message = dict[str, Any]
Q = TypeVar("Q")


def other_model(wanted: str, now: str) -> str:
    """Return what a person reads if another model answers than the chosen one."""
    return f"Another model answers: {now or 'unknown'} instead of {wanted}."


def other_effort(title: str, wanted: str, now: str) -> str:
    """Return what a person reads if a program works with another effort than the chosen one."""
    return f"{title} works at its effort “{now or 'default'}” instead of “{wanted}”."


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
        self._afresh = ""  # the newest run that began a new conversation
        self._questions: dict[str, Q] = {}
        self._asked: dict[str, str] = {}  # approval id → the call that it is about
        self._unasked_calls: set[str] = set()  # of this turn, that ran without a question

    # The runner's interface; see ``Adapter``

    @property
    def is_starting(self) -> bool:
        return False

    @property
    def opens(self) -> Opens:
        return ""

    def tell_waiting(self, servers: Sequence[str]) -> list[Out]:
        """Say nothing: by default a program does not wait for such servers."""
        return []

    def leave_out(self, servers: Sequence[str]) -> list[Out]:
        """Go on waiting: by default a program can't be started without them."""
        return []

    def key(self, turn: TurnInput) -> str:
        afresh = turn.run_id if turn.begins_afresh else self._afresh
        return f"{self._discarded}:{afresh}:{self._key(turn)}"

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
        self._answer.answered(approval_id)
        if decision == "allow":
            self._answer.allow(self._asked.get(approval_id, ""))
        self._reply(question, decision == "allow", reason, answers or {})
        self._answer.put(Applied(approval_id, decision))
        return self._answer.take()

    def steer(self, steer_id: str, message: Message) -> list[Out]:
        """Refuse: by default a program accepts no message in the middle of a turn. The catalog
        says which ones do."""
        return [NotSteered(steer_id)] if self._turn is not None else []

    def interrupt(self) -> list[Out]:
        if self._turn is None:
            return []
        self._is_interrupted = True
        self._answer.interrupt()
        return self._request_stop()

    def begin_unasked(self, turn: TurnInput) -> list[Out]:
        """Start and end an empty turn: by default no program begins one by itself."""
        self._open(turn)
        self._answer.finish("stop", self._metadata())
        return self._outputs()

    def stop_task(self, task_id: str) -> list[Out]:
        """Do nothing: by default a program has nothing in the background."""
        return []

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        self._on_gone()
        if self._turn is None:
            return []
        self._questions = {}
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
    def _request_stop(self) -> list[Out]:
        """Return the lines by which the program is asked to stop its turn."""

    @abstractmethod
    def _on_gone(self) -> None:
        """The program has exited: reset the state that it held."""

    def _on_crash(self, code: int | None, stderr: str) -> None:
        """The program ended in the middle of a turn that nobody stopped."""
        failure = crashed(self.title, code, stderr)
        self._answer.fail(failure.code, failure.sentence, self._metadata())

    # What they share

    def _open(self, turn: TurnInput) -> None:
        """Start a turn with a new message and no open question."""
        self._turn = with_history(turn) if turn.begins_afresh else turn
        self._answer = AnswerBuilder(turn.run_id)
        self._questions, self._asked = {}, {}
        self._unasked_calls = set()
        self._is_interrupted = False
        self._answer.start()
        if turn.begins_afresh:
            self._afresh = turn.run_id
            knows = "the earlier messages without what was refused" if turn.earlier else "no others"
            text = f"{self.title} begins a new conversation with this message. It knows {knows}."
            self._notice("began_afresh", text)

    def _outputs(self) -> list[Out]:
        self._drop_closed()
        if self._answer.finished:
            self._turn = None
            self._questions = {}
        outs = self._answer.take()
        if Done() in outs:  # the program is told first which questions the end has closed
            outs.remove(Done())
            outs.append(Done())
        return outs

    def _drop_closed(self) -> None:
        """Forget the questions that are closed because their calls have ended."""
        for approval_id in self._questions.keys() - self._answer.open_questions:
            self._on_closed(self._questions.pop(approval_id))

    def _on_closed(self, question: Q) -> None:
        """A question was closed by the end of its call: by default the program waits no longer."""

    def _withdraw(self, approval_id: str, *, is_own: bool = False) -> None:
        """Close a question that the program takes back; ``is_own``: no call of its is about it."""
        question = self._questions.pop(approval_id, None)
        if question is not None and not self._is_interrupted:
            self._answer.withdraw(approval_id, is_own=is_own)

    def _ask(
        self,
        approval_id: str,
        question: Q,
        *,
        call: str,
        tool: str,
        value: Any,
        is_known: bool = True,
        because: str = "",
    ) -> None:
        """Ask a person to decide about a call; for ``is_known`` and ``because`` see ``Ask``."""
        if not call or self._answer.is_ended_call(call):
            call = approval_id  # the question becomes a call of its own
        self._questions[approval_id], self._asked[approval_id] = question, call
        self._answer.ask(approval_id, call, tool, value, is_known=is_known, because=because)

    def _refuse(self, words: str = "", metadata: Message | None = None) -> None:
        """End the turn: the model refused to answer, and perhaps said why."""
        sentence = SENTENCES[REFUSED]
        if words and words not in sentence:
            sentence = f"{sentence} It said: {plain(words)}"
        self._fail(REFUSED, sentence, metadata)

    def _fail(
        self, code: str, sentence: str, metadata: Message | None = None, *, is_start: bool = False
    ) -> None:
        """End the turn with a failure. A new program for the next turn reads sign-in and settings
        again; it is needed as well when the program ``is_start``: still on its way to a turn."""
        if is_start or code in SPOILING:
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

    def _note_unreachable(self, server: str, *, is_silent: bool = False) -> None:
        """Notify the person that an MCP server of the agent can't be used in this turn."""
        why = ": it does not answer" if is_silent else ""
        self._notice("mcp_server", f"{self.title} can't use the MCP server {server} here{why}.")

    def _note_silence(self) -> None:
        """Say why the answer is empty, if it is and the message explains it."""
        assert self._turn is not None
        why = commands.said_nothing(words_of(self._turn.last_message))
        if why and self._answer.is_silent:
            self._notice("said_nothing", why)

    def _notice(self, code: str, text: str) -> None:
        """Add a notice for the person beside the answer."""
        self._answer.data("notice", {"source": self.kind, "code": code, "text": text})

    def _note_unasked(self, call_id: str) -> None:
        """Mark an open call that ran without the question that its level asks for; tell it once."""
        if call_id in self._unasked_calls:
            return
        self._answer.ran_unasked(call_id)
        if not self._unasked_calls:
            text = f"{self.title} ran something without asking first. It is marked below."
            self._notice("ran_unasked", text)
        self._unasked_calls.add(call_id)

    def _metadata(self) -> Message:
        """Return a message's metadata about its conversation, with the number of calls that ran
        without a question."""
        unasked = {"unaskedCalls": len(self._unasked_calls)} if self._unasked_calls else {}
        if not self._session:
            return unasked
        named = {"codingAgentSessionId": self._session, "codingAgentProvider": self.kind}
        return named | unasked
