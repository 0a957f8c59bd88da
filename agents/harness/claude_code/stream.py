"""The mapping of API stream events, whole messages and tool results to an answer.

Each block comes twice: in pieces (``stream_event``), then whole (``assistant``, before its
``content_block_stop``). The pieces make the parts; the whole adds only what they lack, which is
everything if the program fell back to no streaming.
"""

from __future__ import annotations

import re
from typing import Any

from agents.harness.answer import AnswerBuilder
from agents.harness.claude_code.todos import Todos
from agents.harness.lines import list_of, object_of, parse, text_of
from agents.harness.questions import PLAN_READY

_KINDS = {"text": "text", "thinking": "reasoning"}
_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")
_DELTAS = {"text_delta": ("text", "text"), "thinking_delta": ("reasoning", "thinking")}
_WRAPPER = re.compile(r"\A<tool_use_error>(.*)</tool_use_error>\Z", re.DOTALL)


class Stream:
    """The messages of one turn."""

    def __init__(self, answer: AnswerBuilder, todos: Todos) -> None:
        self._answer, self._todos = answer, todos
        self._message = ""
        self._streamed: set[str] = set()  # messages that were streamed
        self._calls: dict[int, tuple[str, str]] = {}  # index of a block → its call and tool
        self._json: dict[int, list[str]] = {}  # index of a block → its input so far
        self.has_content = False

    def event(self, event: dict[str, Any]) -> None:
        """Take one event of the API's stream."""
        kind, index = text_of(event, "type"), event.get("index")
        if kind == "message_start":
            self._start(text_of(object_of(event, "message"), "id"))
        elif isinstance(index, int):
            if kind == "content_block_start":
                self._block(index, object_of(event, "content_block"))
            elif kind == "content_block_delta":
                self._delta(index, object_of(event, "delta"))
            elif kind == "content_block_stop":
                self._stop(index)

    def _start(self, message_id: str) -> None:
        self._message = message_id
        self._streamed.add(message_id)
        self._calls, self._json = {}, {}
        self._answer.step()

    def _part(self, index: int) -> str:
        return f"{self._message}:{index}"

    def _block(self, index: int, block: dict[str, Any]) -> None:
        kind = text_of(block, "type")
        if part := _KINDS.get(kind):
            self.has_content = True
            self._answer.open(part, self._part(index))
            self._answer.grow(part, self._part(index), text_of(block, kind))
        elif kind in _CALLS:
            self.has_content = True
            call, tool = text_of(block, "id"), text_of(block, "name")
            self._calls[index], self._json[index] = (call, tool), []
            self._answer.call(call, tool)
        elif kind.endswith("_tool_result"):
            self.result(block)

    def _delta(self, index: int, delta: dict[str, Any]) -> None:
        kind = text_of(delta, "type")
        if kind in _DELTAS:
            part, key = _DELTAS[kind]
            self.has_content = True
            self._answer.grow(part, self._part(index), text_of(delta, key))
        elif kind == "input_json_delta" and index in self._calls:
            piece = text_of(delta, "partial_json")
            self._json[index].append(piece)
            self._answer.grow_call_input(self._calls[index][0], piece)

    def _stop(self, index: int) -> None:
        self._answer.close(self._part(index))
        if index in self._calls:
            call, tool = self._calls.pop(index)
            self._input(call, tool, _parsed("".join(self._json.pop(index))))

    def _input(self, call: str, tool: str, value: Any, *, parent: str = "") -> None:
        if tool == PLAN_READY:  # the plan is in a file: the question about it brings its text
            self._answer.call(call, tool)
            return
        self._answer.call_input(call, tool, value, parent=parent)
        if (todos := self._todos.written(tool, value)) is not None:
            self._answer.todos(todos)

    def of_helper(self, message: dict[str, Any], parent: str) -> None:
        """Take a message of a sub-agent: its calls are shown under the call that started it.

        Its text is not: its last message is the result of that call.
        """
        for block in list_of(message, "content"):
            if text_of(block, "type") in _CALLS:
                name = text_of(block, "name")
                self._input(text_of(block, "id"), name, block.get("input"), parent=parent)

    def whole(self, message: dict[str, Any]) -> None:
        """Take a complete message, or a complete block of one."""
        message_id = text_of(message, "id")
        was_streamed = message_id in self._streamed
        for number, block in enumerate(list_of(message, "content")):
            kind = text_of(block, "type")
            if kind in _CALLS:
                self.has_content = True
                self._input(text_of(block, "id"), text_of(block, "name"), block.get("input"))
            elif kind in _KINDS and not was_streamed:
                self.text(f"{message_id}:whole:{number}", text_of(block, kind), _KINDS[kind])

    def text(self, part_id: str, text: str, kind: str = "text") -> None:
        """Add a complete part."""
        self.has_content = True
        self._answer.grow(kind, part_id, text)
        self._answer.close(part_id)

    def results(self, line: dict[str, Any]) -> None:
        """Take a ``user`` line: the results of tools."""
        rejected = {
            text_of(meta, "id")
            for meta in list_of(line, "tool_result_meta")
            if text_of(object_of(meta, "permission_decision"), "decision") == "reject"
        }
        for block in list_of(object_of(line, "message"), "content"):
            if text_of(block, "type") == "tool_result":
                if text_of(block, "tool_use_id") in rejected:
                    self._answer.deny(text_of(block, "tool_use_id"))
                tool = self._answer.name_of(text_of(block, "tool_use_id"))
                self.result(block)
                todos = self._todos.changed(tool, object_of(line, "tool_use_result"))
                if todos is not None:
                    self._answer.todos(todos)

    def result(self, block: dict[str, Any]) -> None:
        call, text = text_of(block, "tool_use_id"), _plain(block.get("content"))
        if block.get("is_error") is True:
            found = _WRAPPER.match(text)
            self._answer.call_failed(call, (found[1] if found else text) or "Failed.")
        else:
            self._answer.result(call, text)


def _parsed(text: str) -> Any:
    try:
        return parse(text or "{}")
    except ValueError:  # cut off: the call's result will say how it ended
        return {}


def _plain(content: Any) -> str:
    """Return a result's text; other blocks are represented by their type."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return ""
    return "\n".join(
        text_of(block, "text") or f"[{text_of(block, 'type') or 'something'}]"
        for block in content
        if isinstance(block, dict)
    )
