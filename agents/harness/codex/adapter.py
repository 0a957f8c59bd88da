"""The adapter: dispatch of messages, and the course of a turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agents.harness.base import Launch, NotSteered, Out, Steered, TurnInput, Write
from agents.harness.cli_adapter import CliAdapter, Message
from agents.harness.codex import approvals, failures
from agents.harness.codex import launch as lines
from agents.harness.codex.approvals import Question
from agents.harness.codex.stream import Stream
from agents.harness.lines import object_of, text_of
from agents.harness.questions import QUESTION, Answers
from agents.harness.rpc import RequestId, Rpc, id_of
from mesh import agent_programs


class CodexAdapter(CliAdapter[Question]):
    """See ``agents.harness.base.Adapter``."""

    kind = "codex"
    title = "Codex"

    def __init__(self) -> None:
        super().__init__()
        self._stream = Stream(self._answer)
        self._rpc = Rpc()
        self._thread_model = ""
        self._folder = ""
        self._codex_turn = ""
        self._is_connected = False  # the program knows our thread
        self._steers: dict[RequestId, str] = {}  # our request → the steer that it sends

    def launch(self, turn: TurnInput) -> Launch:
        return lines.launch(turn)

    def _key(self, turn: TurnInput) -> str:
        return lines.key(turn)

    def begin(self, turn: TurnInput) -> list[Out]:
        self._open(turn)
        self._stream = Stream(self._answer, self._folder)
        self._codex_turn, self._steers = "", {}
        if self._is_connected:
            self._start_turn()
        else:
            self._answer.put(self._rpc.request("initialize", lines.hello()))
        return self._answer.take()

    def _take(self, message: Message, line: bytes) -> None:
        if (request_id := id_of(message)) is not None:
            self._on_request(request_id, message)
        elif "method" in message:
            self._on_notification(message, line)
        elif "id" in message:
            self._on_response(self._rpc.take(message), message)
        else:
            self._answer.notice(self.kind, line)

    def interrupt(self) -> list[Out]:
        if self._turn is None:
            return []
        self._is_interrupted = True
        return [self._interrupt()] if self._codex_turn else []

    def steer(self, steer_id: str, message: Message) -> list[Out]:
        if self._turn is None:
            return []
        if not self._codex_turn or self._is_interrupted:
            return [NotSteered(steer_id)]  # the turn has not started, or is being stopped
        content = lines.user_input(replace(self._turn, messages=(message,)))
        params = {"threadId": self._session, "expectedTurnId": self._codex_turn, "input": content}
        write = self._rpc.request("turn/steer", params)
        self._steers[self._rpc.newest] = steer_id
        return [write]

    def _on_gone(self) -> None:
        self._is_connected = False
        self._rpc.forget()

    def _between_turns(self, message: Message | None) -> list[Out]:
        if message is None:
            return []
        if (request_id := id_of(message)) is not None:
            return [self._rpc.refuse(request_id, "No turn is running.")]
        self._rpc.take(message)
        return []

    def _metadata(self) -> Message:
        usage = self._stream.usage()
        return super()._metadata() | ({"usage": usage} if usage else {})

    # The steps to a turn: initialize, the thread, the turn

    def _on_response(self, method: str, message: Message) -> None:
        error = object_of(message, "error")
        result = object_of(message, "result")
        if steer_id := self._steers.pop(message["id"], None):
            is_refused = "error" in message
            self._answer.put(NotSteered(steer_id) if is_refused else Steered(steer_id))
        elif "error" in message:
            self._on_refusal(method, error)
        elif method == "initialize":
            self._answer.put(self._rpc.notify("initialized", {}))
            self._open_thread()
        elif method == "account/read":
            if result.get("requiresOpenaiAuth") is True and result.get("account") is None:
                self._fail("not_signed_in", agent_programs.get("codex").not_signed_in())
        elif method in ("thread/start", "thread/resume", "thread/fork"):
            self._on_thread(result)
        elif method == "turn/start":
            self._on_turn(text_of(object_of(result, "turn"), "id"))

    def _on_refusal(self, method: str, error: Message) -> None:
        if method in ("thread/resume", "thread/fork"):
            self._start_afresh()
        elif method in ("initialize", "thread/start", "turn/start"):
            self._fail(*failures.refusal_of(method, error))

    def _open_thread(self) -> None:
        assert self._turn is not None
        params = lines.thread(self._turn)
        method = "thread/start"
        if resumed := self._turn.resume_session_ref:
            params |= {"threadId": resumed, "excludeTurns": True}
            method = "thread/fork" if self._turn.forks_session else "thread/resume"
        self._answer.put(self._rpc.request(method, params))

    def _start_afresh(self) -> None:
        assert self._turn is not None
        self._start_over()
        self._answer.put(self._rpc.request("thread/start", lines.thread(self._turn)))

    def _on_thread(self, result: Message) -> None:
        assert self._turn is not None
        thread = object_of(result, "thread")
        self._session, self._is_connected = text_of(thread, "id"), True
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
            # In parallel to the turn, which without a sign-in would only fail after many retries.
            self._answer.put(self._rpc.request("account/read", {"refreshToken": False}))
            self._start_turn()

    def _start_turn(self) -> None:
        assert self._turn is not None
        params = lines.start(self._turn, thread_id=self._session, model=self._thread_model)
        self._answer.put(self._rpc.request("turn/start", params))

    def _on_turn(self, turn_id: str) -> None:
        if turn_id and not self._codex_turn:
            self._codex_turn = turn_id
            if self._is_interrupted:
                self._answer.put(self._interrupt())

    def _interrupt(self) -> Write:
        params = {"threadId": self._session, "turnId": self._codex_turn}
        return self._rpc.request("turn/interrupt", params)

    # What it asks

    def _on_request(self, request_id: RequestId, message: Message) -> None:
        assert self._turn is not None
        method, params = text_of(message, "method"), object_of(message, "params")
        question = approvals.read(method, request_id, params, self._stream.items)
        if question is None:
            self._on_other_request(method, request_id)
            return
        decision = approvals.decide(question, self._turn)
        if self._is_interrupted:
            self._reply(question, False, "", {})
        elif decision == "ask":
            self._ask(
                f"{self._turn.run_id}:{request_id}",
                question,
                call=question.call,
                tool=question.tool,
                value=question.input,
            )
        else:
            self._reply(question, decision == "allow", "", {})

    def _on_other_request(self, method: str, request_id: RequestId) -> None:
        if method == approvals.ELICITATION:
            self._answer.put(self._rpc.respond(request_id, approvals.decline_elicitation()))
        else:
            self._answer.put(self._rpc.refuse(request_id, "Mesh does not know this request."))

    def _reply(self, question: Question, is_allowed: bool, reason: str, answers: Answers) -> None:
        """See ``CliAdapter``. Codex accepts no reason: the model reads only that it was refused."""
        if not is_allowed:
            self._answer.deny(question.call)
        if question.tool == QUESTION:  # no item of Codex ends this call
            self._answer.result(question.call, approvals.result_text(answers))
        result = approvals.reply(question, is_allowed=is_allowed, answers=answers)
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
        """Return whether it belongs to this turn: not to a sub-agent, nor to an earlier turn, whose
        usage a resumed thread reports."""
        thread = text_of(params, "threadId")
        turn = text_of(params, "turnId") or text_of(object_of(params, "turn"), "id")
        return (not thread or thread == self._session) and (not turn or turn == self._codex_turn)

    def _on_resolved(self, params: Message) -> None:
        """A question is settled, by our answer or because the turn was stopped."""
        assert self._turn is not None
        self._questions.pop(f"{self._turn.run_id}:{params.get('requestId')}", None)

    def _on_turn_completed(self, params: Message) -> None:
        for steer_id in self._steers.values():  # an accepted one would have kept the turn going
            self._answer.put(NotSteered(steer_id))
        self._steers = {}
        turn = object_of(params, "turn")
        status, error = text_of(turn, "status"), object_of(turn, "error")
        if self._is_interrupted or status == "interrupted":
            # Otherwise commands outlive a stopped turn in terminals of their own.
            params = {"threadId": self._session}
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
