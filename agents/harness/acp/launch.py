"""The command line of an ACP agent, and the parameters of its sessions and turns."""

from __future__ import annotations

import base64
import json
from typing import Any

from agents.harness import files
from agents.harness.acp.agents import Agent
from agents.harness.base import AUTO, PLAN, TIERS, Launch, TurnInput, parts_of
from agents.harness.mcp import digest, servers_of
from mesh.version import VERSION

Params = dict[str, Any]

PROTOCOL_VERSION = 1


def launch(agent: Agent, turn: TurnInput) -> Launch:
    """Return the program and its arguments for a conversation that continues with ``turn``."""
    program, *args = agent.command
    if agent.model_flag and (model := model_of(agent, turn)):
        args += [agent.model_flag, model]
    if _is_free(turn):
        return Launch(program, tuple(args))
    env = agent.planning if turn.mode == PLAN else agent.careful
    return Launch(program, tuple(args), env, agent.runs_unasked)


def _is_free(turn: TurnInput) -> bool:
    """Return whether the agent may act without asking; never at an unknown level."""
    return turn.mode != PLAN and turn.approval_level == AUTO


def key(agent: Agent, turn: TurnInput) -> str:
    """Return the settings of a turn that are fixed when the program starts."""
    start = launch(agent, turn)
    return json.dumps([start.args, dict(start.env), turn.instructions, digest(turn)])


def model_of(agent: Agent, turn: TurnInput) -> str:
    """Return the model's own name: ``flash`` for ``acp:gemini:flash``."""
    model = turn.model.removeprefix(f"{agent.name}:")
    return "" if model in TIERS else model


def hello() -> Params:
    """Return the parameters of ``initialize``: the agent accesses files and terminals itself.

    It works on the same machine, in the same folder, so it gains nothing by asking us; and an
    adapter does no I/O.
    """
    no_files = {"readTextFile": False, "writeTextFile": False}
    return {
        "protocolVersion": PROTOCOL_VERSION,
        "clientCapabilities": {"fs": no_files, "terminal": False},
        "clientInfo": {"name": "mesh", "title": "Mesh", "version": VERSION},
    }


def session(turn: TurnInput, *, takes_http: bool) -> Params:
    """Return the parameters that start or resume a session."""
    servers = [
        {
            "type": "http",
            "name": each.name,
            "url": each.url,
            "headers": [{"name": name, "value": value} for name, value in each.headers.items()],
        }
        for each in (servers_of(turn) if takes_http else ())
    ]
    return {"cwd": turn.folder, "mcpServers": servers}


def prompt(turn: TurnInput, *, can_see: bool, is_new: bool) -> list[Params]:
    """Return the person's message, with the files that the agent can read.

    The agent's instructions precede the first message of a session: the protocol has no better
    place for them.
    """
    optional = [_block(part, can_see=can_see) for part in parts_of(turn.last_message)]
    blocks = [block for block in optional if block] or [_text("(nothing)")]
    if is_new and turn.instructions:
        blocks.insert(0, _text(f"<instructions>\n{turn.instructions}\n</instructions>"))
    return blocks


def has_pictures(turn: TurnInput) -> bool:
    """Return whether the person's message has a picture."""
    attached = (part for part in parts_of(turn.last_message) if part.get("type") == "file")
    return any(files.media_type_of(part).startswith("image/") for part in attached)


def _text(text: str) -> Params:
    return {"type": "text", "text": text}


def _block(part: Params, *, can_see: bool) -> Params | None:
    """Return a part as a content block; ``None`` for an empty or unknown part."""
    if part.get("type") == "text":
        text = part.get("text")
        return _text(text) if isinstance(text, str) and text.strip() else None
    if part.get("type") != "file":
        return None
    media_type = files.media_type_of(part)
    data = files.read_data_url(str(part.get("url", "")))
    if data is None or not can_see or not media_type.startswith("image/"):
        return _text(files.as_text(part))
    return {"type": "image", "mimeType": media_type, "data": base64.b64encode(data).decode()}
