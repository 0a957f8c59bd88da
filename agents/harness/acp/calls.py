"""Tool calls, collected from an agent's updates, in the terms of Mesh."""

from __future__ import annotations

from typing import Any

from agents.harness.acp.content import Terminal, peeled, picture_in, text_in
from agents.harness.acp.edits import paths_of, unified
from agents.harness.diffs import relative
from agents.harness.lines import list_of, object_of, text_of
from agents.harness.output import GrowingOutput
from agents.harness.pictures import Picture

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
_FIELDS = ("content", "kind", "locations", "name", "rawInput", "rawOutput", "status", "title")
_PATH_KEYS = ("filePath", "filepath", "file_path")
_NAME_LIMIT = 60
_TITLE_LIMIT = 200
UNNAMED = "Tool"
# Programs' own names of the tools that every agent has.
_OWN_NAMES = {
    "edit": "Edit",
    "exec_command": "Bash",
    "read_file": "Read",
    "run_shell_command": "Bash",
    "write_file": "Write",
}


class Call:
    """One tool call, with the updates so far."""

    def __init__(self, folder: str, terminals: dict[str, Terminal] | None = None) -> None:
        self._folder = folder
        self._terminals = {} if terminals is None else terminals
        self._terminal_ids: list[str] = []
        self.is_shown = False
        self._announced = ""  # its name: it stays, whatever is told later
        self.output = GrowingOutput()
        self._fields: Update = {}

    def update(self, update: Update) -> None:
        """Merge an update; fields that it does not name keep their values."""
        self._fields |= {k: update[k] for k in _FIELDS if update.get(k) is not None}
        named = text_of(self._fields, "name") or text_of(object_of(update, "_meta"), "toolName")
        self._fields["name"] = named

    def add_content(self, block: Update) -> str | None:
        """Append one block of content; return what is to be published of it now."""
        if not isinstance(self._fields.get("content"), list):
            self._fields["content"] = []
        self._fields["content"].append(block)
        text = self._text(block)
        return self.output.add(f"{text}\n") if text else None

    @property
    def terminal_ids(self) -> list[str]:
        """The terminals whose output is its output."""
        named = [text_of(each, "terminalId") for each in self._blocks()]
        return [each for each in dict.fromkeys([*named, *self._terminal_ids]) if each]

    def add_output(self, update: Update) -> str | None:
        """Take the piece of output in an update's metadata, as codex-acp sends it; return what is
        to be published of it now."""
        meta = object_of(update, "_meta")
        told = object_of(meta, "terminal_output_delta") or object_of(meta, "terminal_output")
        ended = object_of(meta, "terminal_exit")
        if not told and not ended:
            return None
        terminal = self._terminal(text_of(told, "terminal_id") or text_of(ended, "terminal_id"))
        terminal.end(ended.get("exit_code"), text_of(ended, "signal"))
        piece = terminal.add(text_of(told, "data"))
        return self.output.add(piece) if piece else None

    def _terminal(self, terminal_id: str) -> Terminal:
        if terminal_id not in self._terminal_ids:
            self._terminal_ids.append(terminal_id)
        return self._terminals.setdefault(terminal_id, Terminal())

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
    def exit_code(self) -> int | None:
        """The exit code of a command, if it is reported."""
        raw = object_of(self._fields, "rawOutput")
        code = object_of(raw, "metadata").get("exit", raw.get("exit_code"))
        codes = [code if self.kind == "execute" else None]
        codes += [terminal.exit_code for terminal in self._own_terminals()]
        found = [each for each in codes if isinstance(each, int) and not isinstance(each, bool)]
        return next((each for each in found if each), found[0] if found else None)

    @property
    def failure(self) -> str:
        """Why it failed; empty if it did not. A command's exit code counts, if reported."""
        if code := self.exit_code:
            return f"Exit code {code}\n{self.text}".rstrip()
        if signal := self._signal:
            return f"Ended by {signal}\n{self.text}".rstrip()
        failed = {"failed": "Failed.", "cancelled": "Cancelled."}.get(self.status, "")
        return (self.text or failed) if failed else ""

    @property
    def _signal(self) -> str:
        return next((each.signal for each in self._own_terminals() if each.signal), "")

    @property
    def name(self) -> str:
        """The tool's own name, else that of its kind. A title is for people: it names no tool."""
        if self._announced:
            return self._announced
        own = text_of(self._fields, "name").strip()
        if len(own) > _NAME_LIMIT:  # a shortened name could be another tool's
            return UNNAMED
        return _OWN_NAMES.get(own, own) or _NAMES.get(self.kind, UNNAMED)

    @property
    def is_known(self) -> bool:
        """Whether name and input say what runs, so that an answer may apply to the next one.

        A command is known by itself, a change by its diff, anything else by its tool's own name
        and its input. A title says nothing, and a kind alone is shared: two tools may have both.
        """
        own, raw = text_of(self._fields, "name").strip(), self._fields.get("rawInput")
        if self.kind == "execute" and not own.startswith("mcp_"):
            return isinstance(raw, dict) and isinstance(raw.get("command"), str)
        is_named = 0 < len(own) <= _NAME_LIMIT and isinstance(raw, dict)
        return is_named or (self.changes and self.kind == "edit")

    @property
    def is_named(self) -> bool:
        """Whether it is known, at least for people, what kind of call this is."""
        return self.name != UNNAMED or bool(self.title)

    def announce(self) -> str:
        """Return its name, which it keeps from now on."""
        self._announced = self.name
        return self._announced

    @property
    def title(self) -> str:
        """What it does, for people; empty where its name and input say it."""
        is_said = self.name in _OWN_NAMES.values() or self.name in _NAMES.values()
        return "" if is_said else text_of(self._fields, "title").strip()[:_TITLE_LIMIT]

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
            paths = [path for diff in diffs for path in paths_of(diff, self._folder)]
            named = dict.fromkeys([*paths, *self._paths(raw)])
            diff = "".join(unified(diff, self._folder) for diff in diffs)
            return {"file_path": ", ".join(named), "diff": diff}
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
        texts = [text for each in self._blocks() if (text := self._text(each))]
        if not texts:
            texts = [self._raw_text()]
        texts += [] if any(texts) else [self._terminal_text()]
        shown = "\n".join(text for text in texts if text)
        is_made = self.status == "completed" and self._diffs()
        return shown or ("The change was made." if is_made else "")

    @property
    def pictures(self) -> list[Picture]:
        """The pictures in its output."""
        found = (picture_in(object_of(each, "content")) for each in self._blocks())
        return [picture for picture in found if picture]

    def _blocks(self) -> list[Update]:
        return list_of(self._fields, "content")

    def _text(self, block: Update) -> str:
        """Return an output's block in words; empty for one that is shown elsewhere."""
        if text_of(block, "type") == "terminal":
            terminal = self._terminals.get(text_of(block, "terminalId"))
            return terminal.text if terminal else ""
        content = object_of(block, "content")
        if "content" not in block or picture_in(content):
            return ""
        text = text_in(content)
        # Some agents say there what the command is for; its output comes in another field.
        description = text_of(object_of(self._fields, "rawInput"), "description")
        return "" if description and text.strip() == description.strip() else peeled(text)

    def _raw_text(self) -> str:
        raw = self._fields.get("rawOutput")
        if isinstance(raw, dict):
            names = ("output", "formatted_output", "aggregated_output", "stdout", "error")
            return next((text for name in names if (text := text_of(raw, name))), "")
        return peeled(raw) if isinstance(raw, str) else ""

    def _terminal_text(self) -> str:
        return "".join(each.text for each in self._own_terminals())

    def _own_terminals(self) -> list[Terminal]:
        return [self._terminals[each] for each in self.terminal_ids if each in self._terminals]
