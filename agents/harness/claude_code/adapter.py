"""The adapter: dispatch of lines, and the course of a turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from agents.harness import commands
from agents.harness.base import (
    PLAN,
    Again,
    Background,
    BackgroundTask,
    Json,
    Launch,
    NotSteered,
    Out,
    Steered,
    TurnInput,
)
from agents.harness.claude_code import failures, notices
from agents.harness.claude_code import launch as lines
from agents.harness.claude_code.options import Offered
from agents.harness.claude_code.permissions import (
    DENIED,
    PLAN_ONLY,
    answered,
    asked_by_settings,
    decide,
    denial,
    must_ask,
)
from agents.harness.claude_code.stream import Stream
from agents.harness.claude_code.tasks import tasks_of
from agents.harness.claude_code.todos import Todos
from agents.harness.claude_code.unasked import UnaskedTurn, is_request
from agents.harness.claude_code.usage import Meter
from agents.harness.cli_adapter import CliAdapter, other_effort, other_model
from agents.harness.failures import REFUSED
from agents.harness.lines import as_object, list_of, object_of, text_of
from agents.harness.mcp import SILENT, McpServer, servers_of
from agents.harness.questions import PLAN_READY, QUESTION, Answers

Line = dict[str, Any]

FINISH_REASONS = {"max_tokens": "length"}
CLEARED = "The agent starts afresh: it no longer knows what was said before."
REPEATED = (
    "The provider's answer broke off, so Claude Code asked again: what was said above is repeated."
)
GOES_ON = "It goes on in the background."
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
        self._line = ""  # the UUID of the turn's message, once it is sent
        # Whether the program has told what it does with our messages, as newer ones do, and
        # whether what it says now belongs to our turn.
        self._reports_lines, self._is_ours = False, True
        self._unasked = UnaskedTurn()
        self._tasks: tuple[BackgroundTask, ...] = ()
        self._settings: TurnInput | None = None  # of the last turn
        # The end of a turn in which a sub-agent still waits for a person; empty: it is to end
        # when that is settled.
        self._held: Line | None = None
        self._known_calls: deque[str] = deque(maxlen=1000)  # about which it has asked
        self._steers: list[str] = []  # sent in the middle of the turn, and not yet read
        self._cost = 0.0  # of the turn's results before its last
        self._is_continued = False
        self._is_compacted = False
        self._refusal = ""  # what the model said when it refused
        self._told_servers: set[str] = set()  # that can't be used
        self._servers: tuple[McpServer, ...] = ()  # that the program has
        self._servers_request = ""  # our open request that sets them
        self._offered, self._has_news = Offered(), False
        self._hello = ""  # our open request for what the program offers
        self._effort_request = ""  # ours for the effort with which it works
        self._is_held = False  # the message waits for the program's commands

    def launch(self, turn: TurnInput) -> Launch:
        return lines.launch(turn)

    def _key(self, turn: TurnInput) -> str:
        return lines.key(turn)

    def begin(self, turn: TurnInput) -> list[Out]:
        if self._is_restarting:  # the same answer continues
            self._turn, self._is_restarting, self._questions = turn, False, {}
        else:
            self._open(turn)
        self._begin(turn)
        self._line, self._is_ours = "", not self._reports_lines
        self._unasked.postpone()
        if not self._is_initialized:
            self._is_initialized = True
            self._meter = Meter(is_resumed=turn.resume_session_ref is not None)
            self._hello = self._next_id()
            self._answer.put(lines.request(self._hello, "initialize"))
            if turn.effort:
                self._effort_request = self._next_id()
                self._answer.put(lines.request(self._effort_request, "get_settings"))
        elif self._has_news:
            self._offer()
        self._meter.begin()
        servers = servers_of(turn)
        if servers == self._servers:
            self._say()
        else:  # with this turn's tokens; the message waits until the program has the servers
            self._servers, self._servers_request = servers, self._next_id()
            self._answer.put(lines.set_servers(self._servers_request, servers))
            self._answer.waiting([server.name for server in servers])
        return self._answer.take()

    def _begin(self, turn: TurnInput) -> None:
        self._stream = Stream(self._answer, self._todos, self._on_run)
        self._is_planning = turn.mode == PLAN
        self._settings, self._held = turn, None
        self._steers, self._cost, self._is_continued = [], 0.0, False
        self._is_compacted, self._refusal = False, ""

    def _say(self) -> None:
        """Send the turn's message, under a UUID that no message had before: the program drops one
        that it knows."""
        assert self._turn is not None
        names = self._offered.names
        if names is None and self._hello and commands.looks_like_command(self._turn.prompt):
            self._is_held = True
            return
        self._line, self._is_held = str(uuid4()), False
        turn = commands.spoken(self._turn, names or ())
        self._answer.put(lines.user_line(turn, name=self._line))

    def begin_unasked(self, turn: TurnInput) -> list[Out]:
        unasked, self._unasked = self._unasked, UnaskedTurn()
        self._open(turn)
        self._begin(turn)
        self._line, self._is_ours = "", True
        self._meter.begin()
        self._answer.data("unasked", {"reason": unasked.reason}, part_id="unasked")
        outs = self._answer.take()
        for line in unasked.take():
            outs += self.feed(line)  # what follows its end is of another such turn
        if self._turn is not None and (unasked.is_cut or unasked.is_question):
            self._held = {}
            outs += self._outputs()
        return outs

    def stop_task(self, task_id: str) -> list[Out]:
        if all(task.id != task_id for task in self._tasks):
            return []
        return [lines.request(self._next_id(), "stop_task", task_id=task_id)]

    def feed(self, line: bytes) -> list[Out]:
        if self._is_restarting:
            return []
        return super().feed(line) if self._turn is not None else self._outside(line)

    def _outputs(self) -> list[Out]:
        self._drop_closed()
        if self._turn is not None and self._held is not None and not self._is_asked():
            self._end_held(self._held)
        outs = super()._outputs()
        return outs if self._turn is not None else [*outs, *self._unasked.announce()]

    def _outside(self, line: bytes) -> list[Out]:
        """Take a line outside of our turns."""
        message = as_object(line) or {}
        kind, subtype = text_of(message, "type"), text_of(message, "subtype")
        if kind == "system" and subtype in _TASK_LINES:
            return self._on_task(message)
        is_withdrawn = kind == "control_cancel_request" and self._unasked.has_begun
        if kind == "control_request":
            if not self._unasked.has_begun:
                return self._on_request_outside(message, line)
        elif kind == "control_response":
            self._has_news |= self._take_offer(object_of(message, "response"))
            return []
        elif subtype == "commands_changed":
            self._offered.take_commands(message)
            self._has_news = True
            return []
        elif (kind in QUIET or kind in _REPORTS) and not is_withdrawn:
            return []
        self._unasked.keep(message, line)
        return [*self._unasked.announce()]

    def _on_request_outside(self, message: Line, line: bytes) -> list[Out]:
        """Take a question of a sub-agent that works in the background: what the level of its turn
        does not answer is asked in an answer of its own."""
        request_id, request = text_of(message, "request_id"), object_of(message, "request")
        if text_of(request, "subtype") != "can_use_tool" or self._settings is None:
            return self._between_turns(message)
        tool, value = text_of(request, "tool_name"), request.get("input")
        decision = decide(tool, self._settings, is_planning=self._is_planning, tool_input=value)
        if decision == "allow":
            return [lines.allow(request_id, value)]
        if decision == "deny":
            return [lines.deny(request_id, PLAN_ONLY)]
        self._unasked.ask(line)
        return [*self._unasked.announce()]

    def _on_task(self, message: Line) -> list[Out]:
        """Take a line about the background; returns what has changed there."""
        ended = text_of(message, "task_id")
        titles = [task.title for task in self._tasks if task.id == ended]
        self._unasked.note(message, next(iter(titles), "without a name"))
        if text_of(message, "subtype") != "background_tasks_changed":
            return []
        self._tasks = tasks_of(message)
        return [Background(self._tasks)]

    def _is_of_another_turn(self, message: Line) -> bool:
        """Return whether the line belongs to a turn that the program began by itself, just before
        it read our message."""
        if self._is_ours or text_of(message, "type") in (*_REPORTS, "control_request"):
            return False
        if self._line and self._line in _texts_of(message, "user_message_uuids"):
            self._own()
        return not self._is_ours

    def _own(self) -> None:
        """The program has begun with our message: from here on its lines are our turn's."""
        if self._is_interrupted and not self._is_ours and not self._steers:
            self._answer.put(lines.request(self._next_id(), "interrupt"))
        self._is_ours = True
        self._unasked.cut()

    def _take(self, message: Line, line: bytes) -> None:
        kind = text_of(message, "type")
        if self._held is not None and is_request(message):  # the turn goes on
            self._is_continued = self._is_continued or bool(self._held)
            self._cost += self._meter.cost(self._held) or 0
            self._held = None
        if kind == "system" and text_of(message, "subtype") in _TASK_LINES:
            for out in self._on_task(message):
                self._answer.put(out)
        elif self._is_of_another_turn(message):
            self._unasked.keep(message, line)
        elif handle := _HANDLERS.get(kind):
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
        turn = commands.spoken(replace(self._turn, messages=(message,)), self._offered.names or ())
        return [lines.user_line(turn, name=steer_id)]

    # Sub-agents that go on when the turn has ended

    def _is_asked(self) -> bool:
        """Return whether a sub-agent waits for a person, or for the call that one has allowed."""
        if all(task.kind != "agent" for task in self._tasks):
            return False
        calls = ((each, self._asked.get(each)) for each in self._asked)
        is_open = any(call != each and not self._has_ended(call) for each, call in calls)
        return bool(self._questions) or is_open

    def _has_ended(self, call: str | None) -> bool:
        return call is None or self._answer.is_ended_call(call)

    def _end_held(self, result: Line) -> None:
        self._held = None
        if result:
            self._on_result(result, b"")
        else:
            self._leave_helpers()
            self._answer.finish("stop", self._metadata())

    def _leave_helpers(self) -> None:
        """End the shown calls of sub-agents that go on: their ends come after the turn's."""
        if any(task.kind == "agent" for task in self._tasks):
            for call in self._answer.calls_of_helpers():
                self._answer.result(call, GOES_ON)

    def interrupt(self) -> list[Out]:
        outs = super().interrupt()
        if self._turn is None or self._held is None:
            return outs
        for question in self._questions.values():
            self._answer.put(lines.deny(question.request_id, DENIED))
        self._held = None
        self._answer.abort(self._metadata())
        return self._outputs()

    def _request_stop(self) -> list[Out]:
        # With unread messages it would continue after an interrupt: then only signals stop it,
        # unless it reads ours in time.
        can_obey = self._is_ours and not self._steers
        return [lines.request(self._next_id(), "interrupt")] if can_obey else []

    def ended(self, code: int | None, stderr: str) -> list[Out]:
        if self._is_restarting:
            return []
        outs: list[Out] = [Background()] if self._tasks else []
        return [*outs, *super().ended(code, stderr)]

    def _on_gone(self) -> None:
        self._is_initialized = False
        self._reports_lines, self._tasks = False, ()
        self._unasked, self._held = UnaskedTurn(), None
        self._servers, self._servers_request = (), ""
        self._told_servers = set()
        self._offered, self._hello, self._effort_request = Offered(), "", ""

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
            self._on_servers(message)
        elif subtype == "commands_changed":
            self._offered.take_commands(message)
            self._offer()
        elif subtype == "api_retry":
            self._retry(message)
        elif subtype == "permission_denied":
            self._answer.deny(text_of(message, "tool_use_id"))
        elif notice := notices.notice_of(message):
            self._is_compacted |= notice[0] == "compacted"
            if notice[0] == REFUSED:  # the turn's end tells it, unless another model answers
                self._refusal = notice[1]
            else:
                self._notice(*notice)
        elif not notices.is_known(subtype):
            self._answer.notice(self.kind, line)

    def _on_servers(self, message: Line) -> None:
        """Tell once which MCP servers the program could not reach or sign in to."""
        for server in list_of(message, "mcp_servers"):
            name, status = text_of(server, "name"), text_of(server, "status")
            if status in ("failed", "needs-auth") and name not in self._told_servers:
                self._told_servers.add(name)
                self._note_unreachable(name)

    def _retry(self, message: Line) -> None:
        self._answer.retry(
            attempt=message.get("attempt"),
            of=message.get("max_retries"),
            in_ms=message.get("retry_delay_ms"),
            status=message.get("error_status"),
            reason=text_of(message, "error"),
        )
        if self._stream.is_speaking:
            self._notice("repeated", REPEATED)
        if text_of(message, "error") == "authentication_failed":
            # No later try can succeed, and the program would make ten in more than a minute.
            self._answer.put(lines.request(self._next_id(), "interrupt"))
            status = message.get("error_status")
            refused = {"result": "Invalid API key", "api_error_status": status}
            self._fail(*failures.failure_of(refused | {"terminal_reason": "api_error"}))

    def _on_session(self, session: str, model: str) -> None:
        """Publish the session id as soon as it is known; ``init`` comes in each turn."""
        if session:
            self._session = session
            self._answer.metadata(self._metadata() | ({"model": model} if model else {}))
        assert self._turn is not None
        if (wanted := self._turn.model) and self._offered.is_other(wanted, model):
            self._notice("model_changed", other_model(wanted, model))

    def _on_reset(self, message: Line, line: bytes) -> None:
        self._notice("cleared", CLEARED)

    def _on_event(self, message: Line, line: bytes) -> None:
        if not message.get("parent_tool_use_id"):
            event = object_of(message, "event")
            if text_of(event, "type") == "message_delta":
                self._meter.step(object_of(event, "usage"))
            self._stream.event(event)

    def _on_command(self, message: Line, line: bytes) -> None:
        """Take the report on a line that we sent: the turn's message, or one in its middle."""
        name, state = text_of(message, "command_uuid"), text_of(message, "state")
        if self._line and name == self._line:
            self._reports_lines = True
            if state in ("started", "completed"):
                self._own()
            elif state != "queued" and not self._is_ours:
                self._not_taken()
        elif state == "started" and name in self._steers:
            self._steers.remove(name)
            self._own()
            self._answer.put(Steered(name))

    def _not_taken(self) -> None:
        """End the turn: the program has dropped its message before it began."""
        if self._is_interrupted:
            self._answer.abort(self._metadata())
        else:
            self._fail("harness_failed", "Claude Code did not take the message. Send it again.")

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
        elif text_of(request, "subtype") == "elicitation":
            self._answer.put(lines.cancel_form(request_id))
            server, asks = text_of(request, "mcp_server_name"), text_of(request, "message")
            self._notice("mcp_server", f"{server or 'An MCP server'} wanted to ask you: {asks}")
        else:
            self._answer.put(lines.refuse(request_id, "Mesh does not know this request."))

    def _on_permission(self, request_id: str, request: Line) -> None:
        assert self._turn is not None
        tool, tool_input = text_of(request, "tool_name"), request.get("input")
        self._known_calls.append(text_of(request, "tool_use_id"))
        question = Question(request_id, text_of(request, "tool_use_id"), tool, tool_input)
        decision = decide(tool, self._turn, is_planning=self._is_planning, tool_input=tool_input)
        because = asked_by_settings(request, self._turn)
        if because and decision == "allow":
            decision = "ask"
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
            self._ask(
                request_id,
                question,
                call=question.call,
                tool=tool,
                value=shown,
                because=because,
            )

    def _on_run(self, call: str) -> None:
        """Mark a call that has run although the program had to ask about it, and did not."""
        assert self._turn is not None
        tool, value = self._answer.name_of(call), self._answer.input_of(call)
        is_due = must_ask(tool, value, self._turn, is_planning=self._is_planning)
        if is_due and call not in self._known_calls:
            self._note_unasked(call)

    def _on_cancel(self, message: Line, line: bytes) -> None:
        """Close a question that the program takes back; the call's own result says why. If it runs
        all the same, it does so unasked."""
        request_id = text_of(message, "request_id")
        if (question := self._questions.get(request_id)) and question.call in self._known_calls:
            self._known_calls.remove(question.call)
        self._withdraw(request_id)
        self._asked.pop(request_id, None)

    def _on_control_response(self, message: Line, line: bytes) -> None:
        """Take the response to one of our requests."""
        response = object_of(message, "response")
        request_id = text_of(response, "request_id")
        if request_id and request_id == self._effort_request:
            self._on_settings(object_of(response, "response"))
        elif self._take_offer(response):
            self._offer()
            if self._is_held and self._is_interrupted:
                self._answer.abort(self._metadata())
            elif self._is_held:
                self._say()
        elif request_id and request_id == self._servers_request:
            self._on_servers_set(response)

    def _take_offer(self, response: Line) -> bool:
        """Take the program's lists from a response, if it is the one that has them."""
        if not self._hello or text_of(response, "request_id") != self._hello:
            return False
        self._hello = ""
        self._offered.take(object_of(response, "response"))
        return True

    def _offer(self) -> None:
        """Say what a person can choose from: models, efforts and commands."""
        assert self._turn is not None
        self._has_news = False
        if shown := self._offered.shown(self._turn.model):
            self._answer.data("agent-options", shown, transient=True)

    def _on_settings(self, response: Line) -> None:
        """Tell the person if the program works with another effort than the chosen one."""
        assert self._turn is not None
        self._effort_request = ""
        effort = text_of(object_of(response, "applied"), "effort")
        if response and effort != self._turn.effort:
            self._notice("model_changed", other_effort(self.title, self._turn.effort, effort))

    def _on_servers_set(self, response: Line) -> None:
        self._servers_request = ""
        if self._is_interrupted:
            self._answer.abort(self._metadata())
            return
        assert self._turn is not None
        self._answer.waiting([])
        errors = object_of(object_of(response, "response"), "errors")
        if text_of(response, "subtype") != "success":  # an older version
            errors = dict.fromkeys((each.name for each in self._servers), "not supported")
        for name, why in errors.items():
            self._told_servers.add(name)
            if SILENT not in str(why):  # that Mesh itself tells
                self._note_unreachable(name, is_silent="timed out" in str(why))
        self._say()

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
            self._is_continued, self._is_ours = True, not self._reports_lines
            self._cost += self._meter.cost(message) or 0
            return
        if not is_error and not self._is_interrupted and self._is_asked():
            self._held = message
            return
        metadata = self._metadata() | self._usage_metadata(message)
        if self._is_interrupted or (is_error and failures.was_interrupted(message)):
            self._answer.abort(metadata)
        elif text_of(message, "stop_reason") == "refusal" or (is_error and self._refusal):
            self._refuse(self._refusal, metadata)
        elif is_error:
            self._fail(*failures.failure_of(message, self._turn.model), metadata)
        else:
            self._leave_helpers()
            if not self._stream.has_content and (words or self._is_compacted):
                # Such as the output of a command of the program's own.
                self._stream.text("result", words or "The conversation was shortened.")
            reason = FINISH_REASONS.get(text_of(message, "stop_reason"), "stop")
            self._note_silence()
            self._answer.finish(reason, metadata)


# Lines about what runs in the background, at any time.
_TASK_LINES = ("background_tasks_changed", "task_notification")
# Lines that belong to no turn: reports and responses of the program.
_REPORTS = ("command_lifecycle", "control_cancel_request", "control_response")


def _texts_of(message: Line, key: str) -> list[str]:
    values = message.get(key)
    return [each for each in values if isinstance(each, str)] if isinstance(values, list) else []


_HANDLERS: dict[str, Callable[[ClaudeCodeAdapter, Line, bytes], None]] = {
    "assistant": ClaudeCodeAdapter._on_assistant,
    "command_lifecycle": ClaudeCodeAdapter._on_command,
    "control_cancel_request": ClaudeCodeAdapter._on_cancel,
    "conversation_reset": ClaudeCodeAdapter._on_reset,
    "control_request": ClaudeCodeAdapter._on_control_request,
    "control_response": ClaudeCodeAdapter._on_control_response,
    "result": ClaudeCodeAdapter._on_result,
    "stream_event": ClaudeCodeAdapter._on_event,
    "system": ClaudeCodeAdapter._on_system,
    "user": ClaudeCodeAdapter._on_user,
}
