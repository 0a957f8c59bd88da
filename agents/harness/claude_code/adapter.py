"""The adapter: which line goes where, and when a turn is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agents.harness.answer import Answer
from agents.harness.base import Again, Applied, Launch, Out, TurnInput
from agents.harness.claude_code import failures
from agents.harness.claude_code import launch as lines
from agents.harness.claude_code.permissions import DENIED, PLAN_ONLY, PLAN_SHOWN, decide
from agents.harness.claude_code.stream import Stream
from agents.harness.claude_code.usage import Meter
from agents.harness.lines import as_object, list_of, object_of, text_of
from agents.harness.questions import Answers

Line = dict[str, Any]

FINISH_REASONS = {"max_tokens": "length", "refusal": "content-filter"}
# Known, and of no use to a reader.
QUIET = frozenset(
    {
        "auth_status",
        "keep_alive",
        "prompt_suggestion",
        "rate_limit_event",
        "streamlined_text",
        "streamlined_tool_use_summary",
        "tool_progress",
        "tool_use_summary",
    }
)
QUIET_SYSTEM = frozenset(
    {
        "compact_boundary",
        "files_persisted",
        "hook_progress",
        "hook_response",
        "hook_started",
        "local_command_output",
        "session_state_changed",
        "status",
        "task_notification",
        "task_progress",
        "task_started",
        "task_updated",
        "thinking_tokens",
        "turn_duration",
    }
)


class ClaudeCodeAdapter:
    """See ``agents.harness.base.Adapter``."""

    kind = "claude-code"

    def __init__(self) -> None:
        self._turn: TurnInput | None = None
        self._answer = Answer("")
        self._stream = Stream(self._answer)
        self._meter = Meter()
        self._session = ""
        self._requests = 0
        self._is_initialized = False
        self._is_interrupted = False
        self._is_restarting = False
        self._spoiled = 0  # programs not worth going on with
        self._questions: dict[str, tuple[str, Any]] = {}  # open request → call and input
        self._helpers: dict[str, int] = {}  # call of a sub-agent → tools it has used

    def launch(self, turn: TurnInput) -> Launch:
        return lines.launch(turn)

    def key(self, turn: TurnInput) -> str:
        return f"{self._spoiled}:{lines.key(turn)}"

    def begin(self, turn: TurnInput) -> list[Out]:
        if not self._is_restarting:
            self._answer = Answer(turn.run_id)
        self._turn = turn
        self._stream = Stream(self._answer)
        self._is_restarting = self._is_interrupted = False
        self._questions, self._helpers = {}, {}
        self._answer.start()
        if not self._is_initialized:
            self._is_initialized = True
            self._meter = Meter(is_resumed=turn.resume_session_ref is not None)
            self._answer.put(lines.request(self._next_id(), "initialize"))
        self._meter.begin()
        self._answer.put(lines.user_line(turn))
        return self._answer.take()

    def feed(self, line: bytes) -> list[Out]:
        if not line.strip():
            return []
        message = as_object(line)
        if self._turn is None or self._is_restarting:
            return self._between_turns(message)
        handle = _HANDLERS.get(text_of(message, "type")) if message is not None else None
        if message is not None and handle is not None:
            handle(self, message, line)
        elif message is None or text_of(message, "type") not in QUIET:
            self._answer.notice(self.kind, line)
        return self._taken()

    def answer(
        self, approval_id: str, decision: str, reason: str, answers: Answers | None = None
    ) -> list[Out]:
        question = self._questions.pop(approval_id, None)
        if question is None:
            return []
        call, tool_input = question
        if decision == "allow":
            self._answer.put(lines.allow(approval_id, tool_input))
        else:
            self._answer.deny(call)
            self._answer.put(
                lines.deny(approval_id, f"{DENIED} They said: {reason}" if reason else DENIED)
            )
        self._answer.put(Applied(approval_id, decision))
        return self._answer.take()

    def interrupt(self) -> list[Out]:
        if self._turn is None:
            return []
        self._is_interrupted = True
        return [lines.request(self._next_id(), "interrupt")]

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        self._is_initialized = False
        if self._turn is None or self._is_restarting:
            return []
        if self._is_interrupted:
            self._answer.abort(self._metadata())
        elif failures.is_unknown_session(stderr) and self._turn.resume_session_ref:
            self._start_afresh()
        else:
            self._answer.fail(*failures.crash(code, stderr), self._metadata())
        return self._taken()

    def _next_id(self) -> str:
        self._requests += 1
        return f"mesh-{self._requests}"

    def _taken(self) -> list[Out]:
        if self._answer.finished:
            self._turn = None
            self._questions = {}
        return self._answer.take()

    def _between_turns(self, message: Line | None) -> list[Out]:
        """No turn, so nobody reads: but whoever asks is answered."""
        if message is None or text_of(message, "type") != "control_request":
            return []
        return [lines.refuse(text_of(message, "request_id"), "No turn is running.")]

    def _metadata(self, result: Line | None = None) -> dict[str, Any]:
        metadata: dict[str, Any] = {}
        if self._session:
            metadata |= {"codingAgentSessionId": self._session, "codingAgentProvider": self.kind}
        if result is not None:
            metadata["usage"] = self._meter.usage(result)
            if (cost := self._meter.cost(result)) is not None:
                metadata["costUsd"] = cost
        return metadata

    def _start_afresh(self) -> None:
        """Go on without the earlier conversation, and say so: better than a dead thread."""
        assert self._turn is not None
        self._is_restarting = True
        self._is_initialized = False
        text = "Claude Code no longer has the earlier conversation, so it starts afresh."
        self._answer.data("notice", {"source": self.kind, "code": "session_lost", "text": text})
        self._answer.put(Again(replace(self._turn, resume_session_ref=None)))

    # One method for each kind of line

    def _on_system(self, message: Line, line: bytes) -> None:
        subtype = text_of(message, "subtype")
        if subtype == "init":
            self._on_session(text_of(message, "session_id"), text_of(message, "model"))
        elif subtype == "api_retry":
            self._answer.data("retry", _retry(message), transient=True)
        elif subtype == "permission_denied":
            self._answer.deny(text_of(message, "tool_use_id"))
        elif subtype not in QUIET_SYSTEM:
            self._answer.notice(self.kind, line)

    def _on_session(self, session: str, model: str) -> None:
        """Name the conversation as soon as it is known; ``init`` comes in each turn."""
        if session:
            self._session = session
            self._answer.metadata(self._metadata() | ({"model": model} if model else {}))

    def _on_event(self, message: Line, line: bytes) -> None:
        if not message.get("parent_tool_use_id"):
            event = object_of(message, "event")
            if text_of(event, "type") == "message_delta":
                self._meter.step(object_of(event, "usage"))
            self._stream.event(event)

    def _on_assistant(self, message: Line, line: bytes) -> None:
        if parent := text_of(message, "parent_tool_use_id"):
            self._on_helper(parent, object_of(message, "message"))
        elif not message.get("is_api_error_message"):  # the result says it again
            self._stream.whole(object_of(message, "message"))

    def _on_helper(self, parent: str, message: Line) -> None:
        """Show what a sub-agent does in one part beside its call, not in the answer."""
        tools = [b for b in list_of(message, "content") if text_of(b, "type") == "tool_use"]
        if not tools or not self._answer.knows_call(parent):
            return
        self._helpers[parent] = self._helpers.get(parent, 0) + len(tools)
        doing = {
            "toolCallId": parent,
            "tools": self._helpers[parent],
            "last": tools[-1].get("name"),
        }
        self._answer.data("subagent", doing, part_id=f"subagent:{parent}")

    def _on_user(self, message: Line, line: bytes) -> None:
        # A sub-agent's results too: those of its calls that were asked for are in the answer.
        self._stream.results(message)

    def _on_control_request(self, message: Line, line: bytes) -> None:
        request_id, request = text_of(message, "request_id"), object_of(message, "request")
        if text_of(request, "subtype") == "can_use_tool":
            self._on_permission(request_id, request)
        else:
            self._answer.put(lines.refuse(request_id, "Mesh does not know this request."))

    def _on_permission(self, request_id: str, request: Line) -> None:
        assert self._turn is not None
        tool, tool_input = text_of(request, "tool_name"), request.get("input")
        call = text_of(request, "tool_use_id")
        if not call or self._answer.is_ended_call(call):
            call = request_id  # the question is a call of its own, so that it can be answered
        decision = "deny" if self._is_interrupted else decide(tool, self._turn)
        if decision == "allow":
            self._answer.put(lines.allow(request_id, tool_input))
        elif decision == "ask":
            self._questions[request_id] = (call, tool_input)
            self._answer.ask(request_id, call, tool, tool_input)
        elif decision == "plan":
            plan = tool_input.get("plan") if isinstance(tool_input, dict) else None
            self._answer.data("plan", {"plan": plan or "", "toolCallId": call}, part_id="plan")
            self._answer.result(call, "The plan is shown.")
            self._answer.put(lines.deny(request_id, PLAN_SHOWN))
        else:
            self._answer.deny(call)
            self._answer.put(lines.deny(request_id, DENIED if self._is_interrupted else PLAN_ONLY))

    def _on_cancel(self, message: Line, line: bytes) -> None:
        """The program takes its question back; the call's own result says why."""
        self._questions.pop(text_of(message, "request_id"), None)

    def _on_control_response(self, message: Line, line: bytes) -> None:
        """Answers to ours; what they lead to comes on lines of its own."""

    def _on_result(self, message: Line, line: bytes) -> None:
        assert self._turn is not None
        words = failures.errors_of(message)
        is_error = message.get("is_error") is True
        if is_error and failures.is_unknown_session(words) and self._turn.resume_session_ref:
            self._start_afresh()
            return
        self._session = text_of(message, "session_id") or self._session
        metadata = self._metadata(message)
        if self._is_interrupted or (is_error and failures.was_interrupted(message)):
            self._answer.abort(metadata)
        elif is_error:
            # The next turn deserves a program that reads its sign-in and settings anew.
            self._spoiled += 1
            self._answer.fail(*failures.failure_of(message), metadata)
        else:
            if not self._stream.said_something and words:  # a slash command, say
                self._stream.text("result", words)
            reason = FINISH_REASONS.get(text_of(message, "stop_reason"), "stop")
            self._answer.finish(reason, metadata)


def _retry(message: Line) -> dict[str, Any]:
    return {
        "attempt": message.get("attempt"),
        "of": message.get("max_retries"),
        "inMs": message.get("retry_delay_ms"),
        "status": message.get("error_status"),
        "error": text_of(message, "error"),
    }


_HANDLERS: dict[str, Callable[[ClaudeCodeAdapter, Line, bytes], None]] = {
    "assistant": ClaudeCodeAdapter._on_assistant,
    "control_cancel_request": ClaudeCodeAdapter._on_cancel,
    "control_request": ClaudeCodeAdapter._on_control_request,
    "control_response": ClaudeCodeAdapter._on_control_response,
    "result": ClaudeCodeAdapter._on_result,
    "stream_event": ClaudeCodeAdapter._on_event,
    "system": ClaudeCodeAdapter._on_system,
    "user": ClaudeCodeAdapter._on_user,
}
