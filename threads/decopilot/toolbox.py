"""Execution of tool calls: permission, question to a person, execution, result for the model."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from agents.harness.answer import AnswerBuilder, Todo
from agents.harness.base import AUTO, PLAN
from agents.harness.decopilot.memory import DENIED, IMAGES, Image, cut
from agents.harness.decopilot.remote import RemoteTool, checked_remote
from agents.harness.decopilot.tools import TOOLS, BadCall, Tool, checked, permission
from agents.harness.lines import printable
from agents.harness.questions import PLAN_READY, QUESTION
from threads.decopilot import shell
from threads.decopilot.attempt import Answered, Attempt
from threads.decopilot.fetch import fetch
from threads.decopilot.files import Files, ToolFailed

logger = logging.getLogger(__name__)

OUTPUT_LIMIT: Final = 60_000  # characters of one output for the model
USED: Final = "A call with this id was made before. Make it again, with a new id."
BROKEN: Final = (
    "The tool {} failed because of a fault in Mesh, which was logged. It is not known whether"
    " it did anything. Check before you try again, or do without it."
)
BLOCKED: Final = (
    "This chat is in plan mode: nothing is changed and nothing is run. Read what you need, then"
    f" show the plan with {PLAN_READY}."
)
_SANDBOX_NAMES: Final = {"file_path": "path"}  # our parameter names → the sandbox's


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's result: text, and possibly a picture for the model."""

    text: str
    image: Image | None = None


class Remote(Protocol):
    """The tools of the agent's MCP servers: ``threads.decopilot.mcp.Servers``."""

    @property
    def tools(self) -> Mapping[str, RemoteTool]: ...

    async def call(self, tool: RemoteTool, body: dict[str, Any]) -> ToolResult: ...


class Toolbox:
    """The tools of one run."""

    def __init__(
        self,
        *,
        attempt: Attempt,
        answer: AnswerBuilder,
        files: Files,
        level: str,
        planning: bool,
        remote: Remote | None = None,
    ) -> None:
        self._attempt = attempt
        self._answer = answer
        self._files = files
        self._remote = remote
        self._level = level
        self._asked = 0
        self.planning = planning

    @property
    def remote_tools(self) -> list[RemoteTool]:
        return list(self._remote.tools.values()) if self._remote is not None else []

    async def call(self, call_id: str, name: str, arguments: Any) -> ToolResult:
        """Return the call's result. Any failure of a tool ends that call, not the run.

        Raises:
            ToolFailed: it failed, was blocked or denied; the sentence is for the model.
            asyncio.CancelledError: the run was stopped.
        """
        try:
            result = await self._call(call_id, name, arguments)
        except ToolFailed as exc:
            # Neither the database nor a provider accepts a NUL or a lone surrogate.
            raise ToolFailed(printable(str(exc))) from exc
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The run was not stopped: something that the tool awaited was cancelled.
            raise self._broken(name) from None
        except Exception as exc:
            raise self._broken(name) from exc
        return replace(result, text=printable(result.text))

    def _broken(self, name: str) -> ToolFailed:
        logger.exception(
            "run %s: tool %s raised; the error goes to the model", self._attempt.run_id, name
        )
        return ToolFailed(BROKEN.format(name))

    async def _call(self, call_id: str, name: str, arguments: Any) -> ToolResult:
        if self._answer.is_ended_call(call_id):  # by an attempt that was lost
            raise ToolFailed(USED)
        tool = self._find(name)
        try:
            remote = tool if isinstance(tool, RemoteTool) else None
            body = checked_remote(remote, arguments) if remote else checked(tool, arguments)
        except BadCall as exc:
            raise ToolFailed(str(exc)) from exc
        match permission(tool, level=self._level, planning=self.planning):
            case "block":
                raise ToolFailed(BLOCKED)
            case "ask":
                answered = await self._ask(call_id, tool, body)
                if not answered.is_allowed:
                    self._answer.deny(call_id)
                    raise ToolFailed(f"{DENIED} {answered.reason}".strip())
                if tool.effect == "talk":
                    return self._talked(tool, answered)
        if remote is not None and self._remote is not None:
            return await self._remote.call(remote, body)
        return await _HANDLERS[name](self, tool, body)

    def _find(self, name: str) -> Tool:
        if name in TOOLS or self._remote is None:
            return TOOLS[name]
        return self._remote.tools[name]

    async def _ask(self, call_id: str, tool: Tool, body: dict[str, Any]) -> Answered:
        # Not the call's id, which is the provider's: two ids that share a long prefix would be
        # cut to the same one, and one call would get the other's answer.
        self._asked += 1
        approval_id = f"{self._attempt.run_id}:{self._attempt.fence}:{self._asked}"
        self._answer.ask(approval_id, call_id, tool.name, body)
        return await self._attempt.ask(self._answer.take(), approval_id)

    def _talked(self, tool: Tool, answered: Answered) -> ToolResult:
        if tool.name == PLAN_READY:
            self.planning = False
            # The level "plan" permits nothing beyond the plan.
            self._level = "readonly" if self._level == PLAN else self._level
            note = "" if self._level == AUTO else " You are asked before each change."
            return ToolResult(f"The person agrees to the plan. Carry it out.{note}")
        lines = [f"{question}: {_joined(each)}" for question, each in answered.answers.items()]
        return ToolResult("\n".join(lines) or "The person gave no answer. Choose for yourself.")

    # One method for each kind of tool

    async def _on_sandbox(self, tool: Tool, body: dict[str, Any]) -> ToolResult:
        request = {_SANDBOX_NAMES.get(name, name): value for name, value in body.items()}
        reply = await self._files.ask(tool.route, request, is_repeatable=tool.is_repeatable)
        return _RESULTS[tool.route](body, reply)

    async def _bash(self, tool: Tool, body: dict[str, Any]) -> ToolResult:
        return _ran(await shell.run(self._files, body))

    async def _web_fetch(self, tool: Tool, body: dict[str, Any]) -> ToolResult:
        return ToolResult(await fetch(body["url"]))

    async def _todo_write(self, tool: Tool, body: dict[str, Any]) -> ToolResult:
        self._answer.todos([_todo(item) for item in body["todos"]])
        self._attempt.put(self._answer.take())
        return ToolResult("The list is shown to the person.")


