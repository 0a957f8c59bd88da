"""The command line of ``claude``, and the lines of its stdin."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from agents.harness import files
from agents.harness.base import PLAN, Launch, TurnInput, Write, parts_of
from agents.harness.claude_code.permissions import ALLOW_RULES, ASK_RULES, asks
from agents.harness.mcp import McpServer, servers_of

PROGRAM = "claude"

# Tools that need a terminal, leave the sandbox's folder, or continue after the turn's end.
UNFIT = (
    "Config",
    "CronCreate",
    "CronDelete",
    "CronList",
    "EnterPlanMode",
    "EnterWorktree",
    "ExitWorktree",
    "Monitor",
    "ScheduleWakeup",
    "SendMessage",
)

ENVIRONMENT = {
    # Each command starts in the working folder: the question about it names no other folder.
    "CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    # Newer models get no tools for a to-do list without this.
    "CLAUDE_CODE_ENABLE_TODO_TOOLS": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}

# For a server that does not take what the program says when a task in the background has ended.
NO_BACKGROUND = {"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1"}

# Milliseconds in which a server must answer, instead of 30 s: the message waits for all of them.
# The servers of the person's own settings have no more either, so it applies only with ours.
IMPATIENT = {"MCP_TIMEOUT": "10000"}

# If a person is asked, nothing of the project may run before that: its settings name hooks, MCP
# servers, key helpers and variables, and without a terminal the program uses them without a
# question. So only the person's own settings apply; the project's CLAUDE.md is still read, as
# that of an added folder.
USER_SETTINGS_ONLY = "--setting-sources=user"
READS_MEMORY = {"CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1"}

# The first version that reports what it does with a line in the middle of a turn; an older one
# may read it, or start a turn of its own with it, without a report.
STEERS_SINCE = (2, 1, 330)

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def launch(turn: TurnInput) -> Launch:
    """Return the program and its arguments for a conversation that continues with ``turn``."""
    plans = turn.mode == PLAN
    unfit = UNFIT if plans else (*UNFIT, "ExitPlanMode")
    args = [
        "-p",
        *("--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
        "--include-partial-messages",
        *("--permission-prompt-tool", "stdio"),
        # Named even if it is the default: the person's settings may say "bypassPermissions".
        f"--permission-mode={'plan' if plans else 'default'}",
        f"--disallowedTools={','.join(unfit)}",
    ]
    env = ENVIRONMENT if turn.takes_unasked else ENVIRONMENT | NO_BACKGROUND
    if servers_of(turn):
        env = env | IMPATIENT
    if asks(turn) or plans:  # otherwise the person's settings would allow tools unasked
        args.append(_rules(ask=ASK_RULES))
        args += [USER_SETTINGS_ONLY, f"--add-dir={turn.folder}"]
        env = env | READS_MEMORY
    else:
        args.append(_rules(allow=ALLOW_RULES))
    if turn.model:
        args.append(f"--model={turn.model}")
    if turn.effort:
        args.append(f"--effort={turn.effort}")
    if turn.instructions:
        args.append(f"--append-system-prompt={turn.instructions}")
    if turn.resume_session_ref:
        args.append(f"--resume={turn.resume_session_ref}")
        if turn.forks_session:
            args.append("--fork-session")
    return Launch(PROGRAM, tuple(args), env)


def _rules(**permissions: Sequence[str]) -> str:
    return f"--settings={json.dumps({'permissions': permissions})}"


def key(turn: TurnInput) -> str:
    """Return the settings of a turn that are fixed when the program starts."""
    fixed = [turn.model, turn.mode == PLAN, asks(turn), turn.instructions, turn.takes_unasked]
    return json.dumps([*fixed, bool(servers_of(turn)), turn.effort])


def request(request_id: str, subtype: str, **fields: Any) -> Write:
    """Return a control request."""
    request = {"subtype": subtype, **fields}
    return _line({"type": "control_request", "request_id": request_id, "request": request})


def set_servers(request_id: str, servers: Sequence[McpServer]) -> Write:
    """Return the request that replaces the program's MCP servers of earlier requests by
    ``servers``; those of the person's own settings stay."""
    config = {
        each.name: {"type": "http", "url": each.url, "headers": dict(each.headers)}
        for each in servers
    }
    return request(request_id, "mcp_set_servers", servers=config)


def allow(request_id: str, tool_input: Any) -> Write:
    """Allow the tool to run with its requested input."""
    return _respond(request_id, {"behavior": "allow", "updatedInput": tool_input})


def deny(request_id: str, message: str) -> Write:
    """Refuse the tool; the model reads ``message``."""
    return _respond(request_id, {"behavior": "deny", "message": message})


def cancel_form(request_id: str) -> Write:
    """Answer a form of an MCP server: the person has not seen it."""
    return _respond(request_id, {"action": "cancel"})


def refuse(request_id: str, error: str) -> Write:
    """Refuse an unknown control request, so that the program does not wait."""
    response = {"subtype": "error", "request_id": request_id, "error": error}
    return _line({"type": "control_response", "response": response})


def _respond(request_id: str, answer: dict[str, Any]) -> Write:
    response = {"subtype": "success", "request_id": request_id, "response": answer}
    return _line({"type": "control_response", "response": response})


def version_of(text: str) -> tuple[int, ...]:
    """Return a comparable version, such as of ``2.1.330``; empty, the lowest, if it is not one."""
    numbers = text.split(" ")[0].split(".")
    return tuple(map(int, numbers)) if all(n.isdecimal() and len(n) < 9 for n in numbers) else ()


def user_line(turn: TurnInput, *, name: str = "") -> Write:
    """Return the person's message, with its files; the program reports on a line that has a
    ``name`` (a UUID)."""
    content = [block for part in parts_of(turn.last_message) if (block := _block(part))]
    message = {"role": "user", "content": content or [_text("(nothing)")]}
    return _line(
        {
            "type": "user",
            "message": message,
            "parent_tool_use_id": None,
            "session_id": turn.resume_session_ref or "default",
            **({"uuid": name} if name else {}),
        }
    )


def _line(value: dict[str, Any]) -> Write:
    return Write(json.dumps(value).encode())


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _block(part: dict[str, Any]) -> dict[str, Any] | None:
    """Return a part as the API's content block; ``None`` for an empty or unknown part."""
    if part.get("type") == "text":
        text = part.get("text")
        return _text(text) if isinstance(text, str) and text.strip() else None
    if part.get("type") == "file":
        return _file(part)
    return None


def _file(part: dict[str, Any]) -> dict[str, Any]:
    media_type = files.media_type_of(part)
    data = files.read_data_url(str(part.get("url", "")))
    if data is None or media_type not in (*IMAGES, "application/pdf"):
        return _text(files.as_text(part))
    source = {
        "type": "base64",
        "media_type": media_type,
        "data": base64.b64encode(data).decode(),
    }
    return {"type": "image" if media_type in IMAGES else "document", "source": source}
