"""How ``claude`` is started, and the lines it is given."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from agents.harness import files
from agents.harness.base import PLAN, Launch, TurnInput, Write, parts_of
from agents.harness.claude_code.permissions import ASK_RULES, asks
from agents.harness.mcp import McpServer

PROGRAM = "claude"

# Tools that need a terminal, leave the sandbox's folder, or go on when the turn is over.
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
    # Each command begins in the working folder: a person who allows one reads no other folder.
    "CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    # Newer models get no tools for a list of what is to be done, unless asked for.
    "CLAUDE_CODE_ENABLE_TODO_TOOLS": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}

# Where a person is asked, nothing of the project may run before they are: its own settings name
# hooks, MCP servers, helpers for keys and variables, and without a terminal the program takes
# them without a question. Of the settings only the person's own count there; what the project
# tells the model (CLAUDE.md) is read all the same, as that of a folder which is added.
OF_THE_PERSON_ONLY = "--setting-sources=user"
READS_MEMORY = {"CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1"}

# The first version known to say what becomes of a line in the middle of a turn; an older one
# may read it, or begin a turn of its own with it, and nobody is told which.
STEERS_SINCE = (2, 1, 330)

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def launch(turn: TurnInput) -> Launch:
    """Return the program and its arguments for a conversation that goes on with ``turn``."""
    plans = turn.mode == PLAN
    unfit = UNFIT if plans else (*UNFIT, "ExitPlanMode")
    args = [
        "-p",
        *("--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
        "--include-partial-messages",
        *("--permission-prompt-tool", "stdio"),
        # Named even when it is the default: the person's settings may say "bypassPermissions".
        f"--permission-mode={'plan' if plans else 'default'}",
        f"--disallowedTools={','.join(unfit)}",
    ]
    env = ENVIRONMENT
    if asks(turn) or plans:  # what the person's settings allow would run unasked, plan or not
        args.append(f"--settings={json.dumps({'permissions': {'ask': list(ASK_RULES)}})}")
        args += [OF_THE_PERSON_ONLY, f"--add-dir={turn.folder}"]
        env = ENVIRONMENT | READS_MEMORY
    if turn.model:
        args.append(f"--model={turn.model}")
    if turn.instructions:
        args.append(f"--append-system-prompt={turn.instructions}")
    if turn.resume_session_ref:
        args.append(f"--resume={turn.resume_session_ref}")
        if turn.forks_session:
            args.append("--fork-session")
    return Launch(PROGRAM, tuple(args), env)


def key(turn: TurnInput) -> str:
    """Return what of a turn is fixed when the program starts."""
    return json.dumps([turn.model, turn.mode == PLAN, asks(turn), turn.instructions])


def request(request_id: str, subtype: str, **fields: Any) -> Write:
    """Return a control request of ours."""
    request = {"subtype": subtype, **fields}
    return _line({"type": "control_request", "request_id": request_id, "request": request})


def set_servers(request_id: str, servers: Sequence[McpServer]) -> Write:
    """Return the request after which the program has these MCP servers, and none of ours that
    it had before; those of the person's own settings stay."""
    told = {
        each.name: {"type": "http", "url": each.url, "headers": dict(each.headers)}
        for each in servers
    }
    return request(request_id, "mcp_set_servers", servers=told)


def allow(request_id: str, tool_input: Any) -> Write:
    """Let the tool run with the input it asked for."""
    return _respond(request_id, {"behavior": "allow", "updatedInput": tool_input})


def deny(request_id: str, message: str) -> Write:
    """Refuse the tool; the model reads ``message``."""
    return _respond(request_id, {"behavior": "deny", "message": message})


def refuse(request_id: str, error: str) -> Write:
    """Answer a control request that we do not know, so that nobody waits for it."""
    response = {"subtype": "error", "request_id": request_id, "error": error}
    return _line({"type": "control_response", "response": response})


def _respond(request_id: str, answer: dict[str, Any]) -> Write:
    response = {"subtype": "success", "request_id": request_id, "response": answer}
    return _line({"type": "control_response", "response": response})


def version_of(text: str) -> tuple[int, ...]:
    """Return a version such as ``2.1.330`` for comparing; empty, less than any, if it is none."""
    numbers = text.split(" ")[0].split(".")
    return tuple(map(int, numbers)) if all(n.isdecimal() and len(n) < 9 for n in numbers) else ()


def user_line(turn: TurnInput, *, name: str = "") -> Write:
    """Return what the person said, with its files; the program tells what becomes of a line
    that has a ``name`` (a UUID)."""
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
    """Return a part as the API's content block; ``None`` for what says nothing."""
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
