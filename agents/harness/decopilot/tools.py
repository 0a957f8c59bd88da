"""Decopilot's tools as a table: their description for a model, and their permissions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from agents.harness.base import AUTO, PLAN
from agents.harness.questions import PLAN_READY, QUESTION

Json = dict[str, Any]
# The effect of a call. "look": reads the sandbox. "act": changes the sandbox, or reaches outside
# it. "talk": talks to the person. "note": takes a note.
Effect = Literal["look", "act", "talk", "note"]
Permission = Literal["run", "ask", "block"]

TEXT: Final[Json] = {"type": "string"}
FLAG: Final[Json] = {"type": "boolean"}
NUMBER: Final[Json] = {"type": "integer"}


class BadCall(Exception):
    """The model called a tool in a way that can't work; the sentence is for the model."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. ``route`` is the sandbox's route that executes it, if one does."""

    name: str
    description: str
    properties: Mapping[str, Json]
    required: tuple[str, ...]
    effect: Effect
    route: str = ""
    # Idempotent: it may be retried after a broken connection.
    is_repeatable: bool = False

    @property
    def schema(self) -> Json:
        """Return the JSON schema of its input."""
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
            "additionalProperties": False,
        }


_PATH: Final[Json] = {**TEXT, "description": "Path, relative to the working folder"}
_ENCODING: Final[Json] = {
    **TEXT,
    "description": "The file's encoding, such as shift_jis; leave it out unless read can't tell it",
}
_FOLDER: Final[Json] = {**TEXT, "description": "Folder to look in; the working folder if empty"}

_ALL: Final = (
    Tool(
        "read",
        "Read a text file with line numbers, or an image. Long files come 2000 lines at a time:"
        " continue with offset.",
        {
            "file_path": _PATH,
            "offset": {**NUMBER, "description": "First line, from 1"},
            "limit": {**NUMBER, "description": "Number of lines"},
            "encoding": _ENCODING,
        },
        ("file_path",),
        "look",
        "read",
        True,
    ),
    Tool(
        "write",
        "Write a whole file; what was there is replaced, in the same encoding and with the same"
        " line ends. To change a part of a file use edit.",
        {
            "file_path": _PATH,
            "content": TEXT,
            "encoding": {**TEXT, "description": "Another encoding for the file, such as utf-8"},
        },
        ("file_path", "content"),
        "act",
        "write",
        True,
    ),
    Tool(
        "edit",
        "Replace old_string by new_string in a file. Read the file first; old_string must stand"
        " there exactly, and once, unless replace_all is set. A line feed stands for the file's own"
        " line end; line ends and encoding stay as they are.",
        {
            "file_path": _PATH,
            "old_string": TEXT,
            "new_string": TEXT,
            "replace_all": FLAG,
            "encoding": _ENCODING,
        },
        ("file_path", "old_string", "new_string"),
        "act",
        "edit",
    ),
    Tool(
        "grep",
        "Search file contents for a regular expression. mode: files (default) lists files, content"
        " shows the lines, count the number of hits of each file.",
        {
            "pattern": TEXT,
            "path": _FOLDER,
            "glob": {**TEXT, "description": "Only in files that match, such as *.py"},
            "mode": {**TEXT, "enum": ["files", "content", "count"]},
            "ignore_case": FLAG,
            "context": {**NUMBER, "description": "Lines around each hit, in mode content"},
        },
        ("pattern",),
        "look",
        "grep",
        True,
    ),
    Tool(
        "glob",
        "List files whose paths match a pattern, such as src/**/*.py.",
        {"pattern": TEXT, "path": _FOLDER},
        ("pattern",),
        "look",
        "glob",
        True,
    ),
    Tool(
        "bash",
        "Run a shell command in the working folder, and wait for its end. It gets no input.",
        {
            "command": TEXT,
            "timeout": {
                **NUMBER,
                "description": "Milliseconds; 120000 unless given, 900000 at most",
            },
            "description": {**TEXT, "description": "What it is for, in a few words"},
        },
        ("command",),
        "act",
        "bash",
    ),
    Tool(
        "web_fetch",
        "Fetch a public web page or file and return it as text.",
        {"url": TEXT},
        ("url",),
        "act",
    ),
    Tool(
        "todo_write",
        "Keep the list of steps to do, shown to the person. Send the whole list each time;"
        " use it for work of three steps or more.",
        {
            "todos": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "content": TEXT,
                        "status": {**TEXT, "enum": ["pending", "in_progress", "completed"]},
                    },
                    "required": ["content", "status"],
                },
            }
        },
        ("todos",),
        "note",
    ),
    Tool(
        QUESTION,
        "Ask the person questions, each with a few options, when a choice is theirs to make.",
        {
            "questions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "question": TEXT,
                        "header": {**TEXT, "description": "One or two words"},
                        "multiSelect": FLAG,
                        "options": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {"label": TEXT, "description": TEXT},
                                "required": ["label"],
                            },
                        },
                    },
                    "required": ["question", "options"],
                },
            }
        },
        ("questions",),
        "talk",
    ),
    Tool(
        PLAN_READY,
        "In plan mode: show the person the finished plan, in Markdown, and ask to carry it out.",
        {"plan": TEXT},
        ("plan",),
        "talk",
    ),
)
TOOLS: Final[Mapping[str, Tool]] = {tool.name: tool for tool in _ALL}
LIMIT: Final = 200_000  # characters of one text in a call


def offered(*, planning: bool) -> list[Tool]:
    """Return the tools that a model is offered; the plan tool only in plan mode."""
    return [tool for tool in _ALL if planning or tool.name != PLAN_READY]


def permission(tool: Tool, *, level: str, planning: bool) -> Permission:
    """Return whether a call runs, asks first, or is blocked (U-M).

    Any level other than ``auto`` asks, an unknown one too.
    """
    if tool.effect == "talk":
        return "ask"  # its execution is the question
    if tool.effect in ("look", "note"):
        return "run"
    if planning or level == PLAN:
        return "block"
    return "run" if level == AUTO else "ask"


def checked(tool: Tool, arguments: object) -> Json:
    """Return the input of a call, without unknown arguments.

    Raises:
        BadCall: something required is missing, or has the wrong type.
    """
    if not isinstance(arguments, Mapping):
        raise BadCall(f"{tool.name} takes an object.")
    for name in tool.required:
        if name not in arguments:
            raise BadCall(f"{tool.name} needs {name}.")
    found = {key: arguments[key] for key in tool.properties if arguments.get(key) is not None}
    for name, value in found.items():
        _check(value, tool.properties[name], name)
    return found


_TYPES: Final[Mapping[str, type]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "array": list,
    "object": Mapping,
}


def _check(value: object, schema: Json, where: str) -> None:
    kind = schema["type"]
    is_bool_for_number = kind == "integer" and isinstance(value, bool)
    if not isinstance(value, _TYPES[kind]) or is_bool_for_number:
        raise BadCall(f"{where} must be of type {kind}.")
    if isinstance(value, str) and len(value) > LIMIT:
        raise BadCall(f"{where} is longer than {LIMIT} characters.")
    if "enum" in schema and value not in schema["enum"]:
        raise BadCall(f"{where} must be one of {', '.join(schema['enum'])}.")
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, schema["items"], f"{where}[{index}]")
    if isinstance(value, Mapping):
        for name in schema["required"]:
            if name not in value:
                raise BadCall(f"{where} needs {name}.")
        for name, inner in schema["properties"].items():
            if name in value:
                _check(value[name], inner, f"{where}.{name}")
