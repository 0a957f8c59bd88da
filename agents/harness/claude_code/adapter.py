"""The adapter: dispatch of lines, and the course of a turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from agents.harness.base import PLAN, Again, Json, Launch, NotSteered, Out, Steered, TurnInput
from agents.harness.claude_code import failures
from agents.harness.claude_code import launch as lines
from agents.harness.claude_code.permissions import DENIED, PLAN_ONLY, answered, decide, denial
from agents.harness.claude_code.stream import Stream
from agents.harness.claude_code.todos import Todos
from agents.harness.claude_code.usage import Meter
from agents.harness.cli_adapter import CliAdapter
from agents.harness.lines import object_of, text_of
from agents.harness.mcp import McpServer, servers_of
from agents.harness.questions import PLAN_READY, QUESTION, Answers

Line = dict[str, Any]

FINISH_REASONS = {"max_tokens": "length", "refusal": "content-filter"}
# Known kinds that readers do not need.
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


@dataclass(frozen=True, slots=True)
class Question:
    """A request of the program that a person's answer decides."""

    request_id: str
    call: str
    tool: str
    input: Any


class ClaudeCodeAdapter(CliAdapter[Question]):
    """See ``agents.harness.base.Adapter``."""

    kind = "claude-code"
    title = "Claude Code"

    def __init__(self) -> None:
        super().__init__()
        self._todos = Todos()
        self._stream = Stream(self._answer, self._todos)
        self._meter = Meter()
        self._requests = 0
        self._is_initialized = False
        self._is_restarting = False
        self._is_planning = False
        self._version: tuple[int, ...] = ()
        self._steers: list[str] = []  # sent in the middle of the turn, and not yet read
        self._cost = 0.0  # of the turn's results before its last
        self._is_continued = False
        self._servers: tuple[McpServer, ...] = ()  # that the program has
        self._servers_request = ""  # our open request that sets them

    def launch(self, turn: TurnInput) -> Launch:
        return lines.launch(turn)

    def _key(self, turn: TurnInput) -> str:
        return lines.key(turn)

    def begin(self, turn: TurnInput) -> list[Out]:
        if self._is_restarting:  # the same answer continues
            self._turn, self._is_restarting, self._questions = turn, False, {}
        else:
            self._open(turn)
        self._stream = Stream(self._answer, self._todos)
        self._is_planning = turn.mode == PLAN
        self._steers, self._cost, self._is_continued = [], 0.0, False
        if not self._is_initialized:
            self._is_initialized = True
            self._meter = Meter(is_resumed=turn.resume_session_ref is not None)
            self._answer.put(lines.request(self._next_id(), "initialize"))
        self._meter.begin()
        servers = servers_of(turn)
        if servers == self._servers:
            self._answer.put(lines.user_line(turn))
        else:  # with this turn's tokens; the message waits until the program has the servers
            self._servers, self._servers_request = servers, self._next_id()
            self._answer.put(lines.set_servers(self._servers_request, servers))
        return self._answer.take()

    def feed(self, line: bytes) -> list[Out]:
        return [] if self._is_restarting else super().feed(line)

    def _take(self, message: Line, line: bytes) -> None:
        kind = text_of(message, "type")
        if handle := _HANDLERS.get(kind):
            handle(self, message, line)
        elif kind not in QUIET:
            self._answer.notice(self.kind, line)

    def _reply(self, question: Question, is_allowed: bool, reason: str, answers: Answers) -> None:
        if not is_allowed:
            self._answer.deny(question.call)
            self._answer.put(lines.deny(question.request_id, denial(question.tool, reason)))
            return
        tool_input = question.input
        if question.tool == QUESTION:
            tool_input = answered(tool_input, answers)
        elif question.tool == PLAN_READY:
            # The program leaves the mode in which it was started: the next turn needs another one.
            self._is_planning = False
            self._discarded += 1
        self._answer.put(lines.allow(question.request_id, tool_input))

    def steer(self, steer_id: str, message: Json) -> list[Out]:
        """See ``Adapter``. The program reads a line in the middle of a turn at its next step, and
        reports that; without a further step it continues with the line after its result. So that
        result is not the end of our turn, see ``_on_result``."""
        if self._turn is None:
            return []
        if self._is_interrupted or self._servers_request or self._version < lines.STEERS_SINCE:
            return [NotSteered(steer_id)]
        self._steers.append(steer_id)
        return [lines.user_line(replace(self._turn, messages=(message,)), name=steer_id)]

    def interrupt(self) -> list[Out]:
        if self._turn is None:
            return []
        self._is_interrupted = True
        # With unread steers it would continue after an interrupt: then only signals stop it.
        return [] if self._steers else [lines.request(self._next_id(), "interrupt")]

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        return [] if self._is_restarting else super().ended(code, stderr)

    def _on_gone(self) -> None:
        self._is_initialized = False
        self._servers, self._servers_request = (), ""

    def _on_crash(self, code: int | None, stderr: str) -> None:
        assert self._turn is not None
        if failures.is_unknown_session(stderr) and self._turn.resume_session_ref:
            self._start_afresh()
        else:
            super()._on_crash(code, stderr)

    def _next_id(self) -> str:
        self._requests += 1
        return f"mesh-{self._requests}"

    def _between_turns(self, message: Line | None) -> list[Out]:
        if message is None or text_of(message, "type") != "control_request":
            return []
        return [lines.refuse(text_of(message, "request_id"), "No turn is running.")]

    def _start_afresh(self) -> None:
        assert self._turn is not None
        self._is_restarting = True
        self._on_gone()
        for steer_id in self._steers:
            self._answer.put(NotSteered(steer_id))
        self._steers = []
        self._start_over()
        self._answer.put(Again(self._turn))

    # One method for each kind of line

    def _on_system(self, message: Line, line: bytes) -> None:
        subtype = text_of(message, "subtype")
        if subtype == "init":
            self._version = lines.version_of(text_of(message, "claude_code_version"))
            self._on_session(text_of(message, "session_id"), text_of(message, "model"))
        elif subtype == "api_retry":
            self._answer.data("retry", _retry(message), transient=True)
        elif subtype == "informational":
            notice = {"source": self.kind, "code": "warning", "text": text_of(message, "content")}
            self._answer.data("notice", notice, transient=True)
        elif subtype == "permission_denied":
            self._answer.deny(text_of(message, "tool_use_id"))
        elif subtype not in QUIET_SYSTEM:
            self._answer.notice(self.kind, line)

    def _on_session(self, session: str, model: str) -> None:
        """Publish the session id as soon as it is known; ``init`` comes in each turn."""
        if session:
            self._session = session
            self._answer.metadata(self._metadata() | ({"model": model} if model else {}))

    def _on_event(self, message: Line, line: bytes) -> None:
        if not message.get("parent_tool_use_id"):
            event = object_of(message, "event")
            if text_of(event, "type") == "message_delta":
                self._meter.step(object_of(event, "usage"))
            self._stream.event(event)

    def _on_command(self, message: Line, line: bytes) -> None:
        """Take the report on a line that was sent in the middle of the turn."""
        steer_id = text_of(message, "command_uuid")
        if text_of(message, "state") == "started" and steer_id in self._steers:
            self._steers.remove(steer_id)
            self._answer.put(Steered(steer_id))

    def _on_assistant(self, message: Line, line: bytes) -> None:
        if parent := text_of(message, "parent_tool_use_id"):
            if self._answer.has_call(parent):
                self._stream.of_helper(object_of(message, "message"), parent)
        elif not message.get("is_api_error_message"):  # the result repeats it
            self._stream.whole(object_of(message, "message"))

    def _on_user(self, message: Line, line: bytes) -> None:
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
        question = Question(request_id, text_of(request, "tool_use_id"), tool, tool_input)
        decision = decide(tool, self._turn, is_planning=self._is_planning, tool_input=tool_input)
        if self._is_interrupted or decision == "deny":
            self._answer.deny(question.call)
            reason = DENIED if self._is_interrupted else PLAN_ONLY
            self._answer.put(lines.deny(request_id, reason))
        elif decision == "allow":
            self._answer.put(lines.allow(request_id, tool_input))
        else:
            shown = tool_input
            if tool == PLAN_READY:
                plan = text_of(tool_input, "plan") if isinstance(tool_input, dict) else ""
                shown = {"plan": plan}
                self._answer.plan(plan)
            self._ask(request_id, question, call=question.call, tool=tool, value=shown)

    def _on_cancel(self, message: Line, line: bytes) -> None:
        """Close a question that the program withdraws; the call's own result says why."""
        self._questions.pop(text_of(message, "request_id"), None)

    def _on_control_response(self, message: Line, line: bytes) -> None:
        """Take a response to our request; only the one about the servers matters here."""
        response = object_of(message, "response")
        if not self._servers_request or text_of(response, "request_id") != self._servers_request:
            return
        self._servers_request = ""
        if self._is_interrupted:
            self._answer.abort(self._metadata())
            return
        assert self._turn is not None
        errors = object_of(object_of(response, "response"), "errors")
        if text_of(response, "subtype") != "success":  # an older version
            errors = dict.fromkeys((each.name for each in self._servers), "not supported")
        for name in errors:
            self._note_unreachable(name)
        self._answer.put(lines.user_line(self._turn))

    def _usage_metadata(self, result: Line) -> Line:
        """Return the turn's usage. After several results, the last one has only its own part: then
        the steps count."""
        metadata = self._meter.metadata(result | {"usage": {}} if self._is_continued else result)
        if self._cost and "costUsd" in metadata:
            metadata["costUsd"] = round(metadata["costUsd"] + self._cost, 6)
        return metadata

    def _on_result(self, message: Line, line: bytes) -> None:
        assert self._turn is not None
        words = failures.errors_of(message)
        is_error = message.get("is_error") is True
        if is_error and failures.is_unknown_session(words) and self._turn.resume_session_ref:
            self._start_afresh()
            return
        self._session = text_of(message, "session_id") or self._session
        if self._steers:  # it continues with the unread lines
            self._is_continued = True
            self._cost += self._meter.cost(message) or 0
            return
        metadata = self._metadata() | self._usage_metadata(message)
        if self._is_interrupted or (is_error and failures.was_interrupted(message)):
            self._answer.abort(metadata)
        elif is_error:
            self._fail(*failures.failure_of(message), metadata)
        else:
            if not self._stream.has_content and words:  # such as a slash command's output
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
    "command_lifecycle": ClaudeCodeAdapter._on_command,
    "control_cancel_request": ClaudeCodeAdapter._on_cancel,
    "control_request": ClaudeCodeAdapter._on_control_request,
    "control_response": ClaudeCodeAdapter._on_control_response,
    "result": ClaudeCodeAdapter._on_result,
    "stream_event": ClaudeCodeAdapter._on_event,
    "system": ClaudeCodeAdapter._on_system,
    "user": ClaudeCodeAdapter._on_user,
}
