"""The adapter: dispatch of messages, and the course of a turn."""

from __future__ import annotations

from collections.abc import Callable

from agents.harness.acp import failures, permissions
from agents.harness.acp import launch as lines
from agents.harness.acp.agents import Agent
from agents.harness.acp.permissions import Question
from agents.harness.acp.stream import Stream
from agents.harness.acp.usage import Meter
from agents.harness.base import PLAN, Launch, Out, TurnInput
from agents.harness.cli_adapter import CliAdapter, Message
from agents.harness.lines import list_of, object_of, text_of
from agents.harness.mcp import servers_of
from agents.harness.questions import Answers
from agents.harness.rpc import RequestId, Rpc, id_of

FINISH_REASONS = {
    "max_tokens": "length",
    "max_turn_requests": "length",
    "refusal": "content-filter",
}


class AcpAdapter(CliAdapter[Question]):
    """See ``agents.harness.base.Adapter``; for one agent."""

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self.agent = agent
        self.kind, self.title = agent.kind, agent.title
        self._stream = Stream(self._answer)
        self._meter = Meter()
        self._rpc = Rpc({"jsonrpc": "2.0"})
        self._capabilities: Message = {}
        self._modes: tuple[str, str] = ("", "")  # the session's default mode, the present one
        self._can_plan = False
        self._is_connected = False  # the program has our session
        self._is_new = False  # and no message was sent in it yet
        self._is_prompted = False  # updates belong to this turn, not to a replayed history

    def launch(self, turn: TurnInput) -> Launch:
        return lines.launch(self.agent, turn)

    def _key(self, turn: TurnInput) -> str:
        return lines.key(self.agent, turn)

    def begin(self, turn: TurnInput) -> list[Out]:
        self._open(turn)
        self._stream = Stream(self._answer, turn.folder)
        self._is_prompted = False
        if self._is_connected:
            self._meter.begin()
            self._enter_mode()
        else:
            self._answer.put(self._rpc.request("initialize", lines.hello()))
        return self._answer.take()

    def _take(self, message: Message, line: bytes) -> None:
        if (request_id := id_of(message)) is not None:
            self._on_request(request_id, message)
        elif text_of(message, "method") == "session/update":
            self._on_update(object_of(message, "params"), line)
        elif "id" in message and "method" not in message:
            self._on_response(self._rpc.take(message), message)
        else:
            self._answer.notice(self.kind, line)

    def interrupt(self) -> list[Out]:
        if self._turn is None:
            return []
        self._is_interrupted = True
        outs: list[Out] = []
        if self._is_prompted:
            outs.append(self._rpc.notify("session/cancel", {"sessionId": self._session}))
        for question in self._questions.values():  # an agent that waits for an answer can't stop
            outs.append(self._rpc.respond(question.request_id, permissions.CANCELLED))
        self._questions = {}
        return outs

    def _on_gone(self) -> None:
        self._is_connected = False
        self._rpc.forget()

    def _between_turns(self, message: Message | None) -> list[Out]:
        if message is None:
            return []
        if (request_id := id_of(message)) is None:
            self._rpc.take(message)
            return []
        if text_of(message, "method") == permissions.METHOD:
            return [self._rpc.respond(request_id, permissions.CANCELLED)]
        return [self._rpc.refuse(request_id, "No turn is running.")]

    # The steps to a turn: initialize, the session, its mode, the prompt

    def _on_response(self, method: str, message: Message) -> None:
        if handle := _STEPS.get(method):
            if "error" in message:
                self._on_refusal(method, object_of(message, "error"))
            else:
                handle(self, object_of(message, "result"))

    def _on_refusal(self, method: str, error: Message) -> None:
        if method in ("session/fork", "session/load", "session/resume"):
            self._start_afresh()
        elif method == "session/set_mode":
            self._prompt()  # permissions enforce what the mode would forbid
        elif self._is_interrupted:
            self._answer.abort(self._metadata())
        else:
            self._fail(*failures.failure_of(self.agent, error))

    def _on_initialized(self, result: Message) -> None:
        assert self._turn is not None
        self._capabilities = object_of(result, "agentCapabilities")
        if not self._turn.resume_session_ref:
            self._open_session()
        elif method := self._resume_method():
            self._session = self._turn.resume_session_ref
            params = self._session_params() | {"sessionId": self._session}
            self._answer.put(self._rpc.request(method, params))
        else:
            self._start_afresh()

    def _resume_method(self) -> str:
        """Return the method that resumes a session, preferably without replaying its history."""
        assert self._turn is not None
        methods = object_of(self._capabilities, "sessionCapabilities")
        if self._turn.forks_session:
            return "session/fork" if "fork" in methods else ""
        if "resume" in methods:
            return "session/resume"
        return "session/load" if self._capabilities.get("loadSession") is True else ""

    def _open_session(self) -> None:
        assert self._turn is not None
        self._session = ""
        self._answer.put(self._rpc.request("session/new", self._session_params()))

    def _session_params(self) -> Message:
        assert self._turn is not None
        return lines.session(self._turn, takes_http=self._takes_http)

    @property
    def _takes_http(self) -> bool:
        """Whether it accepts MCP servers over HTTP, which the protocol leaves optional."""
        return object_of(self._capabilities, "mcpCapabilities").get("http") is True

    def _start_afresh(self) -> None:
        self._start_over()
        self._open_session()

    def _on_session(self, result: Message) -> None:
        self._is_new = not self._session
        self._session = text_of(result, "sessionId") or self._session
        self._is_connected = True
        modes = object_of(result, "modes")
        current = text_of(modes, "currentModeId")
        self._modes = (current, current)
        self._can_plan = any(text_of(m, "id") == PLAN for m in list_of(modes, "availableModes"))
        self._meter = Meter()
        if not self._is_new:
            self._meter.resume()
        self._meter.begin()
        self._answer.metadata(self._metadata())
        assert self._turn is not None
        for server in () if self._takes_http else servers_of(self._turn):
            self._note_unreachable(server.name)
        self._enter_mode()

    def _enter_mode(self) -> None:
        """Switch the agent to plan mode, or back to its default mode, if it has modes.

        In a resumed session the mode is always set: the agent may still be replaying the earlier
        conversation, and it responds once that is done.
        """
        assert self._turn is not None
        default, current = self._modes
        mode = PLAN if self._turn.mode == PLAN and self._can_plan else default
        is_resumed = self._turn.resume_session_ref and not self._is_new
        if mode and (mode != current or is_resumed):
            self._modes = (default, mode)
            params = {"sessionId": self._session, "modeId": mode}
            self._answer.put(self._rpc.request("session/set_mode", params))
        else:
            self._prompt()

    def _on_mode(self, result: Message) -> None:
        self._prompt()

    def _prompt(self) -> None:
        assert self._turn is not None
        if self._is_interrupted:
            self._answer.abort(self._metadata())
            return
        can_see = object_of(self._capabilities, "promptCapabilities").get("image") is True
        if not can_see and lines.has_pictures(self._turn):
            self._notice(
                "files_not_taken", f"{self.title} takes no pictures: it knows their names."
            )
        blocks = lines.prompt(self._turn, can_see=can_see, is_new=self._is_new)
        self._is_new, self._is_prompted = False, True
        params = {"sessionId": self._session, "prompt": blocks}
        self._answer.put(self._rpc.request("session/prompt", params))

    def _on_prompted(self, result: Message) -> None:
        metadata = self._metadata() | self._meter.metadata(result)
        reason = text_of(result, "stopReason")
        if self._is_interrupted or reason == "cancelled":
            self._answer.abort(metadata)
        else:
            self._answer.finish(FINISH_REASONS.get(reason, "stop"), metadata)

    # The agent's requests and updates

    def _on_request(self, request_id: RequestId, message: Message) -> None:
        method, params = text_of(message, "method"), object_of(message, "params")
        if method == permissions.METHOD:
            self._on_permission(request_id, params)
        else:  # opencode, for one, asks us to write files although we declared that we don't
            self._answer.put(self._rpc.refuse(request_id, "The agent must do this itself."))

    def _on_permission(self, request_id: RequestId, params: Message) -> None:
        assert self._turn is not None
        approval_id = f"{self._turn.run_id}:{request_id}"
        call_id, call = self._stream.call(object_of(params, "toolCall"))
        question = permissions.read(request_id, params, call_id)
        # A call with a diff is an edit, whatever kind the agent declares.
        decision = permissions.decide(self._turn, "edit" if call.changes else call.kind)
        if self._is_interrupted:
            self._answer.put(self._rpc.respond(request_id, permissions.CANCELLED))
        elif decision == "ask":
            self._ask(approval_id, question, call=call_id, tool=call.name, value=call.input)
        else:
            self._reply(question, decision == "allow", "", {})

    def _reply(self, question: Question, is_allowed: bool, reason: str, answers: Answers) -> None:
        """See ``CliAdapter``. The protocol has no place for a reason."""
        if not is_allowed:
            self._answer.deny(question.call)
        result = permissions.reply(question, is_allowed=is_allowed)
        self._answer.put(self._rpc.respond(question.request_id, result))

    def _on_update(self, params: Message, line: bytes) -> None:
        update = object_of(params, "update")
        if text_of(update, "sessionUpdate") == "usage_update":
            self._meter.update(update)
        if not self._is_prompted:
            return  # a replayed history
        if not self._stream.take(update):
            self._answer.notice(self.kind, line)


_STEPS: dict[str, Callable[[AcpAdapter, Message], None]] = {
    "initialize": AcpAdapter._on_initialized,
    "session/fork": AcpAdapter._on_session,
    "session/load": AcpAdapter._on_session,
    "session/new": AcpAdapter._on_session,
    "session/prompt": AcpAdapter._on_prompted,
    "session/resume": AcpAdapter._on_session,
    "session/set_mode": AcpAdapter._on_mode,
}
