"""Execution of tool calls: permission, question to a person, execution, result for the model."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from agents.harness.answer import AnswerBuilder, Todo
from agents.harness.base import AUTO, PLAN
from agents.harness.decopilot.memory import DENIED, IMAGES, Image, cut
from agents.harness.decopilot.remote import RemoteTool, checked_remote
from agents.harness.decopilot.tools import TOOLS, BadCall, Tool, checked, permission
from agents.harness.elicitation import Form, address_input
from agents.harness.lines import printable
from agents.harness.questions import PLAN_READY, QUESTION
from mesh.lib.quoted_names import quote_in_line
from threads.core.pictures import BadPicture, PictureTooLarge, read_picture
from threads.decopilot import shell
from threads.decopilot.attempt import Answered, Attempt
from threads.decopilot.fetch import fetch
from threads.decopilot.files import NOT_KNOWN, Files, Made, ToolFailed

logger = logging.getLogger(__name__)

OUTPUT_LIMIT: Final = 60_000  # characters of one output for the model
ASK_AGAIN: Final = 2  # times that a form is shown again, because an answer did not fit
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


@dataclass(frozen=True, slots=True)
class Begun:
    """A call that a lost attempt made, and the person's answer to its question if there is one."""

    answered: Answered | None = None


@dataclass(frozen=True, slots=True)
class Elicitation:
    """What an MCP server wants to know from the person: a form with ``schema``, or that they
    open ``address``."""

    server: str
    message: str
    schema: dict[str, Any] = field(default_factory=dict)
    address: str = ""


# Returns the form's content (empty for an address), or ``None`` if the person declines.
Elicit = Callable[[Elicitation], Awaitable[dict[str, Any] | None]]


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

    async def call(
        self, call_id: str, name: str, arguments: Any, *, begun: Begun | None = None
    ) -> ToolResult:
        """Return the call's result. Any failure of a tool ends that call, not the run.

        ``begun``: a lost attempt made it. What may have been done is not done twice.

        Raises:
            ToolFailed: it failed, was blocked or denied; the sentence is for the model.
            asyncio.CancelledError: the run was stopped.
        """
        try:
            result = await self._call(call_id, name, arguments, begun)
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
        return await _with_readable_picture(replace(result, text=printable(result.text)))

    def _broken(self, name: str) -> ToolFailed:
        logger.exception(
            "run %s: tool %s raised; the error goes to the model", self._attempt.run_id, name
        )
        return ToolFailed(BROKEN.format(name))

    async def _call(
        self, call_id: str, name: str, arguments: Any, begun: Begun | None
    ) -> ToolResult:
        if self._answer.is_ended_call(call_id):  # by an attempt that was lost
            raise ToolFailed(USED)
        tool = self._find(name)
        if tool is None:  # the server of a tool that a lost attempt called can't be used now
            raise ToolFailed(NOT_KNOWN)
        try:
            remote = tool if isinstance(tool, RemoteTool) else None
            body = checked_remote(remote, arguments) if remote else checked(tool, arguments)
        except BadCall as exc:
            raise ToolFailed(str(exc)) from exc
        match permission(tool, level=self._level, planning=self.planning):
            case "block":
                raise ToolFailed(BLOCKED)
            case "ask":
                answered = begun.answered if begun is not None else None
                if answered is None or tool.effect == "talk":
                    begun = None  # it waited for an answer, so it can't have been done
                    answered = await self._ask(call_id, tool, body)
                if not answered.is_allowed:
                    self._answer.deny(call_id)
                    raise ToolFailed(f"{DENIED} {answered.reason}".strip())
                if tool.effect == "talk":
                    return self._talked(tool, answered)
        if remote is not None and self._remote is not None:
            if begun is not None and remote.effect != "look":
                raise ToolFailed(NOT_KNOWN)  # its server does not know calls by their ids
            return await self._remote.call(remote, body)
        made = Made.of(self._attempt.run_id, call_id, is_again=begun is not None)
        return await _HANDLERS[name](self, tool, body, made)

    def _find(self, name: str) -> Tool | None:
        if name in TOOLS or self._remote is None:
            return TOOLS.get(name)
        return self._remote.tools.get(name)

    async def _ask(self, call_id: str, tool: Tool, body: dict[str, Any]) -> Answered:
        approval_id = self._new_approval_id()
        self._answer.ask(approval_id, call_id, tool.name, body)
        return await self._attempt.ask(self._answer.take(), approval_id)

    def _new_approval_id(self) -> str:
        # Not the call's id, which is the provider's: two ids that share a long prefix would be
        # cut to the same one, and one call would get the other's answer.
        self._asked += 1
        return f"{self._attempt.run_id}:{self._attempt.fence}:{self._asked}"

    async def elicit(self, wanted: Elicitation) -> dict[str, Any] | None:
        """Ask the person what an MCP server wants to know; see ``Elicit``.

        Answers that do not fit the form are asked for again, ``ASK_AGAIN`` times.
        """
        form = Form(wanted.message, wanted.schema)
        complaint = ""
        for _ in range(ASK_AGAIN + 1):
            if wanted.address:
                body = address_input(wanted.message, wanted.address)
            else:
                body = form.as_input(complaint)
            answered = await self._ask_for_server(wanted.server, body)
            if not answered.is_allowed:
                return None
            try:
                return {} if wanted.address else form.content(answered.answers)
            except ValueError as exc:
                complaint = str(exc)
        return None

    async def _ask_for_server(self, server: str, body: dict[str, Any]) -> Answered:
        """Ask the person in a call of its own, which says which server asks."""
        approval_id = self._new_approval_id()
        self._answer.ask(approval_id, approval_id, QUESTION, {**body, "server": server})
        answered = await self._attempt.ask(self._answer.take(), approval_id)
        if answered.is_allowed:
            self._answer.result(approval_id, f"Answered, for {server}.")
        else:
            self._answer.deny(approval_id)
            self._answer.call_failed(approval_id, DENIED)
        self._attempt.put(self._answer.take())
        return answered

    def end_planning(self) -> None:
        """Let the tools change things: the person has agreed to the plan."""
        self.planning = False
        # The level "plan" permits nothing beyond the plan.
        self._level = "readonly" if self._level == PLAN else self._level

    def _talked(self, tool: Tool, answered: Answered) -> ToolResult:
        if tool.name == PLAN_READY:
            self.end_planning()
            note = "" if self._level == AUTO else " You are asked before each change."
            return ToolResult(f"The person agrees to the plan. Carry it out.{note}")
        lines = [f"{question}: {_joined(each)}" for question, each in answered.answers.items()]
        return ToolResult("\n".join(lines) or "The person gave no answer. Choose for yourself.")

    # One method for each kind of tool

    async def _on_sandbox(self, tool: Tool, body: dict[str, Any], made: Made) -> ToolResult:
        request = {_SANDBOX_NAMES.get(name, name): value for name, value in body.items()}
        is_repeatable = tool.is_repeatable
        if tool.effect == "act":
            reply = await self._files.act(tool.route, request, made, is_repeatable=is_repeatable)
        else:
            reply = await self._files.ask(tool.route, request, is_repeatable=is_repeatable)
        return _RESULTS[tool.route](body, reply)

    async def _bash(self, tool: Tool, body: dict[str, Any], made: Made) -> ToolResult:
        return _ran(await shell.run(self._files, body, made))

    async def _web_fetch(self, tool: Tool, body: dict[str, Any], made: Made) -> ToolResult:
        return ToolResult(await fetch(body["url"]))

    async def _todo_write(self, tool: Tool, body: dict[str, Any], made: Made) -> ToolResult:
        self._answer.todos([_todo(item) for item in body["todos"]])
        self._attempt.put(self._answer.take())
        return ToolResult("The list is shown to the person.")


