"""One answer as AI SDK chunks: a valid message for any output of the program.

Every adapter writes through ``AnswerBuilder``, so one place keeps the order that readers rely
on: a part is opened before it grows and closed once, a tool call has one end, steps are closed,
and nothing comes after the one ``finish``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from agents.harness.base import Ask, Chunk, Done, Emit, Fail, Out, Withdrawn
from agents.harness.failures import plain, redact
from agents.harness.lines import printable
from agents.harness.pictures import Gallery, Picture
from agents.harness.unfinished_calls import unfinished, withdrawn

# One item of a to-do list: ``text`` and ``status``.
Todo = dict[str, str]
# The programs' statuses → ours.
_STATUSES = {
    "completed": "completed",
    "in_progress": "in_progress",
    "inProgress": "in_progress",
    "pending": "pending",
}
# Bytes of an unknown line that are kept in the journal.
NOTICE_LIMIT = 2_000


@dataclass(slots=True)
class _Call:
    """A tool call that has not ended."""

    name: str
    parent: str = ""
    has_input: bool = False
    denied: bool = False
    is_asked: bool = False  # a question about it is open
    is_unasked: bool = False  # it ran without a question
    is_withdrawn: bool | None = None  # its question was taken back; ``None``: none ever was
    title: str = ""
    input: Any = None

    def head(self, call_id: str) -> Chunk:
        """Return the fields that the opening chunks of a call share."""
        head: Chunk = {"toolCallId": call_id, "toolName": self.name, "dynamic": True}
        if self.title:
            head["title"] = self.title
        ours: dict[str, Any] = {"parentToolCallId": self.parent} if self.parent else {}
        if self.is_unasked:
            ours["unasked"] = True
        if self.is_withdrawn is not None:
            ours["withdrawn"] = self.is_withdrawn
        if ours:
            head["providerMetadata"] = {"mesh": ours}
        return head


class AnswerBuilder:
    """Collects the outputs of one turn; ``take`` returns them."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self.started = False
        self.finished = False
        self.is_silent = True  # it has neither words nor calls, nor a plan
        self._outs: list[Out] = []
        self._parts: dict[str, str] = {}  # open text and reasoning parts: id → kind
        self._calls: dict[str, _Call] = {}  # tool calls that have not ended
        self._open_questions: dict[str, str] = {}  # approval id → its call
        self._ended_calls: set[str] = set()
        self._in_step = False
        self._is_interrupted = False
        self._gallery = Gallery()

    def take(self) -> list[Out]:
        """Return the outputs since the last ``take``, in order."""
        outs, self._outs = self._outs, []
        return outs

    def put(self, out: Out) -> None:
        """Add an output that is not a chunk, such as ``Write``, in order."""
        self._outs.append(out)

    def emit(self, chunk: Chunk) -> None:
        """Add a chunk, unless the answer is finished."""
        if not self.finished:
            self._outs.append(Emit(chunk))

    # The message and its steps

    def start(self) -> None:
        """Open the message; only once, so that a second attempt of a turn continues it."""
        if not self.started:
            self.started = True
            self.emit({"type": "start", "messageId": self.message_id})

    def step(self) -> None:
        """Close the previous step, and open the next: one response of the model."""
        self._close_step()
        self._in_step = True
        self.emit({"type": "start-step"})

    def metadata(self, values: dict[str, Any]) -> None:
        self.emit({"type": "message-metadata", "messageMetadata": values})

    def notice(self, source: str, line: bytes) -> None:
        """Show a line that was not understood, shortened; not kept in the message."""
        text = printable(line[:NOTICE_LIMIT].decode(errors="replace"))
        self.data("notice", {"source": source, "line": text}, transient=True)

    def data(
        self, name: str, value: dict[str, Any], *, part_id: str = "", transient: bool = False
    ) -> None:
        """Add a ``data-<name>`` part; the same ``part_id`` again replaces it."""
        chunk: Chunk = {"type": f"data-{name}", "data": value}
        if part_id:
            chunk["id"] = part_id
        if transient:
            chunk["transient"] = True
        self.emit(chunk)

    def todos(self, todos: list[Todo]) -> None:
        """Show the to-do list; replaces the last one."""
        shown = [todo | {"status": _STATUSES.get(todo["status"], "pending")} for todo in todos]
        self.data("todos", {"todos": shown}, part_id="todos")

    def plan(self, plan: str) -> None:
        """Show a plan for a person's approval, as Markdown; replaces the last one."""
        self.is_silent = False
        self.data("plan", {"plan": plan}, part_id="plan")

    def set_title(self, title: str) -> None:
        """Give the conversation a name; not kept in the message."""
        self.data("thread-title", {"title": title}, transient=True)

    def waiting(self, servers: Sequence[str]) -> None:
        """Say which MCP servers the program waits for; not kept in the message."""
        self.data("waiting", {"servers": list(servers)}, transient=True)

    def retry(
        self,
        *,
        attempt: Any = None,
        of: Any = None,
        in_ms: Any = None,
        status: Any = None,
        reason: str = "",
    ) -> None:
        """Say that the model's provider is asked again, and why; replaces the last retry.

        It stays in the message: a long answer shows afterwards what it waited for. The numbers
        are as the program wrote them; what is not a number becomes ``None``.
        """
        numbers = {"attempt": attempt, "of": of, "inMs": in_ms, "status": status}
        told = {name: _number(value) for name, value in numbers.items()}
        self.data("retry", told | {"reason": plain(reason)}, part_id="retry")

    # Text and reasoning

    def open(self, kind: str, part_id: str) -> None:
        """Open a ``text`` or ``reasoning`` part."""
        if part_id in self._parts:
            return
        self._need_step()
        self._parts[part_id] = kind
        self.emit({"type": f"{kind}-start", "id": part_id})

    def grow(self, kind: str, part_id: str, delta: str) -> None:
        """Append to a part, after opening it if necessary."""
        if not delta:
            return
        self.is_silent &= kind != "text"
        self.open(kind, part_id)
        self.emit({"type": f"{self._parts[part_id]}-delta", "id": part_id, "delta": delta})

    def close(self, part_id: str) -> None:
        if kind := self._parts.pop(part_id, None):
            self.emit({"type": f"{kind}-end", "id": part_id})

    # Tool calls

    def has_call(self, call_id: str) -> bool:
        """Return whether the call was started, whether or not it has ended."""
        return call_id in self._calls or call_id in self._ended_calls

    def is_ended_call(self, call_id: str) -> bool:
        return call_id in self._ended_calls

    def calls_of_helpers(self) -> list[str]:
        """Return the calls of sub-agents that have not ended."""
        return [call_id for call_id, call in self._calls.items() if call.parent]

    def name_of(self, call_id: str) -> str:
        """Return the tool of a call that has not ended; empty for any other."""
        call = self._calls.get(call_id)
        return call.name if call else ""

    def input_of(self, call_id: str) -> Any:
        """Return the input of a call that has not ended; ``None`` for any other."""
        call = self._calls.get(call_id)
        return call.input if call else None

    def call(self, call_id: str, name: str, *, parent: str = "", title: str = "") -> None:
        """Start a tool call, whose input may stream in; a known id changes nothing.

        ``parent`` is the call of the sub-agent that makes this one; ``title`` what it does, for
        people.
        """
        if self.has_call(call_id):
            return
        self._need_step()
        self.is_silent = False
        call = self._calls[call_id] = _Call(name, parent, title=title)
        self.emit({"type": "tool-input-start", **call.head(call_id)})

    def grow_call_input(self, call_id: str, delta: str) -> None:
        """Append to the streamed JSON of a call's input."""
        call = self._calls.get(call_id)
        if delta and call and not call.has_input:
            self.emit({"type": "tool-input-delta", "toolCallId": call_id, "inputTextDelta": delta})

    def call_input(
        self, call_id: str, name: str, value: Any, *, parent: str = "", title: str = ""
    ) -> None:
        """Set the whole input of a call, after starting it if necessary; only once."""
        self.call(call_id, name, parent=parent, title=title)
        call = self._calls.get(call_id)
        if call is None or call.has_input:
            return
        call.has_input, call.input = True, value
        self.emit({"type": "tool-input-available", **call.head(call_id), "input": value})

    def ran_unasked(self, call_id: str) -> None:
        """Mark an open call: it ran without the question that its level asks for."""
        call = self._calls.get(call_id)
        if call is None or call.is_unasked:
            return
        call.is_unasked = True
        if call.has_input:  # said again, with the mark
            self._say_again(call_id, call)

    def ask(
        self,
        approval_id: str,
        call_id: str,
        name: str,
        value: Any,
        *,
        is_known: bool = True,
        because: str = "",
    ) -> None:
        """Ask a person whether the call may run; for ``is_known`` and ``because`` see ``Ask``."""
        self.call_input(call_id, name, value)
        if call_id not in self._calls or self.finished:
            return
        chunk: Chunk = {
            "type": "tool-approval-request",
            "approvalId": approval_id,
            "toolCallId": call_id,
        }
        call = self._calls[call_id]
        if call.is_withdrawn:  # it asks about it once more
            call.is_withdrawn = False
            self._say_again(call_id, call)
        call.is_asked = True
        self._open_questions[approval_id] = call_id
        self.put(Ask(approval_id, call_id, name, value, chunk, is_known, printable(because)))

    @property
    def open_questions(self) -> Collection[str]:
        """The ids of the questions that have no answer, and were not taken back."""
        return self._open_questions.keys()

    def answered(self, approval_id: str) -> None:
        """Note that the question has an answer."""
        self._open_questions.pop(approval_id, None)

    def withdraw(self, approval_id: str, *, is_own: bool = False) -> None:
        """Take a question back: its agent wants no answer any more. Readers get the call once
        more, which closes the question, with a mark; its own end says the rest. ``is_own``: it has
        none, because there is nothing but the question."""
        call_id = self._open_questions.pop(approval_id, None)
        if call_id is None:
            return
        self.put(Withdrawn(approval_id))
        call = self._calls.get(call_id)
        if call is None or call_id in self._open_questions.values():
            return
        call.is_withdrawn = True
        if is_own or call_id == approval_id:
            self._end_call(call_id, None)
        else:
            self._say_again(call_id, call)

    def leave_call(self, call_id: str) -> None:
        """End an open call that was not run, as far as the agent has told."""
        self._end_call(call_id, None)

    def _say_again(self, call_id: str, call: _Call) -> None:
        head = call.head(call_id)
        self.emit({"type": "tool-input-available", **head, "input": call.input})

    def allow(self, call_id: str) -> None:
        """Mark the call as allowed: from now on it may run."""
        if call := self._calls.get(call_id):
            call.is_asked = False

    def deny(self, call_id: str) -> None:
        """Mark the call as denied: any later end of it becomes a denial.

        After ``interrupt`` nobody denies anything: the programs only call it so.
        """
        if (call := self._calls.get(call_id)) and not self._is_interrupted:
            call.denied = True

    def interrupt(self) -> None:
        """Mark the turn as stopped by a person: a call that fails from now on was interrupted.

        The programs say that it failed, was rejected or denied, or even that it is done. A result
        still counts: the adapter passes on only one that is complete.
        """
        self._is_interrupted = True

    def result(
        self,
        call_id: str,
        output: Any,
        *,
        is_preliminary: bool = False,
        pictures: Sequence[Picture] = (),
    ) -> None:
        """Add a tool's output; the next one replaces a preliminary output.

        With ``pictures``, ``output`` is the text beside them: the call's output becomes an object
        with ``text`` and ``pictures``, see ``Gallery``.
        """
        if pictures and call_id in self._calls:
            output = self._gallery.output(output, pictures)
        chunk: Chunk = {
            "type": "tool-output-available",
            "toolCallId": call_id,
            "output": output,
            "dynamic": True,
        }
        if is_preliminary:
            if call_id in self._calls:
                self.emit(chunk | {"preliminary": True})
        else:
            self._end_call(call_id, chunk)

    def call_failed(self, call_id: str, text: str) -> None:
        chunk: Chunk = {
            "type": "tool-output-error",
            "toolCallId": call_id,
            "errorText": text,
            "dynamic": True,
        }
        self._end_call(call_id, None if self._is_interrupted else chunk)

    def _end_call(self, call_id: str, chunk: Chunk | None) -> None:
        """End a call; without a chunk it is unfinished."""
        call = self._calls.pop(call_id, None)
        if call is None:
            return
        if chunk is None and call.is_withdrawn:
            chunk = withdrawn(call_id)
        chunk = chunk or unfinished(call_id, has_begun=call.has_input and not call.is_asked)
        self._ended_calls.add(call_id)
        if not call.has_input:  # readers expect an input before the end
            self.emit({"type": "tool-input-available", **call.head(call_id), "input": {}})
        denial: Chunk = {"type": "tool-output-denied", "toolCallId": call_id}
        self.emit(denial if call.denied else chunk)
        # A question about a call that has ended is none; if it ran, the server stops the agent.
        for approval_id, asked in list(self._open_questions.items()):
            if asked == call_id and not self._is_interrupted:
                self.withdraw(approval_id)

    # The end

    def finish(self, reason: str, metadata: dict[str, Any] | None = None) -> None:
        """End successfully: ``reason`` is the AI SDK's finish reason."""
        self._end([], reason, metadata)

    def fail(self, code: str, message: str, metadata: dict[str, Any] | None = None) -> None:
        """End with an error, for people as a chunk and for programs as a code."""
        message = redact(printable(message))  # may quote a program's stderr
        error = Emit({"type": "error", "errorText": message})
        self._end([error, Fail(code, message)], "error", metadata)

    def abort(self, metadata: dict[str, Any] | None = None) -> None:
        """End because somebody stopped it."""
        # Without a reason: the first versions of ai 6.0 reject it as an unknown key.
        self._end([Emit({"type": "abort"})], "other", metadata)

    def _end(self, outs: list[Out], reason: str, metadata: dict[str, Any] | None) -> None:
        if self.finished:
            return
        self.start()
        if not outs and not self._is_interrupted:  # the agent ends it, so it waits for nobody
            for approval_id in list(self._open_questions):
                self.withdraw(approval_id)
        self._is_interrupted |= reason != "stop"
        self._close_step("No result came.")
        chunk: Chunk = {"type": "finish", "finishReason": reason}
        if metadata and reason == "error":  # the AI SDK reads nothing after an error
            self.metadata(metadata)
        elif metadata:
            chunk["messageMetadata"] = metadata
        self._outs.extend(outs)
        self.emit(chunk)
        self.finished = True
        self._outs.append(Done())

    def _need_step(self) -> None:
        if not self._in_step:
            self.step()

    def _close_step(self, left_open: str = "") -> None:
        """Close the parts and the step; open calls too, with ``left_open`` as their error.

        A call whose input is complete may outlive its step: its result comes when the model's
        next response has started (parallel calls), or after a sub-agent's work.
        """
        for part_id in list(self._parts):
            self.close(part_id)
        for call_id, call in list(self._calls.items()):
            if left_open and call.is_withdrawn:
                self.leave_call(call_id)
            elif left_open or not call.has_input:
                self.call_failed(call_id, left_open or "The call was not finished.")
        if self._in_step:
            self._in_step = False
            self.emit({"type": "finish-step"})


def _number(value: Any) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return round(value) if is_number else None
