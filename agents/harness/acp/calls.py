"""Tool calls, collected from an agent's updates, in the terms of Mesh."""

from __future__ import annotations

from typing import Any

from agents.harness.diffs import compare, relative
from agents.harness.lines import list_of, object_of, text_of
from agents.harness.output import GrowingOutput

Update = dict[str, Any]

# Kind of tool → its name for people.
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
_PATH_KEYS = ("filePath", "filepath", "file_path")
_NAME_LIMIT = 60


class Call:
    """One tool call, with the updates so far."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.is_shown = False
        self.output = GrowingOutput()
        self._fields: Update = {}

    def update(self, update: Update) -> None:
        """Merge an update; fields that it does not name keep their values."""
        self._fields |= {k: update[k] for k in _FIELDS if update.get(k) is not None}

    @property
    def kind(self) -> str:
        return text_of(self._fields, "kind")

    @property
    def changes(self) -> bool:
        """Whether it changes a file."""
        return bool(self._diffs())

    @property
    def status(self) -> str:
        return text_of(self._fields, "status")

    @property
    def failure(self) -> str:
        """Why it failed; empty if it did not. A command's exit code counts, if reported."""
        raw = object_of(self._fields, "rawOutput")
        code = object_of(raw, "metadata").get("exit", raw.get("exit_code"))
        if self.kind == "execute" and isinstance(code, int) and code:
            return f"Exit code {code}\n{self.text}".rstrip()
        return (self.text or "Failed.") if self.status == "failed" else ""

    @property
    def name(self) -> str:
        return _NAMES.get(self.kind) or text_of(self._fields, "title")[:_NAME_LIMIT] or "Tool"

    @property
    def has_input(self) -> bool:
        """Whether its input is known: an agent may start a call before it has one."""
        keys = object_of(self._fields, "rawInput").keys() - {"cwd"}
        return bool(keys or self._diffs()) or self.status not in ("", "pending")

    @property
    def input(self) -> dict[str, Any]:
        raw = dict(object_of(self._fields, "rawInput"))
        # The folder is part of a command, unless it is the working folder.
        if self._is_working_folder(raw.get("cwd")):
            del raw["cwd"]
        title = text_of(self._fields, "title")
        if self.kind == "execute":
            return raw if "command" in raw else {"command": title} | raw
        if diffs := self._diffs():
            paths = [relative(text_of(diff, "path"), self._folder) for diff in diffs]
            named = dict.fromkeys([*paths, *self._paths(raw)])
            compared = (
                compare(path, text_of(diff, "oldText"), text_of(diff, "newText"))
                for path, diff in zip(paths, diffs, strict=True)
            )
            return {"file_path": ", ".join(named), "diff": "".join(compared)}
        paths = self._paths(raw)
        named = {"file_path": ", ".join(paths)} if paths else {}
        return named | raw or {"title": title}

    def _is_working_folder(self, cwd: Any) -> bool:
        return isinstance(cwd, str) and cwd.rstrip("/") == self._folder.rstrip("/")

    def _paths(self, raw: dict[str, Any]) -> list[str]:
        """Return every file that the call names, each once; remove their keys from ``raw``."""
        named = [raw.pop(key) for key in _PATH_KEYS if isinstance(raw.get(key), str)]
        located = [text_of(each, "path") for each in list_of(self._fields, "locations")]
        paths = (relative(path, self._folder) for path in [*named, *located] if path)
        return list(dict.fromkeys(paths))

    def _diffs(self) -> list[Update]:
        return [
            each for each in list_of(self._fields, "content") if text_of(each, "type") == "diff"
        ]

    @property
    def text(self) -> str:
        """Its output, or its error message."""
        blocks = list_of(self._fields, "content")
        texts = [_text(object_of(each, "content")) for each in blocks if "content" in each]
        raw = self._fields.get("rawOutput")
        if not texts and isinstance(raw, dict):
            texts = [text_of(raw, "output") or text_of(raw, "error")]
        if not texts and isinstance(raw, str):
            texts = [raw]
        return "\n".join(texts) or ("The change was made." if self._diffs() else "")


def _text(block: dict[str, Any]) -> str:
    return text_of(block, "text") or f"[{text_of(block, 'type') or 'something'}]"
