"""Approval rules: what a person may allow permanently in a thread, and what a rule answers.

A rule is narrow on purpose, and the card names it before it is made: exactly this command in
exactly this folder, any change to exactly this file, pages of exactly this host, this one tool of
an MCP server, or exactly this input. It answers only a question that would make the same rule:
there is no pattern that somebody could slip through. A question that names more, such as a
variable for a command or a second file for a change, makes a rule for exactly this input only.

A question that only describes what would run, such as by a title, makes no rule: another call may
look the same. Its adapter says so.

There is no rule for paths below a ``.git``: the next person or program that uses git may run what
is written there, so a person is asked each time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from agents.harness.questions import CARDS
from mesh.lib.git_names import is_in_git

Scope = Literal["command", "file", "host", "tool", "input"]

# Tools that ask a person something other than "may I?", or for several things together.
UNRULED: Final = frozenset({*CARDS, "Permissions"})
_UNNAMED: Final = "Tool"  # a call whose agent does not name its tool
VALUE_LIMIT: Final = 1_000  # bytes of value and folder: a person must be able to read the rule

# Keys of an input that do not change what is done, or to what. Any other key makes it a
# different question.
_BESIDE_A_COMMAND: Final = frozenset({"command", "cwd", "description", "reason", "timeout"})
_BESIDE_A_FILE: Final = frozenset(
    {
        *("file_path", "notebook_path", "path"),
        *("content", "old_string", "new_string", "replace_all", "edits", "diff"),
        *("cell_id", "cell_type", "edit_mode", "new_source", "reason"),
    }
)
_BESIDE_A_PAGE: Final = frozenset({"url", "prompt", "reason"})
_OF_A_SERVER: Final = re.compile(r"mcp__(?!_)(?:(?!__).)+__(?!_)(?:(?!__).)+")
_CHANGES: Final = frozenset({"edit", "multiedit", "notebookedit", "write"})
# Keys under which tools name a file.
_PATHS: Final = (
    *("file_path", "notebook_path", "path", "filePath", "filepath", "grantRoot"),
    *("target", "to", "from", "source", "destination"),
)

# Lines of diffs and patches that name a file: both sides, moves, other formats.
_SIDED: Final = (re.compile(r"--- (.*)"), re.compile(r"\+\+\+ (.*)"))
_NAMING: Final = (
    *_SIDED,
    re.compile(r"(?:rename|copy) (?:from|to) (.*)"),
    re.compile(r"diff (.*)"),
    re.compile(r"Index: (.*)"),
    re.compile(r"\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.*)"),
    re.compile(r"(?:Binary files|Only in) (.*)"),
)
_SIDE: Final = re.compile(r"\A[ab]/")
_NOWHERE: Final = "/dev/null"
# A change to a file leaves it there.
_REMOVES: Final = re.compile(
    r"^(?:\+\+\+ /dev/null|deleted file mode|\*\*\* Delete File:)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Rule:
    """``tool`` may do what ``scope`` and ``value`` name; a command only in ``folder`` (empty: the
    working folder)."""

    tool: str
    scope: Scope
    value: str = ""
    folder: str = ""


def same(tool: str, value: Any) -> tuple[str, str]:
    """Return the key by which two questions count as the same one."""
    return tool, json.dumps(value, sort_keys=True)


def is_permission(tool: str) -> bool:
    """Return whether ``tool`` asks a yes-or-no question, which a level or a rule can answer."""
    return tool not in CARDS


def rule_for(tool: str, value: Any) -> Rule | None:
    """Return the rule that "always" makes from a question; ``None`` when there is none to offer."""
    if tool in UNRULED or not tool:
        return None
    fields = value if isinstance(value, Mapping) else {}
    if any(is_in_git(path) for path in _paths_in(fields)):
        return None
    rule = _command(tool, fields) or _file(tool, fields) or _page(tool, fields)
    rule = rule or _server(tool) or _whole(tool, value)
    if rule is None:
        return None
    size = len(rule.value.encode(errors="replace")) + len(rule.folder.encode(errors="replace"))
    return rule if size <= VALUE_LIMIT else None


def _command(tool: str, fields: Mapping[str, Any]) -> Rule | None:
    command, folder = fields.get("command"), fields.get("cwd", "")
    if not isinstance(command, str) or not command.strip() or not isinstance(folder, str):
        return None
    return Rule(tool, "command", command, folder) if fields.keys() <= _BESIDE_A_COMMAND else None


def _file(tool: str, fields: Mapping[str, Any]) -> Rule | None:
    paths = [fields[key] for key in ("file_path", "notebook_path", "path") if key in fields]
    if tool.lower() not in _CHANGES or len(paths) != 1 or not fields.keys() <= _BESIDE_A_FILE:
        return None
    path = paths[0]
    # Codex joins the paths of several files with a comma.
    if not isinstance(path, str) or not path or ", " in path:
        return None
    diff = fields.get("diff", "")
    if not isinstance(diff, str) or _REMOVES.search(diff):
        return None
    return Rule(tool, "file", path) if _files_of(fields) <= {path} else None


def _files_of(fields: Mapping[str, Any]) -> set[str]:
    """Return the files that a change names besides its path: in its diff, or edit by edit.

    A changed line that looks like a file name counts as one: that never makes a rule wider.
    """
    diff, edits = fields.get("diff", ""), fields.get("edits", [])
    found = set(_names_in(diff)) if isinstance(diff, str) else set()
    for edit in edits if isinstance(edits, list) else [edits]:
        if isinstance(edit, Mapping):
            found |= {str(edit[key]) for key in _PATHS if key in edit}
        elif isinstance(edit, str):
            found.add(edit)
    return found


def _names_in(diff: str) -> Iterator[str]:
    """Yield each file that a diff or a patch names, in any kind of line."""
    for line in diff.splitlines():
        for marks in _NAMING:
            if found := marks.fullmatch(line):
                name = found[1].partition("\t")[0]  # a date may follow
                if name != _NOWHERE:
                    yield _SIDE.sub("", name) if marks in _SIDED else name


def _paths_in(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths that a question's fields name; the text of a command is not parsed."""
    for key in _PATHS:
        if isinstance(path := fields.get(key), str):
            yield from path.split(", ")
    yield from _files_of(fields)


