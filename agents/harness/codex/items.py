"""The mapping of a turn's items to an answer."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agents.harness.answer import AnswerBuilder
from agents.harness.codex import changes, contents
from agents.harness.codex.terminals import Terminal
from agents.harness.lines import list_of, object_of, text_of
from agents.harness.output import GrowingOutput

Item = dict[str, Any]

# Known kinds that readers do not need, or that come in another form.
QUIET = frozenset(
    {
        "contextCompaction",  # a notice
        "enteredReviewMode",
        "exitedReviewMode",
        "functionCallOutput",
        "hookPrompt",
        "sleep",
        "subAgentActivity",
        "userMessage",
    }
)
# The result of a command that outlives its turn; what it has written follows.
RUNS_ON = "It is still running in the background."
# Keys that every item has, or that the call's end reports.
_NOISE = frozenset(
    {
        "completedAtMs",
        "contentItems",
        "durationMs",
        "failure",
        "id",
        "result",
        "startedAtMs",
        "status",
        "success",
        "type",
    }
)
# The system's or the person's shell: a program of that name elsewhere may be anything.
_SHELL = re.compile(r"(/bin/|/usr/bin/|/usr/local/bin/|/opt/homebrew/bin/)?(ba|da|fi|z)?sh")


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call in the terms of Mesh."""

    tool: str
    input: Any


class Items:
    """The items of one turn."""

    def __init__(self, answer: AnswerBuilder, folder: str = "") -> None:
        self._folder = folder
        self._answer = answer
        self._calls: dict[str, Call] = {}
        self._outputs: dict[str, GrowingOutput] = {}
        self._grown: set[str] = set()  # items that were streamed
        self._running: dict[str, Terminal] = {}
        self._is_speaking = False
        self._is_answered = (
            False  # the model's response is complete: the next text starts another step
        )

    @property
    def folder(self) -> str:
        """The working folder, as the program reports it."""
        return self._folder

    @property
    def is_speaking(self) -> bool:
        """Whether the model has said something in a response that is not complete."""
        return self._is_speaking

    def find(self, item_id: str) -> Call | None:
        """Return the call of an item that has started."""
        return self._calls.get(item_id)

    def find_mcp(self, server: str, tool: str) -> str:
        """Return the newest open call of an MCP tool; questions about it don't name it."""
        name = _mcp_name(server, tool)
        for item_id, call in reversed(self._calls.items()):
            if call.tool == name and not self._answer.is_ended_call(item_id):
                return item_id
        return ""

    def answered(self) -> None:
        """Mark the model's response as complete, or given up; its calls may still start."""
        self._is_answered, self._is_speaking = True, False

    def started(self, item: Item) -> bool:
        """Take the start of an item; return whether its kind is known."""
        kind, item_id = text_of(item, "type"), text_of(item, "id")
        if kind == "agentMessage":
            self._start_step()
            self._answer.open("text", f"text:{item_id}")
        elif kind in _CALLS:
            self._call(item_id, _CALLS[kind](item, self._folder))
        if kind == "commandExecution":
            script, process = script_of(text_of(item, "command")), text_of(item, "processId")
            self._running[item_id] = Terminal(item_id, script, process)
        return kind in _CALLS or kind in _ENDS or kind in QUIET

    def _start_step(self) -> None:
        if self._is_answered:
            self._is_answered = False
            self._answer.step()

    def _call(self, item_id: str, call: Call) -> None:
        self._calls.setdefault(item_id, call)
        self._is_speaking = False
        self._answer.call_input(item_id, call.tool, call.input)

    def text(self, item_id: str, delta: str) -> None:
        self._grow("text", item_id, item_id, delta)

    def reasoning(self, item_id: str, index: Any, delta: str) -> None:
        self._grow("reasoning", item_id, f"{item_id}:{index}", delta)

    def _grow(self, kind: str, item_id: str, part_id: str, delta: str) -> None:
        self._start_step()
        self._grown.add(item_id)
        self._is_speaking = self._is_speaking or bool(delta)
        self._answer.grow(kind, f"{kind}:{part_id}", delta)

    def output(self, item_id: str, delta: str) -> None:
        """Take the output of a running command."""
        output = self._outputs.setdefault(item_id, GrowingOutput())
        if (shown := output.add(delta)) is not None:
            self._answer.result(item_id, shown, is_preliminary=True)

    def run_on(self) -> list[Terminal]:
        """End the calls of the commands that still run, at the turn's end; return these."""
        running = [each for each in self._running.values() if self._answer.name_of(each.item_id)]
        for each in running:
            output = self._outputs.pop(each.item_id, None)
            shown = f"{RUNS_ON}\n{output.whole if output else ''}".rstrip()
            self._answer.result(each.item_id, shown)
        self._running = {}
        return running

    def completed(self, item: Item) -> bool:
        """Take the end of an item; return whether its kind is known."""
        kind = text_of(item, "type")
        if end := _ENDS.get(kind):
            end(self, text_of(item, "id"), item)
        return end is not None or kind in QUIET

    # One method for each kind of item

    def _end_message(self, item_id: str, item: Item) -> None:
        if item_id not in self._grown:
            self.text(item_id, text_of(item, "text"))
        self._answer.close(f"text:{item_id}")

    def _end_reasoning(self, item_id: str, item: Item) -> None:
        summary = item.get("summary")
        parts = summary if isinstance(summary, list) else []
        for index, text in enumerate(parts):
            if item_id not in self._grown and isinstance(text, str):
                self._start_step()
                self._answer.grow("reasoning", f"reasoning:{item_id}:{index}", text)
            self._answer.close(f"reasoning:{item_id}:{index}")

    def _end_plan(self, item_id: str, item: Item) -> None:
        if text := text_of(item, "text"):
            self._answer.plan(text)

    def _end_command(self, item_id: str, item: Item) -> None:
        self.started(item)
        self._running.pop(item_id, None)
        streamed = self._outputs.pop(item_id, None)
        output = text_of(item, "aggregatedOutput") or (streamed.whole if streamed else "")
        code = item.get("exitCode")
        if text_of(item, "status") == "declined":
            self._decline(item_id)
        elif code or text_of(item, "status") == "failed":
            head = f"Exit code {code}" if code else "It could not be run."
            self._answer.call_failed(item_id, f"{head}\n{output}".rstrip())
        else:
            self._answer.result(item_id, output)

    def _end_change(self, item_id: str, item: Item) -> None:
        self.started(item)
        status = text_of(item, "status")
        if status == "declined":
            self._decline(item_id)
        elif status == "failed":
            self._answer.call_failed(item_id, "The change could not be made.")
        else:
            self._answer.result(item_id, "The change was made.")

    def _end_mcp(self, item_id: str, item: Item) -> None:
        self.started(item)
        error = text_of(object_of(item, "error"), "message")
        if error or text_of(item, "status") == "failed":
            self._answer.call_failed(item_id, error or "Failed.")
        else:
            self._end_blocks(item_id, list_of(object_of(item, "result"), "content"))

    def _end_tool(self, item_id: str, item: Item) -> None:
        blocks = list_of(item, "contentItems")
        if not blocks or text_of(item, "status") == "failed":
            self._end_other(item_id, item)
        else:
            self.started(item)
            self._end_blocks(item_id, blocks)

    def _end_blocks(self, item_id: str, blocks: list[Item]) -> None:
        pictures = contents.pictures_in(blocks)
        self._answer.result(item_id, contents.text_in(blocks), pictures=pictures)

    def _end_picture(self, item_id: str, item: Item) -> None:
        pictures = contents.generated(text_of(item, "result"))
        if not pictures or text_of(item, "status") == "failed":
            self._end_other(item_id, item)
        else:
            self.started(item)
            self._answer.result(item_id, text_of(item, "savedPath"), pictures=pictures)

    def _end_other(self, item_id: str, item: Item) -> None:
        self.started(item)
        if text_of(item, "status") == "failed":
            self._answer.call_failed(item_id, "Failed.")
        else:
            self._answer.result(item_id, text_of(item, "status") or "done")

    def _decline(self, item_id: str) -> None:
        self._answer.deny(item_id)
        self._answer.call_failed(item_id, "Denied.")


