"""The command line of ``codex app-server``, and the parameters of its threads and turns.

Codex runs commands in a sandbox of its own. Which one, and when a person is asked:

| | sandbox | asks |
|---|---|---|
| plan | read only | never: what needs to write is refused |
| ask before edit | read only | before an edit, and before a command that leaves the sandbox |
| auto | the folder may be written | the adapter says yes |

In the read-only sandbox commands run unasked: they can change nothing and reach no network.

Its sandbox for work keeps every git directory read-only. So at auto, in a worktree or clone of
Mesh, a permission profile of ours takes its place, in which commands can commit.
"""

from __future__ import annotations

import json
from typing import Any

from agents.harness import files
from agents.harness.base import AUTO, PLAN, GitFolders, Launch, TurnInput, parts_of
from agents.harness.lines import object_of
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


# Another one of ours, in which a commit can be made.
COMMITTING = "mesh-commits"
# What it takes from the person's settings for the sandbox that it replaces.
SANDBOX = "sandbox_workspace_write"
# What Codex itself protects in a folder that may be written.
_KEPT = (".git", ".codex", ".agents")

# Without it some models only report that they can't write.
ASKING = (
    "The sandbox is read-only: to run a command that writes or needs the network, outside of plan"
    ' mode, set sandbox_permissions to "require_escalated" and give a justification, so that the'
    " person is asked."
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
    git = [turn.git.writable, turn.git.protected] if turn.git and can_commit(turn) else None
    return json.dumps([is_read_only(turn), turn.instructions, digest(turn), git])


def hello() -> Params:
    """Return the parameters of ``initialize``."""
    return {
        "clientInfo": {"name": "mesh", "title": "Mesh", "version": VERSION},
        # Without it there are no plan mode and no permission profile by name.
        "capabilities": {"experimentalApi": True, "requestAttestation": False},
    }


def can_commit(turn: TurnInput) -> bool:
    """Return whether commands may commit in the turn's folder, for which ``thread`` needs the
    person's settings."""
    return turn.git is not None and not is_read_only(turn)


def thread(turn: TurnInput, settings: Params | None = None) -> Params:
    """Return the parameters that start or resume a thread; ``settings`` are the person's own, as
    Codex has read them."""
    config: Params = {}
    params: Params = {**_approvals(turn)}
    if is_read_only(turn):
        params["permissions"] = READ_ONLY
    elif turn.git is not None and settings is not None:
        params["permissions"] = COMMITTING
        sandbox = object_of(settings, SANDBOX)
        config["permissions"] = {COMMITTING: _committing(turn.git, turn.folder, sandbox)}
    else:
        params["sandbox"] = "workspace-write"
    if turn.model:
        params["model"] = turn.model
    if instructions := _instructions(turn):
        params["developerInstructions"] = instructions
    if servers := servers_of(turn):
        config["mcp_servers"] = {
            each.name: {"url": each.url, "http_headers": dict(each.headers)} for each in servers
        }
    return params | ({"config": config} if config else {})


def _committing(git: GitFolders, folder: str, sandbox: Params) -> Params:
    """Return the profile: the sandbox for work as the person set it up, and what git writes."""
    here = {name: "read" for name in _KEPT if f"{folder}/{name}" not in git.writable}
    files: Params = {":root": "read", ":workspace_roots": {".": "write"} | here}
    if sandbox.get("exclude_tmpdir_env_var") is not True:
        files[":tmpdir"] = "write"
    if sandbox.get("exclude_slash_tmp") is not True:
        files[":slash_tmp"] = "write"
    roots = sandbox.get("writable_roots")
    for root in roots if isinstance(roots, list) else []:
        files |= {str(root): "write"} | {f"{root}/{name}": "read" for name in _KEPT}
    files |= dict.fromkeys(git.writable, "write") | dict.fromkeys(git.protected, "read")
    network = {"network": {"enabled": True}} if sandbox.get("network_access") is True else {}
    return {"filesystem": files} | network


def _instructions(turn: TurnInput) -> str:
    asking = ASKING if is_read_only(turn) else ""
    return "\n\n".join(text for text in (turn.instructions, asking) if text)


def start(
    turn: TurnInput,
    *,
    thread_id: str,
    model: str,
    effort: str = "",
    skill: tuple[Params, str] | None = None,
) -> Params:
    """Return the parameters that start a turn with ``model`` and ``effort``, which may be empty;
    ``skill`` is the one that the message calls, with its words."""
    settings = {
        "model": model,
        "reasoning_effort": effort or None,
        "developer_instructions": None,
    }
    mode = {"mode": "plan" if turn.mode == PLAN else "default", "settings": settings}
    return {
        "threadId": thread_id,
        "input": user_input(turn, skill),
        "summary": "auto",
        # Always set: a thread keeps its last mode.
        "collaborationMode": mode,
        **_approvals(turn),
    }


def _approvals(turn: TurnInput) -> Params:
    # A person, even if their settings name a model as the reviewer.
    policy = "never" if turn.mode == PLAN else "on-request"
    return {"approvalPolicy": policy, "approvalsReviewer": "user"}


def user_input(turn: TurnInput, skill: tuple[Params, str] | None = None) -> list[Params]:
    """Return the person's message, with its files."""
    parts = parts_of(turn.last_message)
    if skill is not None:
        files_only = [_input(part) for part in parts if part.get("type") == "file"]
        return [text_input(skill[1]), skill[0], *(each for each in files_only if each)]
    optional = [_input(part) for part in parts]
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
