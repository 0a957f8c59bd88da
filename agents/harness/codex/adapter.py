"""The adapter: which message goes where, and when a turn is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents.harness.answer import Answer
from agents.harness.base import Applied, Launch, Out, TurnInput, Write
from agents.harness.codex import approvals, failures
from agents.harness.codex import launch as lines
from agents.harness.codex.approvals import Question
from agents.harness.codex.stream import Stream
from agents.harness.lines import as_object, object_of, text_of
from agents.harness.questions import Answers
from agents.harness.rpc import RequestId, Rpc, id_of

Message = dict[str, Any]


class CodexAdapter:
    """See ``agents.harness.base.Adapter``."""

    kind = "codex"

    def __init__(self) -> None:
        self._turn: TurnInput | None = None
        self._answer = Answer("")
        self._stream = Stream(self._answer)
        self._rpc = Rpc()
        self._thread = ""  # Codex's name of the conversation, the session reference
        self._thread_model = ""
        self._folder = ""
        self._codex_turn = ""
        self._is_connected = False  # the program knows our thread
        self._is_interrupted = False
        self._spoiled = 0  # programs not worth going on with
        self._questions: dict[str, Question] = {}

    def launch(self, turn: TurnInput) -> Launch:
        return lines.launch(turn)

    def key(self, turn: TurnInput) -> str:
        return f"{self._spoiled}:{lines.key(turn)}"

    def begin(self, turn: TurnInput) -> list[Out]:
        self._turn = turn
        self._answer = Answer(turn.run_id)
        self._stream = Stream(self._answer, self._folder)
        self._questions = {}
        self._codex_turn, self._is_interrupted = "", False
        self._answer.start()
        if self._is_connected:
            self._start_turn()
        else:
            self._answer.put(self._rpc.request("initialize", lines.hello()))
        return self._answer.take()

    def feed(self, line: bytes) -> list[Out]:
        if not line.strip():
            return []
        message = as_object(line)
        if self._turn is None:
            return self._between_turns(message)
        if message is None:
            self._answer.notice(self.kind, line)
        elif (request_id := id_of(message)) is not None:
            self._on_request(request_id, message)
        elif "method" in message:
            self._on_notification(message, line)
        elif "id" in message:
            self._on_response(self._rpc.take(message), message)
        else:
            self._answer.notice(self.kind, line)
        return self._taken()

    def answer(
        self, approval_id: str, decision: str, reason: str, answers: Answers | None = None
    ) -> list[Out]:
        """See ``Adapter``. Codex takes no reason: the model reads only that it was refused."""
        question = self._questions.pop(approval_id, None)
        if question is None:
            return []
        self._reply(question, is_allowed=decision == "allow")
        self._answer.put(Applied(approval_id, decision))
        return self._answer.take()

    def interrupt(self) -> list[Out]:
        if self._turn is None:
            return []
        self._is_interrupted = True
        return [self._interrupt()] if self._codex_turn else []

    def steer(self, text: str) -> list[Out]:
        """Say something more in the running turn; nothing when it isn't known to run.

        Not part of ``Adapter`` yet: no other harness takes it in the middle of a turn.
        """
        if self._turn is None or not self._codex_turn or self._is_interrupted:
            return []
        params = {"threadId": self._thread, "expectedTurnId": self._codex_turn}
        return [self._rpc.request("turn/steer", params | {"input": [lines.text_input(text)]})]

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        self._is_connected = False
        self._rpc.forget()
        if self._turn is None:
            return []
        if self._is_interrupted:
            self._answer.abort(self._metadata())
        else:
            self._answer.fail(*failures.crash(code, stderr), self._metadata())
        return self._taken()

    def _taken(self) -> list[Out]:
        if self._answer.finished:
            self._turn = None
            self._questions = {}
        return self._answer.take()

    def _between_turns(self, message: Message | None) -> list[Out]:
        """No turn, so nobody reads: but whoever asks is answered."""
        if message is None:
            return []
        if (request_id := id_of(message)) is not None:
            return [self._rpc.refuse(request_id, "No turn is running.")]
        self._rpc.take(message)
        return []

    def _metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = {}
        if self._thread:
            metadata |= {"codingAgentSessionId": self._thread, "codingAgentProvider": self.kind}
        if usage := self._stream.usage():
            metadata["usage"] = usage
        return metadata

    def _fail(self, code: str, sentence: str) -> None:
        # The next turn deserves a program that reads its sign-in and settings anew.
        self._spoiled += 1
        self._answer.fail(code, sentence, self._metadata())

    # The way to a turn: initialize, the thread, the turn

    def _on_response(self, method: str, message: Message) -> None:
        error = object_of(message, "error")
        result = object_of(message, "result")
        if "error" in message:
            self._on_refusal(method, error)
        elif method == "initialize":
            self._answer.put(self._rpc.notify("initialized", {}))
            self._open_thread()
        elif method == "account/read":
            if result.get("requiresOpenaiAuth") is True and result.get("account") is None:
                self._fail("not_signed_in", failures.NOT_SIGNED_IN)
        elif method in ("thread/start", "thread/resume"):
            self._on_thread(result)
        elif method == "turn/start":
            self._on_turn(text_of(object_of(result, "turn"), "id"))

    def _on_refusal(self, method: str, error: Message) -> None:
        if method == "thread/resume":
            self._start_afresh()
        elif method in ("initialize", "thread/start", "turn/start"):
            self._fail(*failures.refusal_of(method, error))

    def _open_thread(self) -> None:
        assert self._turn is not None
        params = lines.thread(self._turn)
        if resumed := self._turn.resume_session_ref:
            params |= {"threadId": resumed, "excludeTurns": True}
        method = "thread/resume" if resumed else "thread/start"
        self._answer.put(self._rpc.request(method, params))

    def _start_afresh(self) -> None:
        """Go on without the earlier conversation, and say so: better than a dead thread."""
        assert self._turn is not None
        text = "Codex no longer has the earlier conversation, so it starts afresh."
        self._answer.data("notice", {"source": self.kind, "code": "session_lost", "text": text})
        self._answer.put(self._rpc.request("thread/start", lines.thread(self._turn)))

    def _on_thread(self, result: Message) -> None:
        assert self._turn is not None
        thread = object_of(result, "thread")
        self._thread, self._is_connected = text_of(thread, "id"), True
        self._thread_model = text_of(result, "model")
        self._folder = text_of(result, "cwd")
        self._stream = Stream(self._answer, self._folder)
        model = {"model": self._thread_model} if self._thread_model else {}
        self._answer.metadata(self._metadata() | model)
        sandbox = text_of(object_of(result, "sandbox"), "type")
        if lines.is_read_only(self._turn) and sandbox != "readOnly":
            self._fail("harness_too_old", failures.NOT_READ_ONLY)
        elif self._is_interrupted:
            self._answer.abort(self._metadata())
        else:
            # Beside the turn, which without a sign-in would only fail after many tries.
            self._answer.put(self._rpc.request("account/read", {"refreshToken": False}))
            self._start_turn()

    def _start_turn(self) -> None:
        assert self._turn is not None
        params = lines.start(self._turn, thread_id=self._thread, model=self._thread_model)
        self._answer.put(self._rpc.request("turn/start", params))

    def _on_turn(self, turn_id: str) -> None:
        if turn_id and not self._codex_turn:
            self._codex_turn = turn_id
            if self._is_interrupted:
                self._answer.put(self._interrupt())

    def _interrupt(self) -> Write:
        params = {"threadId": self._thread, "turnId": self._codex_turn}
        return self._rpc.request("turn/interrupt", params)

    # What it asks

    def _on_request(self, request_id: RequestId, message: Message) -> None:
        assert self._turn is not None
        method, params = text_of(message, "method"), object_of(message, "params")
        question = approvals.read(method, request_id, params, self._stream.items)
        decision = "deny" if self._is_interrupted else approvals.decide(self._turn)
        if question is None:
            self._on_other_request(method, request_id, params)
        elif decision == "ask":
            self._ask(question, f"{self._turn.run_id}:{request_id}")
        else:
            self._reply(question, is_allowed=decision == "allow")

    def _on_other_request(self, method: str, request_id: RequestId, params: Message) -> None:
        if method == approvals.FORM:
            self._answer.put(self._rpc.respond(request_id, approvals.no_forms(params)))
        elif method == approvals.ELICITATION:
            self._answer.put(self._rpc.respond(request_id, approvals.decline_elicitation()))
        else:
            self._answer.put(self._rpc.refuse(request_id, "Mesh does not know this request."))

    def _ask(self, question: Question, approval_id: str) -> None:
        call = question.call
        if not call or self._answer.is_ended_call(call):
            call = approval_id  # the question is a call of its own, so that it can be answered
        self._questions[approval_id] = question
        self._answer.ask(approval_id, call, question.tool, question.input)

    def _reply(self, question: Question, *, is_allowed: bool) -> None:
        if not is_allowed:
            self._answer.deny(question.call)
        result = approvals.reply(question, is_allowed=is_allowed)
        self._answer.put(self._rpc.respond(question.request_id, result))

    # What it tells

    def _on_notification(self, message: Message, line: bytes) -> None:
        method, params = text_of(message, "method"), object_of(message, "params")
        if method == "turn/started" and not self._codex_turn:
            self._on_turn(text_of(object_of(params, "turn"), "id"))
        if not self._is_ours(params):
            return
        if handle := _HANDLERS.get(method):
            handle(self, params)
        elif not self._stream.take(method, params):
            self._answer.notice(self.kind, line)

    def _is_ours(self, params: Message) -> bool:
        """Say whether it is about this turn: not of a sub-agent, nor of a turn before, which a
        resumed thread tells the usage of."""
        thread = text_of(params, "threadId")
        turn = text_of(params, "turnId") or text_of(object_of(params, "turn"), "id")
        return (not thread or thread == self._thread) and (not turn or turn == self._codex_turn)

    def _on_resolved(self, params: Message) -> None:
        """A question is settled, by our answer or because the turn was stopped."""
        assert self._turn is not None
        self._questions.pop(f"{self._turn.run_id}:{params.get('requestId')}", None)

    def _on_turn_completed(self, params: Message) -> None:
        turn = object_of(params, "turn")
        status, error = text_of(turn, "status"), object_of(turn, "error")
        if self._is_interrupted or status == "interrupted":
            # Commands outlive a stopped turn in terminals of their own, unless told so.
            params = {"threadId": self._thread}
            self._answer.put(self._rpc.request("thread/backgroundTerminals/clean", params))
            self._answer.abort(self._metadata())
        elif status == "failed" and failures.is_cut_off(error):
            self._answer.finish("length", self._metadata())
        elif status == "failed":
            self._fail(*failures.failure_of(error))
        else:
            self._answer.finish("stop", self._metadata())


_HANDLERS: dict[str, Callable[[CodexAdapter, Message], None]] = {
    "serverRequest/resolved": CodexAdapter._on_resolved,
    "turn/completed": CodexAdapter._on_turn_completed,
}
