"""The mapping of API stream events, whole messages and tool results to an answer.

Each block comes twice: in pieces (``stream_event``), then whole (``assistant``, before its
``content_block_stop``). The pieces make the parts; the whole adds only what they lack, which is
everything if the program fell back to no streaming.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Any

from agents.harness.answer import AnswerBuilder
from agents.harness.claude_code.todos import Todos
from agents.harness.lines import list_of, object_of, parse, text_of
from agents.harness.pictures import Picture, picture_of
from agents.harness.questions import PLAN_READY

_KINDS = {"text": "text", "thinking": "reasoning"}
_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")
_DELTAS = {"text_delta": ("text", "text"), "thinking_delta": ("reasoning", "thinking")}
# The text around the report of a sub-agent that it hands back to the model.
_HANDED_BACK = re.compile(
    r"\A\s*(?:<tools-used-before-summary>.*?</tools-used-before-summary>\s*)?"
    r"(?:\[Subagent hand-back\][^\n]*\n)?(?P<report>.*?)"
    r"(?:\s*\bagentId: \S+[^\n]*)?(?:\s*<usage>.*?</usage>)?\s*\Z",
    re.DOTALL,
)
_HELPERS = ("Agent", "Task")
_HOOK = re.compile(r"\A(\w+):\S+ hook error: \[.*?\]: (.*)\Z", re.DOTALL)
# Any other error may be one before the call ran.
_RAN = re.compile(r"\s*Exit code \d")
_WRAPPER = re.compile(r"\A<tool_use_error>(.*)</tool_use_error>\Z", re.DOTALL)


class Stream:
    """The messages of one turn."""

    def __init__(
        self, answer: AnswerBuilder, todos: Todos, on_run: Callable[[str], None] = lambda call: None
    ) -> None:
        """``on_run`` is called with a call that has run, before its end."""
        self._answer, self._todos, self._on_run = answer, todos, on_run
        self._message = ""
        self._streamed: set[str] = set()  # messages that were streamed
        self._calls: dict[int, tuple[str, str]] = {}  # index of a block → its call and tool
        self._json: dict[int, list[str]] = {}  # index of a block → its input so far
        self.has_content = False
        self.is_speaking = False  # the model has said something in a message that is not complete

    def event(self, event: dict[str, Any]) -> None:
        """Take one event of the API's stream."""
        kind, index = text_of(event, "type"), event.get("index")
        if kind == "message_start":
            self._start(text_of(object_of(event, "message"), "id"))
        elif kind == "message_stop":
            self.is_speaking = False
        elif isinstance(index, int):
            if kind == "content_block_start":
                self._block(index, object_of(event, "content_block"))
            elif kind == "content_block_delta":
                self._delta(index, object_of(event, "delta"))
            elif kind == "content_block_stop":
                self._stop(index)

    def _start(self, message_id: str) -> None:
        self._message = message_id
        self.is_speaking = False
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
            self.has_content = self.is_speaking = True
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
        self._answer.call_input(call, tool, _readable(value), parent=parent)
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
        decisions = {
            text_of(meta, "id"): object_of(meta, "permission_decision")
            for meta in list_of(line, "tool_result_meta")
        }
        rejected = {
            call: text_of(decision, "source")
            for call, decision in decisions.items()
            if text_of(decision, "decision") == "reject"
        }
        for block in list_of(object_of(line, "message"), "content"):
            if text_of(block, "type") == "tool_result":
                # What a hook denied, no person did: its words are the error.
                if rejected.get(text_of(block, "tool_use_id"), "hook") != "hook":
                    self._answer.deny(text_of(block, "tool_use_id"))
                tool = self._answer.name_of(text_of(block, "tool_use_id"))
                self.result(block)
                todos = self._todos.changed(tool, object_of(line, "tool_use_result"))
                if todos is not None:
                    self._answer.todos(todos)

    def result(self, block: dict[str, Any]) -> None:
        call, content = text_of(block, "tool_use_id"), block.get("content")
        pictures, text = _pictures(content), _plain(content)
        if block.get("is_error") is not True or _RAN.match(text):
            self._on_run(call)
        if block.get("is_error") is True:
            self._answer.call_failed(call, _error(text) or "Failed.")
            return
        if self._answer.name_of(call) in _HELPERS and (found := _HANDED_BACK.match(text)):
            text = textwrap.dedent(found["report"]) or text
        self._answer.result(call, text, pictures=pictures)


def _parsed(text: str) -> Any:
    try:
        return parse(text or "{}")
    except ValueError:  # cut off: the call's result will say how it ended
        return {}


def _readable(value: Any) -> Any:
    """Return a call's input; one that was cut off is shown as far as it came."""
    cut = value.get("__unparsedToolInput") if isinstance(value, dict) else None
    return {"cut off": text_of(cut, "raw")} if isinstance(cut, dict) else value


def _error(text: str) -> str:
    """Return the words of a failed call without the program's wrapping."""
    if found := _WRAPPER.match(text):
        return found[1]
    if found := _HOOK.match(text):
        return f"Denied by a {found[1]} hook: {found[2].strip()}"
    return text


def _blocks(content: Any) -> list[dict[str, Any]]:
    listed = content if isinstance(content, list) else [content]
    return [block for block in listed if isinstance(block, dict)]


def _pictures(content: Any) -> list[Picture]:
    """Return the pictures of a result that are in the line itself."""
    sources = [object_of(b, "source") for b in _blocks(content) if text_of(b, "type") == "image"]
    found = (picture_of(source.get("media_type"), source.get("data")) for source in sources)
    return [picture for picture in found if picture]


def _plain(content: Any) -> str:
    """Return a result's text; blocks that are neither text nor picture by their type."""
    if isinstance(content, str):
        return content
    return "\n".join(
        text_of(block, "text") or f"[{text_of(block, 'type') or 'something'}]"
        for block in _blocks(content)
        if not _pictures(block)
    )
