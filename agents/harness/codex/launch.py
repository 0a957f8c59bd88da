"""The command line of ``codex app-server``, and the parameters of its threads and turns.

Codex runs commands in a sandbox of its own. Which one, and when a person is asked:

| | sandbox | asks |
|---|---|---|
| plan | read only | never: what needs to write is refused |
| ask before edit | read only | before an edit, and before a command that leaves the sandbox |
| auto | the folder may be written | the adapter says yes |

In the read-only sandbox commands run unasked: they can change nothing and reach no network.
"""

from __future__ import annotations

import json
from typing import Any

from agents.harness import files
from agents.harness.base import AUTO, PLAN, Launch, TurnInput, parts_of
from agents.harness.mcp import digest, servers_of
from mesh.version import VERSION

PROGRAM = "codex"

Params = dict[str, Any]

# A profile of ours instead of the built-in "read-only": one unreadable path keeps Codex from
# leaving the sandbox on its own, which it otherwise does for commands that the person's own rules
# (~/.codex/rules) allow in a terminal. Everything else is readable.
READ_ONLY = "mesh"
_READ_ONLY_CONFIG = (
    'permissions.mesh.filesystem={":root"="read","/.mesh-never-read"="deny"}',
    'default_permissions="mesh"',
    'web_search="cached"',
)


# Newer versions offer the model no to-do list without this setting; older ones ignore it, and
# always do.
TODO_LIST = "tools.update_plan.enabled=true"


def is_read_only(turn: TurnInput) -> bool:
    """Return whether writing needs permission: at any level but ``auto``, so that an unknown level
    of a newer server errs on the strict side."""
    return turn.mode == PLAN or turn.approval_level != AUTO


def launch(turn: TurnInput) -> Launch:
    """Return the program and its arguments for a conversation that continues with ``turn``."""
    args = ["app-server", "-c", TODO_LIST]
    if is_read_only(turn):
        args += [word for config in _READ_ONLY_CONFIG for word in ("-c", config)]
    return Launch(PROGRAM, tuple(args))


def key(turn: TurnInput) -> str:
    """Return the settings of a turn that are fixed when the program starts."""
    return json.dumps([is_read_only(turn), turn.instructions, digest(turn)])


def hello() -> Params:
    """Return the parameters of ``initialize``."""
    return {
        "clientInfo": {"name": "mesh", "title": "Mesh", "version": VERSION},
        # Without it there are no plan mode and no permission profile by name.
        "capabilities": {"experimentalApi": True, "requestAttestation": False},
    }


def thread(turn: TurnInput) -> Params:
    """Return the parameters that start or resume a thread."""
    sandbox = {"permissions": READ_ONLY} if is_read_only(turn) else {"sandbox": "workspace-write"}
    params: Params = {**_approvals(turn), **sandbox}
    if turn.model:
        params["model"] = turn.model
    if turn.instructions:
        params["developerInstructions"] = turn.instructions
    if servers := servers_of(turn):
        config = {
            each.name: {"url": each.url, "http_headers": dict(each.headers)} for each in servers
        }
        params["config"] = {"mcp_servers": config}
    return params


def start(turn: TurnInput, *, thread_id: str, model: str) -> Params:
    """Return the parameters that start a turn; ``model`` applies if the turn names none."""
    settings = {
        "model": turn.model or model,
        "reasoning_effort": None,
        "developer_instructions": None,
    }
    mode = {"mode": "plan" if turn.mode == PLAN else "default", "settings": settings}
    return {
        "threadId": thread_id,
        "input": user_input(turn),
        "summary": "auto",
        # Always set: a thread keeps its last mode.
        "collaborationMode": mode,
        **_approvals(turn),
    }


def _approvals(turn: TurnInput) -> Params:
    # A person, even if their settings name a model as the reviewer.
    policy = "never" if turn.mode == PLAN else "on-request"
    return {"approvalPolicy": policy, "approvalsReviewer": "user"}


def user_input(turn: TurnInput) -> list[Params]:
    """Return the person's message, with its files."""
    optional = [_input(part) for part in parts_of(turn.last_message)]
    return [each for each in optional if each] or [text_input("(nothing)")]


def text_input(text: str) -> Params:
    return {"type": "text", "text": text, "text_elements": []}


def _input(part: Params) -> Params | None:
    """Return a part in Codex's form; ``None`` for an empty or unknown part."""
    if part.get("type") == "text":
        text = part.get("text")
        return text_input(text) if isinstance(text, str) and text.strip() else None
    if part.get("type") != "file":
        return None
    url = str(part.get("url", ""))
    if files.media_type_of(part).startswith("image/") and files.read_data_url(url) is not None:
        return {"type": "image", "url": url}
    return text_input(files.as_text(part))