def _page(tool: str, fields: Mapping[str, Any]) -> Rule | None:
    url = fields.get("url")
    if tool.lower() != "webfetch" or not isinstance(url, str):
        return None
    if not fields.keys() <= _BESIDE_A_PAGE:
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.username is None and parts.port is None else None
    except ValueError:
        return None
    return Rule(tool, "host", f"{parts.scheme}://{host}") if host else None


def _server(tool: str) -> Rule | None:
    """Return the rule for an MCP server's tool if the name shows which part is the server."""
    return Rule(tool, "tool") if _OF_A_SERVER.fullmatch(tool) else None


def _whole(tool: str, value: Any) -> Rule | None:
    """Return the rule for exactly this input; none where only a title says what is done."""
    if tool == _UNNAMED or (isinstance(value, Mapping) and value.keys() == {"title"}):
        return None
    return Rule(tool, "input", json.dumps(value, sort_keys=True, separators=(",", ":")))


def in_words(rule: Rule) -> str:
    """Return what the rule allows, for its card and its list."""
    folder = f" in {rule.folder or 'the working folder'}"
    return {
        "command": f"the command “{rule.value}”{folder}, exactly as it stands",
        "file": f"any change to {rule.value} by {rule.tool}",
        "host": f"any page of {rule.value}",
        "tool": f"{rule.tool}, whatever its input",
        "input": f"{rule.tool} with exactly this input: {rule.value}",
    }[rule.scope]


@dataclass(frozen=True, slots=True)
class Policy:
    """Which of a run's questions are answered without asking a person.

    First those a person answered before the sandbox that asked them died (``earlier``: tool and
    input). Else all permissions, once the person has eased the run; else what a rule names. In
    plan mode nothing is allowed in advance: the run is read-only. Nor is what the settings of the
    person's own program ask.
    """

    is_plan: bool = False
    is_eased: bool = False
    rules: Collection[Rule] = ()
    earlier: Collection[tuple[str, str]] = ()

    def answers(
        self, tool: str, value: Any, *, is_known: bool = True, is_forced: bool = False
    ) -> Rule | Literal["level", "earlier"] | None:
        """Return what answers the question; ``None`` if a person must be asked.

        One that is not ``is_known`` may look like another, so no answer to that one counts. One
        that ``is_forced``, by the settings of the person's program, goes to a person each time.
        """
        if is_known and same(tool, value) in self.earlier:
            return "earlier"
        if self.is_plan or is_forced or not is_permission(tool):
            return None
        if self.is_eased:
            return "level"
        rule = rule_for(tool, value) if is_known else None
        return rule if rule is not None and rule in self.rules else None