async def _with_readable_picture(result: ToolResult) -> ToolResult:
    """Return the result with its picture as every model accepts it, or without.

    One that the provider refuses would end the run.
    """
    if result.image is None:
        return result
    try:
        read = await asyncio.to_thread(read_picture, result.image.data)
    except BadPicture as exc:
        why = "has too many pixels" if isinstance(exc, PictureTooLarge) else "is damaged"
        return ToolResult(f"{result.text}\n(The picture {why}, so it is left out.)".lstrip())
    note = f"\n({read.note}.)" if read.note else ""
    image = replace(result.image, data=read.data, media_type=read.media_type)
    return ToolResult(result.text + note, image)


_Handler = Callable[[Toolbox, Tool, dict[str, Any], Made], Awaitable[ToolResult]]
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
    notes = [_facts(reply)]
    if reply.get("truncated"):
        notes.append(f"The file has {count} lines; continue with offset.")
    said = " ".join(filter(None, notes))
    return ToolResult(cut(text, OUTPUT_LIMIT) + (f"\n({said})" if said else ""))


def _facts(reply: dict[str, Any]) -> str:
    """Return a sentence about a file that is not UTF-8, or whose lines don't end with LF."""
    encoding, ends = reply.get("encoding"), reply.get("lineEnds")
    maybe = [str(each) for each in reply.get("encodingMaybe") or ()]
    if encoding == "unknown":
        known = f"; it may be {' or '.join(maybe)}" if maybe else ""
        encoding = f"not UTF-8{known}: name the encoding to see its characters"
    elif reply.get("encodingIsGuess"):
        encoding = f"{encoding}, which is a guess"
    is_what = f"is {encoding}" if encoding else ""
    has_what = f"has {ends} line ends" if ends else ""
    said = " and ".join(filter(None, [is_what, has_what]))
    return f"The file {said}." if said else ""


def _image(body: dict[str, Any], reply: dict[str, Any]) -> ToolResult:
    try:
        data = base64.b64decode(str(reply.get("data", "")), validate=True)
    except binascii.Error as exc:
        raise ToolFailed("The image could not be read.") from exc
    kind = str(reply.get("mediaType", "image/png"))
    if kind not in IMAGES:  # no provider accepts it, and the refusal would end the run
        raise ToolFailed(f"{body['file_path']} is a kind of image that can't be shown.")
    text = f"{body['file_path']} is an image ({kind}, {len(data)} bytes)."
    return ToolResult(text, Image(kind, data, str(body["file_path"])))


def _written(body: dict[str, Any], reply: dict[str, Any]) -> ToolResult:
    said = [f"Wrote {reply.get('bytesWritten', 0)} bytes to {body['file_path']}.", _facts(reply)]
    said += [f"This changed {each}." for each in reply.get("changed") or ()]
    return ToolResult(" ".join(filter(None, said)))


def _edited(body: dict[str, Any], reply: dict[str, Any]) -> ToolResult:
    count = reply.get("replacements", 1)
    done = f"Replaced {count} place{'' if count == 1 else 's'} in {body['file_path']}."
    return ToolResult(f"{done} {_facts(reply)}".rstrip())


def _in_line(name: str) -> str:
    """Return a file's name for a list with one in each line; a quoted one is fit for it."""
    return name if name.startswith('"') else quote_in_line(name)


def _listed(
    key: str, shown: Callable[[str], str] = str
) -> Callable[[dict[str, Any], dict[str, Any]], ToolResult]:
    def show(body: dict[str, Any], reply: dict[str, Any]) -> ToolResult:
        lines = [shown(str(line)) for line in reply.get(key) or ()]
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
    "glob": _listed("files", _in_line),
}
