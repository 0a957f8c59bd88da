"""The adapter: dispatch of messages, and the course of a turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agents.harness.base import Background, Launch, NotSteered, Out, Steered, TurnInput, Write
from agents.harness.cli_adapter import CliAdapter, Message, other_effort, other_model
from agents.harness.codex import approvals, failures, notices
from agents.harness.codex import launch as lines
from agents.harness.codex.approvals import Question
from agents.harness.codex.options import LISTED_PROVIDER, Offered
from agents.harness.codex.stream import Stream
from agents.harness.codex.terminals import Terminals
from agents.harness.codex.usage import Meter
from agents.harness.failures import REFUSED
from agents.harness.lines import object_of, text_of
from agents.harness.questions import QUESTION, Answers, without_secrets
from agents.harness.rpc import RequestId, Rpc, id_of
from mesh import agent_programs


class CodexAdapter(CliAdapter[Question]):
    """See ``agents.harness.base.Adapter``."""

    kind = "codex"
    title = "Codex"

    def __init__(self) -> None:
        super().__init__()
        self._meter = Meter()
        self._stream = Stream(self._answer)
        self._rpc = Rpc()
        self._thread_model = ""
        self._folder = ""
        self._codex_turn = ""
        self._is_connected = False  # the program knows our thread
        self._settings: Message | None = None  # the person's, where the thread needs them
        self._steers: dict[RequestId, str] = {}  # our request → the steer that it sends
        self._told: set[notices.Notice] = set()
        self._known_calls: set[str] = set()  # about which it has asked in this turn
        self._terminals = Terminals()
        self._offered, self._has_news = Offered(), False
        self._is_held = False  # the turn waits for the list of models

    def launch(self, turn: TurnInput) -> Launch:
        return lines.launch(turn)

    def _key(self, turn: TurnInput) -> str:
        return lines.key(turn)

    def begin(self, turn: TurnInput) -> list[Out]:
        self._open(turn)
        self._meter.begin()
        self._stream = Stream(self._answer, self._folder, meter=self._meter)
        self._codex_turn, self._steers, self._known_calls = "", {}, set()
        self._told = {each for each in self._told if each[0] in notices.LASTING}
        self._is_held = False
        if self._is_connected:
            if self._has_news:
                self._offer()
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

    def _request_stop(self) -> list[Out]:
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

    def stop_task(self, task_id: str) -> list[Out]:
        terminal = self._terminals.find(task_id)
        if terminal is None or not terminal.process:
            return []
        params = {"threadId": self._session, "processId": terminal.process}
        return [self._rpc.request("thread/backgroundTerminals/terminate", params)]

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        outs: list[Out] = [Background()] if self._terminals else []
        return [*outs, *super().ended(code, stderr)]

    def _on_gone(self) -> None:
        self._told, self._terminals = set(), Terminals()
        self._offered = Offered()
        self._is_connected = False
        self._meter.forget()
        self._rpc.forget()

    def _between_turns(self, message: Message | None) -> list[Out]:
        if message is None:
            return []
        if (request_id := id_of(message)) is not None:
            return [self._rpc.refuse(request_id, "No turn is running.")]
        if told := self._ended_terminal(text_of(message, "method"), object_of(message, "params")):
            return [told]
        self._has_news |= self._take_list(self._rpc.take(message), object_of(message, "result"))
        return []

    def _ended_terminal(self, method: str, params: Message) -> Background | None:
        """Return what still runs after the end of a command of an earlier turn."""
        if method != "item/completed" or text_of(params, "threadId") != self._session:
            return None
        return self._terminals.end(text_of(object_of(params, "item"), "id"))

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
        elif self._take_list(method, result):
            self._offer()
            if self._is_held and method == "model/list":
                self._start_turn()
        elif "error" in message:
            self._on_refusal(method, error)
        elif method == "initialize":
            self._answer.put(self._rpc.notify("initialized", {}))
            self._read_settings()
        elif method == "config/read":
            self._settings = object_of(result, "config")
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
        elif method == "config/read":  # then commands can't commit
            self._open_thread()
        elif method in ("initialize", "thread/start", "turn/start"):
            self._fail(*failures.refusal_of(method, error, self._model), is_start=True)

    @property
    def _model(self) -> str:
        """The model that the turn names; empty if it names none."""
        return self._turn.model if self._turn else ""

    def _read_settings(self) -> None:
        assert self._turn is not None
        self._settings = None
        if lines.can_commit(self._turn):
            params = {"cwd": self._turn.folder, "includeLayers": False}
            self._answer.put(self._rpc.request("config/read", params))
        else:
            self._open_thread()

    def _open_thread(self) -> None:
        assert self._turn is not None
        params = lines.thread(self._turn, self._settings)
        method = "thread/start"
        if resumed := self._turn.resume_session_ref:
            params |= {"threadId": resumed, "excludeTurns": True}
            method = "thread/fork" if self._turn.forks_session else "thread/resume"
        self._answer.put(self._rpc.request(method, params))

    def _take_list(self, method: str, result: Message) -> bool:
        """Take a response that lists what a person can choose; an error lists nothing."""
        if method == "model/list":
            self._offered.take_models(result)
        elif method == "skills/list":
            self._offered.take_skills(result)
        return method in ("model/list", "skills/list")

    def _offer(self) -> None:
        """Say what a person can choose from: models, efforts and commands."""
        assert self._turn is not None
        self._has_news = False
        model = self._offered.model_for(self._turn.model or self._thread_model)
        if shown := self._offered.shown(model):
            self._answer.data("agent-options", shown, transient=True)

    def _start_afresh(self) -> None:
        assert self._turn is not None
        self._start_over()
        params = lines.thread(self._turn, self._settings)
        self._answer.put(self._rpc.request("thread/start", params))

    def _on_thread(self, result: Message) -> None:
        assert self._turn is not None
        thread = object_of(result, "thread")
        self._session, self._is_connected = text_of(thread, "id"), True
        self._thread_model = text_of(result, "model")
        self._offered.provider = text_of(result, "modelProvider")
        self._folder = text_of(result, "cwd")
        self._stream = Stream(self._answer, self._folder, meter=self._meter)
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
            self._answer.put(self._rpc.request("model/list", {"includeHidden": True}))
            self._answer.put(self._rpc.request("skills/list", {"cwds": [self._folder]}))

    def _start_turn(self) -> None:
        assert self._turn is not None
        wanted, offered = self._turn.model, self._offered
        if wanted and offered.provider == LISTED_PROVIDER and offered.models is None:
            self._is_held = True
            return
        self._is_held = False
        if self._is_interrupted:
            self._answer.abort(self._metadata())
            return
        if lines.is_read_only(self._turn):
            self._tell(notices.REFUSED_UNSEEN)
        model = offered.model_for(wanted) or self._thread_model
        if wanted and model != wanted:
            self._tell(("model_changed", other_model(wanted, model)))
        effort = offered.effort_for(model, self._turn.effort)
        if effort != self._turn.effort:
            self._tell(("model_changed", other_effort(self.title, self._turn.effort, effort)))
        skill = offered.skill_in(self._turn)
        params = lines.start(
            self._turn, thread_id=self._session, model=model, effort=effort, skill=skill
        )
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
        self._known_calls.add(question.call)
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
                is_known=question.is_known,
                because=question.because,
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
            kept = without_secrets(question.input, answers)
            self._answer.result(question.call, approvals.result_text(kept))
        result = approvals.reply(question, is_allowed=is_allowed, answers=answers)
        self._answer.put(self._rpc.respond(question.request_id, result))

    # What it tells

    def _on_notification(self, message: Message, line: bytes) -> None:
        method, params = text_of(message, "method"), object_of(message, "params")
        if method == "turn/started" and not self._codex_turn:
            self._on_turn(text_of(object_of(params, "turn"), "id"))
        if told := self._ended_terminal(method, params):
            self._answer.put(told)
        if not self._is_ours(params):
            self._note_usage(method, params)
            return
        if notice := notices.notice_of(method, params):
            self._tell(notice)
        if method == "item/completed":
            self._note_change(object_of(params, "item"))
        if handle := _HANDLERS.get(method):
            handle(self, params)
        elif not self._stream.take(method, params):
            self._answer.notice(self.kind, line)

    def _note_change(self, item: Message) -> None:
        """Mark a change that was made although it had to be asked about. A command that runs
        unasked at such a level does so in the read-only sandbox."""
        assert self._turn is not None
        item_id, is_made = text_of(item, "id"), text_of(item, "status") == "completed"
        is_change = text_of(item, "type") == "fileChange" and lines.is_read_only(self._turn)
        if is_change and is_made and item_id not in self._known_calls:
            self._stream.items.started(item)
            self._note_unasked(item_id)

    def _is_ours(self, params: Message) -> bool:
        """Return whether it belongs to this turn: not to a sub-agent, nor to an earlier turn, whose
        usage a resumed thread reports."""
        thread = text_of(params, "threadId")
        turn = text_of(params, "turnId") or text_of(object_of(params, "turn"), "id")
        return (not thread or thread == self._session) and (not turn or turn == self._codex_turn)

    def _note_usage(self, method: str, params: Message) -> None:
        is_usage = method == "thread/tokenUsage/updated"
        if is_usage and self._session and text_of(params, "threadId") == self._session:
            self._meter.note(object_of(params, "tokenUsage"))

    def _tell(self, notice: notices.Notice) -> None:
        """Add a notice, unless it was told before: Codex reports some things twice."""
        if notice not in self._told:
            self._told.add(notice)
            self._notice(*notice)

    def _on_error(self, params: Message) -> None:
        """Show a retry; a final error comes with the turn's end."""
        if params.get("willRetry") is not True:
            return
        error = object_of(params, "error")
        self._answer.retry(**failures.retry_of(error))
        if self._stream.items.is_speaking:
            self._tell(notices.REPEATED)
            self._stream.items.answered()
        if not self._is_interrupted and (failure := failures.retried_failure_of(error)):
            self._answer.put(self._interrupt())
            self._fail(*failure)

    def _on_resolved(self, params: Message) -> None:
        """A question is settled: by our answer, because the turn was stopped, or because Codex
        takes it back. What it does all the same is unasked."""
        assert self._turn is not None
        approval_id = f"{self._turn.run_id}:{params.get('requestId')}"
        if (question := self._questions.get(approval_id)) is None:
            return
        self._known_calls.discard(question.call)
        # No item ends a question of the model, see ``_reply``.
        self._withdraw(approval_id, is_own=question.tool == QUESTION)

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
            if self._terminals:
                self._answer.put(self._terminals.clear())
            self._answer.abort(self._metadata())
            return
        self._run_on()
        if status == "failed" and failures.is_cut_off(error):
            self._answer.finish("length", self._metadata())
        elif status == "failed":
            self._fail(*failures.failure_of(error, self._model))
        elif self._answer.is_silent:
            # Codex drops a refusal and its words, and completes the turn.
            self._fail(REFUSED, failures.SILENT, self._metadata())
        else:
            self._answer.finish("stop", self._metadata())

    def _run_on(self) -> None:
        """Tell which commands outlive the turn."""
        if running := self._stream.items.run_on():
            for each in running:
                self._tell(notices.runs_on(each.command))
            self._answer.put(self._terminals.add(running))


_HANDLERS: dict[str, Callable[[CodexAdapter, Message], None]] = {
    "error": CodexAdapter._on_error,
    "serverRequest/resolved": CodexAdapter._on_resolved,
    "turn/completed": CodexAdapter._on_turn_completed,
}
