"""Decopilot's tools as a table: what a model reads of them, and who must be asked first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from agents.harness.base import AUTO, PLAN
from agents.harness.questions import PLAN_READY, QUESTION

Json = dict[str, Any]
# What a call does to the world. "look": reads the sandbox. "act": changes it, or leaves it.
# "talk": with the person. "note": keeps a note.
Effect = Literal["look", "act", "talk", "note"]
Permission = Literal["run", "ask", "block"]

TEXT: Final[Json] = {"type": "string"}
FLAG: Final[Json] = {"type": "boolean"}
NUMBER: Final[Json] = {"type": "integer"}


class BadCall(Exception):
    """The model called a tool in a way that can't work; the sentence is for the model."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. ``route`` is where in the sandbox it is done, if there."""

    name: str
    description: str
    properties: Mapping[str, Json]
    required: tuple[str, ...]
    effect: Effect
    route: str = ""
    # Doing it twice leaves the sandbox as doing it once: it may be tried again after a cut.
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
_FOLDER: Final[Json] = {**TEXT, "description": "Folder to look in; the working folder if empty"}

_ALL: Final = (
    Tool(
        "read",
        "Read a text file with line numbers, or an image. Long files come 2000 lines at a time:"
        " go on with offset.",
        {
            "file_path": _PATH,
            "offset": {**NUMBER, "description": "First line, from 1"},
            "limit": {**NUMBER, "description": "Number of lines"},
        },
        ("file_path",),
        "look",
        "read",
        True,
    ),
    Tool(
        "write",
        "Write a whole file; what was there is replaced. To change a part of a file use edit.",
        {"file_path": _PATH, "content": TEXT},
        ("file_path", "content"),
        "act",
        "write",
        True,
    ),
    Tool(
        "edit",
        "Replace old_string by new_string in a file. Read the file first; old_string must stand"
        " there exactly, and once, unless replace_all is set.",
        {
            "file_path": _PATH,
            "old_string": TEXT,
            "new_string": TEXT,
            "replace_all": FLAG,
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
        "Keep the list of what is to be done, shown to the person. Send the whole list each time;"
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
    """Return the tools that a model is offered; a plan is only shown while one is made."""
    return [tool for tool in _ALL if planning or tool.name != PLAN_READY]


def permission(tool: Tool, *, level: str, planning: bool) -> Permission:
    """Return whether a call runs, asks first, or is blocked (U-M).

    Anything that is not known to be ``auto`` asks: an unknown level is no licence.
    """
    if tool.effect == "talk":
        return "ask"  # it is the asking itself
    if tool.effect in ("look", "note"):
        return "run"
    if planning or level == PLAN:
        return "block"
    return "run" if level == AUTO else "ask"


def checked(tool: Tool, given: object) -> Json:
    """Return the input of a call; what the tool does not know is left out.

    Raises:
        BadCall: something required is missing, or is of another type.
    """
    if not isinstance(given, Mapping):
        raise BadCall(f"{tool.name} takes an object.")
    for name in tool.required:
        if name not in given:
            raise BadCall(f"{tool.name} needs {name}.")
    found = {name: given[name] for name in tool.properties if given.get(name) is not None}
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
    wanted = schema["type"]
    is_bool_for_number = wanted == "integer" and isinstance(value, bool)
    if not isinstance(value, _TYPES[wanted]) or is_bool_for_number:
        raise BadCall(f"{where} must be of type {wanted}.")
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
