"""The tools of a script, Bash and Write, in the words of the program that is asking.

Each CLI offers its model tools of its own names; a request says which.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tests.standin.scripts import Tool

# Of whom → the tool that runs a command, and the name of its argument.
_SHELLS = {
    "exec_command": "cmd",
    "bash": "command",
    "run_shell_command": "command",
    "execute": "command",
}
# The tool that writes a file, and the names of its arguments: of the path, and of the content.
_WRITERS = {
    "write": (("filePath",), "content"),
    "write_file": (("file_path", "path"), "content"),
    "write_text_file": (("path",), "content"),
    "create": (("path",), "file_text"),
}


def as_offered(tool: Tool, offered: Mapping[str, Collection[str]]) -> Tool:
    """Return ``tool`` under the name, and with the arguments, that the program offers it by.

    ``offered`` maps the names of tools to those of their arguments, none if these are unknown.
    """
    if tool.name == "Bash":
        for name, argument in _SHELLS.items():
            if name in offered:
                given = {argument: tool.input["command"]}
                if name != "exec_command" and "description" in (offered[name] or ["description"]):
                    given["description"] = "As told"
                return Tool(name, given, tool.call_id)
    if tool.name == "Write":
        for name, (paths, content) in _WRITERS.items():
            if name in offered:
                path = next((each for each in paths if each in offered[name]), paths[0])
                return Tool(name, {path: tool.input["file_path"], content: tool.input["content"]})
        if "exec_command" in offered:
            return Tool("exec_command", {"cmd": _patch(**tool.input)})
    if tool.name.startswith("mcp__") and tool.name not in offered:
        _, server, name = tool.name.split("__", 2)  # some join the two in another way
        joined = (f"mcp_{server}_{name}", f"{server}_{name}")
        return next((Tool(each, tool.input) for each in joined if each in offered), tool)
    return tool


def _patch(*, file_path: str, content: str) -> str:
    """Return the shell line that Codex takes for a change of a file."""
    lines = "".join(f"+{line}\n" for line in content.splitlines())
    patch = f"*** Begin Patch\n*** Add File: {file_path}\n{lines}*** End Patch\n"
    return f"apply_patch <<'PATCH'\n{patch}PATCH"
