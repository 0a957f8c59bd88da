"""The mapping of a session's updates to an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents.harness.acp.calls import Call
from agents.harness.answer import AnswerBuilder
from agents.harness.lines import list_of, object_of, text_of

Update = dict[str, Any]

# Known kinds that readers do not need.
QUIET = frozenset(
    {
        "available_commands_update",
        "config_option_update",
        "current_mode_update",
        "session_info_update",
        "usage_update",
        "user_message_chunk",
    }
)
_ENDS = ("completed", "failed")


class Stream:
    """The updates of one turn."""

    def __init__(self, answer: AnswerBuilder, folder: str = "") -> None:
        self._answer = answer
        self._folder = folder
        self._calls: dict[str, Call] = {}
        self._part = ("", "", "")  # kind, message id and part id of the open part
        self._parts = 0
        self._is_answered = False  # a tool has ended: the next text starts another step

    def take(self, update: Update) -> bool:
        """Take one update; return whether its kind is known."""
        kind = text_of(update, "sessionUpdate")
        if handle := _HANDLERS.get(kind):
            handle(self, update)
        return handle is not None or kind in QUIET

    def call(self, update: Update) -> tuple[str, Call]:
        """Merge an update into its call, which may be new; return its id and the call."""
        call_id = text_of(update, "toolCallId")
        call = self._calls.setdefault(call_id, Call(self._folder))
        call.update(update)
        if call.has_input and not call.is_shown:
            call.is_shown = True
            self._close_part()
            self._answer.call_input(call_id, call.name, call.input)
        return call_id, call

    # One method for each kind of update

    def _on_text(self, update: Update) -> None:
        self._grow("text", update)

    def _on_thought(self, update: Update) -> None:
        self._grow("reasoning", update)

    def _grow(self, kind: str, update: Update) -> None:
        text, message = text_of(object_of(update, "content"), "text"), text_of(update, "messageId")
        if not text:
            return
        if self._part[:2] != (kind, message) or self._is_answered:
            self._close_part()
            self._parts += 1
            self._part = (kind, message, f"{self._answer.message_id}:{self._parts}")
        if self._is_answered:
            self._is_answered = False
            self._answer.step()
        self._answer.grow(kind, self._part[2], text)

    def _close_part(self) -> None:
        self._answer.close(self._part[2])
        self._part = ("", "", "")

    def _on_call(self, update: Update) -> None:
        call_id, call = self.call(update)
        if call.status in _ENDS:
            self._end(call_id, call)
        elif (shown := call.output.replace(call.text)) is not None:
            self._answer.result(call_id, shown, is_preliminary=True)

    def _end(self, call_id: str, call: Call) -> None:
        self._is_answered = True
        if failure := call.failure:
            self._answer.call_failed(call_id, failure)
        else:
            self._answer.result(call_id, call.text)

    def _on_plan(self, update: Update) -> None:
        todos = [
            {"text": text_of(entry, "content"), "status": text_of(entry, "status")}
            for entry in list_of(update, "entries")
        ]
        self._answer.todos(todos)


_HANDLERS: dict[str, Callable[[Stream, Update], None]] = {
    "agent_message_chunk": Stream._on_text,
    "agent_thought_chunk": Stream._on_thought,
    "plan": Stream._on_plan,
    "tool_call": Stream._on_call,
    "tool_call_update": Stream._on_call,
}