def script_of(command: str) -> str:
    """Return a shell's command without the shell: ``ls`` for ``/bin/bash -lc ls``."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    is_shell = len(words) == 3 and bool(_SHELL.fullmatch(words[0]))
    return words[2] if is_shell and words[1] in ("-c", "-lc") else command


def _command(item: Item, folder: str) -> Call:
    return Call("Bash", command_input(item, folder))


def command_input(fields: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return the input of a command, with its folder unless that is the working folder."""
    cwd = text_of(fields, "cwd")
    extra = {"cwd": cwd} if cwd and cwd.rstrip("/") != folder.rstrip("/") else {}
    return {"command": script_of(text_of(fields, "command")), **extra}


def _change(item: Item, folder: str) -> Call:
    return Call("Edit", changes.as_input(list_of(item, "changes"), folder))


def _mcp(item: Item, folder: str) -> Call:
    name = _mcp_name(text_of(item, "server"), text_of(item, "tool"))
    return Call(name, item.get("arguments"))


def _mcp_name(server: str, tool: str) -> str:
    return f"mcp__{server}__{tool}"


def _search(item: Item, folder: str) -> Call:
    return Call("WebSearch", {"query": text_of(item, "query")})


def _helper(item: Item, folder: str) -> Call:
    return Call("Agent", {"description": text_of(item, "prompt") or text_of(item, "tool")})


def _other(item: Item, folder: str) -> Call:
    value = {key: each for key, each in item.items() if key not in _NOISE and each is not None}
    return Call(text_of(item, "tool") or text_of(item, "type"), value)


_CALLS: dict[str, Callable[[Item, str], Call]] = {
    "collabAgentToolCall": _helper,
    "commandExecution": _command,
    "dynamicToolCall": _other,
    "fileChange": _change,
    "imageGeneration": _other,
    "imageView": _other,
    "mcpToolCall": _mcp,
    "webSearch": _search,
}
_ENDS: dict[str, Callable[[Items, str, Item], None]] = {
    "agentMessage": Items._end_message,
    "collabAgentToolCall": Items._end_other,
    "commandExecution": Items._end_command,
    "dynamicToolCall": Items._end_tool,
    "fileChange": Items._end_change,
    "imageGeneration": Items._end_picture,
    "imageView": Items._end_other,
    "mcpToolCall": Items._end_mcp,
    "plan": Items._end_plan,
    "reasoning": Items._end_reasoning,
    "webSearch": Items._end_other,
}