_Handler = Callable[[Toolbox, Tool, dict[str, Any]], Awaitable[ToolResult]]
_HANDLERS: Final[dict[str, _Handler]] = {
    **{tool.name: Toolbox._on_sandbox for tool in TOOLS.values() if tool.route},
    "bash": Toolbox._bash,
    "web_fetch": Toolbox._web_fetch,
    "todo_write": Toolbox._todo_write,
}
assert set(_HANDLERS) | {QUESTION, PLAN_READY} == set(TOOLS)


def _todo(item: dict[str, Any]) -> Todo:
    return {"text": str(item["content"]), "status": str(item["status"])}


def _joined(answer: Any) -> str:
    return ", ".join(map(str, answer)) if isinstance(answer, list) else str(answer)


# The sandbox's replies as results for the model


def _read(body: dict[str, Any], reply: dict[str, Any]) -> ToolResult:
    if reply.get("kind") == "image":
        return _image(body, reply)
    text = str(reply.get("content", ""))
    if not text:
        return ToolResult("(The file is empty, or ends before that line.)")
    count = reply.get("lineCount", 0)
    more = (
        f"\n(The file has {count} lines; continue with offset.)" if reply.get("truncated") else ""
    )
    return ToolResult(cut(text, OUTPUT_LIMIT) + more)


def _image(body: dict[str, Any], reply: dict[str, Any]) -> ToolResult:
    try:
        data = base64.b64decode(str(reply.get("data", "")), validate=True)
    except binascii.Error as exc:
        raise ToolFailed("The image could not be read.") from exc
    kind = str(reply.get("mediaType", "image/png"))
    if kind not in IMAGES:  # no provider accepts it, and the refusal would end the run
        raise ToolFailed(f"{body['file_path']} is a kind of image that can't be shown.")
    text = f"{body['file_path']} is an image ({kind}, {len(data)} bytes); it follows."
    return ToolResult(text, Image(kind, data))


def _written(body: dict[str, Any], reply: dict[str, Any]) -> ToolResult:
    return ToolResult(f"Wrote {reply.get('bytesWritten', 0)} bytes to {body['file_path']}.")


def _edited(body: dict[str, Any], reply: dict[str, Any]) -> ToolResult:
    count = reply.get("replacements", 1)
    return ToolResult(f"Replaced {count} place{'' if count == 1 else 's'} in {body['file_path']}.")


def _listed(key: str) -> Callable[[dict[str, Any], dict[str, Any]], ToolResult]:
    def show(body: dict[str, Any], reply: dict[str, Any]) -> ToolResult:
        lines = [str(line) for line in reply.get(key) or ()]
        more = ["(There is more; make the pattern narrower.)"] if reply.get("truncated") else []
        return ToolResult(cut("\n".join([*lines, *more]), OUTPUT_LIMIT) or "Nothing was found.")

    return show


def _ran(reply: dict[str, Any]) -> ToolResult:
    output = "\n".join(str(reply[name]) for name in ("stdout", "stderr") if reply.get(name))
    output = cut(output.rstrip("\n"), OUTPUT_LIMIT)
    match reply.get("status"):
        case "timeout":
            raise ToolFailed(f"The command took too long and was stopped.\n{output}".rstrip())
        case "killed":
            raise ToolFailed(f"The command was killed from outside.\n{output}".rstrip())
    if code := reply.get("exitCode"):
        raise ToolFailed(f"Exit code {code}\n{output}".rstrip())
    return ToolResult(output or "(It printed nothing.)")


_RESULTS: Final[dict[str, Callable[[dict[str, Any], dict[str, Any]], ToolResult]]] = {
    "read": _read,
    "write": _written,
    "edit": _edited,
    "grep": _listed("lines"),
    "glob": _listed("files"),
}
