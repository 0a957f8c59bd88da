"""Tool calls as agents tell of them, bit by bit, in the words of Mesh."""

from __future__ import annotations

from typing import Any

from agents.harness.diffs import compare, relative
from agents.harness.lines import list_of, object_of, text_of
from agents.harness.output import GrowingOutput

Update = dict[str, Any]

# Kind of tool → the name that people know it by.
_NAMES = {
    "delete": "Delete",
    "edit": "Edit",
    "execute": "Bash",
    "fetch": "WebFetch",
    "move": "Move",
    "read": "Read",
    "search": "Grep",
    "switch_mode": "SwitchMode",
    "think": "Think",
}
_FIELDS = ("content", "kind", "locations", "rawInput", "rawOutput", "status", "title")
_OF_A_FILE = ("filePath", "filepath", "file_path")
_NAME_LIMIT = 60


class Call:
    """One tool call, and what was told of it so far."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.is_shown = False
        self.output = GrowingOutput()
        self._told: Update = {}

    def tell(self, update: Update) -> None:
        """Take what is new; what an update does not name stays as it was."""
        self._told |= {k: update[k] for k in _FIELDS if update.get(k) is not None}

    @property
    def kind(self) -> str:
        return text_of(self._told, "kind")

    @property
    def changes(self) -> bool:
        """Whether it brings a change of a file."""
        return bool(self._diffs())

    @property
    def status(self) -> str:
        return text_of(self._told, "status")

    @property
    def failure(self) -> str:
        """Why it failed; empty when it did not. A command's exit code counts, if it is told."""
        raw = object_of(self._told, "rawOutput")
        code = object_of(raw, "metadata").get("exit", raw.get("exit_code"))
        if self.kind == "execute" and isinstance(code, int) and code:
            return f"Exit code {code}\n{self.text}".rstrip()
        return (self.text or "Failed.") if self.status == "failed" else ""

    @property
    def name(self) -> str:
        return _NAMES.get(self.kind) or text_of(self._told, "title")[:_NAME_LIMIT] or "Tool"

    @property
    def is_told(self) -> bool:
        """Whether its input is known: an agent may begin a call before it has one."""
        given = object_of(self._told, "rawInput").keys() - {"cwd"}
        return bool(given or self._diffs()) or self.status not in ("", "pending")

    @property
    def input(self) -> dict[str, Any]:
        given = dict(object_of(self._told, "rawInput"))
        # Where a command runs is part of it, unless it is where all of them do.
        if self._is_here(given.get("cwd")):
            del given["cwd"]
        title = text_of(self._told, "title")
        if self.kind == "execute":
            return given if "command" in given else {"command": title} | given
        if diffs := self._diffs():
            paths = [relative(text_of(diff, "path"), self._folder) for diff in diffs]
            named = dict.fromkeys([*paths, *self._paths(given)])
            compared = (
                compare(path, text_of(diff, "oldText"), text_of(diff, "newText"))
                for path, diff in zip(paths, diffs, strict=True)
            )
            return {"file_path": ", ".join(named), "diff": "".join(compared)}
        paths = self._paths(given)
        named = {"file_path": ", ".join(paths)} if paths else {}
        return named | given or {"title": title}

    def _is_here(self, cwd: Any) -> bool:
        return isinstance(cwd, str) and cwd.rstrip("/") == self._folder.rstrip("/")

    def _paths(self, given: dict[str, Any]) -> list[str]:
        """Return every file that the call names, each once; their keys leave ``given``."""
        named = [given.pop(key) for key in _OF_A_FILE if isinstance(given.get(key), str)]
        located = [text_of(each, "path") for each in list_of(self._told, "locations")]
        paths = (relative(path, self._folder) for path in [*named, *located] if path)
        return list(dict.fromkeys(paths))

    def _diffs(self) -> list[Update]:
        return [each for each in list_of(self._told, "content") if text_of(each, "type") == "diff"]

    @property
    def text(self) -> str:
        """What it gave, or says of its failure."""
        blocks = list_of(self._told, "content")
        texts = [_text(object_of(each, "content")) for each in blocks if "content" in each]
        raw = self._told.get("rawOutput")
        if not texts and isinstance(raw, dict):
            texts = [text_of(raw, "output") or text_of(raw, "error")]
        if not texts and isinstance(raw, str):
            texts = [raw]
        return "\n".join(texts) or ("The change was made." if self._diffs() else "")


def _text(block: dict[str, Any]) -> str:
    return text_of(block, "text") or f"[{text_of(block, 'type') or 'something'}]"
