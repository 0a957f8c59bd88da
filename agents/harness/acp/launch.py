"""How an ACP agent is started, and what it is told of a session and of a turn."""

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
    """Return the program and its arguments for a conversation that goes on with ``turn``."""
    program, *args = agent.command
    if agent.model_flag and (model := model_of(agent, turn)):
        args += [agent.model_flag, model]
    if _is_free(turn):
        return Launch(program, tuple(args))
    env = agent.planning if turn.mode == PLAN else agent.careful
    return Launch(program, tuple(args), env, agent.runs_unasked)


def _is_free(turn: TurnInput) -> bool:
    """Say whether nobody need be asked; of an unknown level rather not."""
    return turn.mode != PLAN and turn.approval_level == AUTO


def key(agent: Agent, turn: TurnInput) -> str:
    """Return what of a turn is fixed when the program starts."""
    start = launch(agent, turn)
    return json.dumps([start.args, dict(start.env), turn.instructions, digest(turn)])


def model_of(agent: Agent, turn: TurnInput) -> str:
    """Return the model's own name: of ``acp:gemini:flash`` only ``flash``."""
    model = turn.model.removeprefix(f"{agent.name}:")
    return "" if model in TIERS else model


def hello() -> Params:
    """Return what ``initialize`` says of us: an agent sees to files and terminals itself.

    It works on the same machine, in the same folder, so it gains nothing by asking us; and a
    mapping does no I/O.
    """
    files_of_ours = {"readTextFile": False, "writeTextFile": False}
    return {
        "protocolVersion": PROTOCOL_VERSION,
        "clientCapabilities": {"fs": files_of_ours, "terminal": False},
        "clientInfo": {"name": "mesh", "title": "Mesh", "version": VERSION},
    }


def session(turn: TurnInput, *, takes_http: bool) -> Params:
    """Return what a session is begun, or taken up again, with."""
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
    """Return what the person said, with their files as far as the agent can read them.

    What the agent is told besides goes before the first message of a session: the protocol
    has no better place for it.
    """
    given = [_block(part, can_see=can_see) for part in parts_of(turn.last_message)]
    said = [block for block in given if block] or [_text("(nothing)")]
    if is_new and turn.instructions:
        said.insert(0, _text(f"<instructions>\n{turn.instructions}\n</instructions>"))
    return said


def has_pictures(turn: TurnInput) -> bool:
    """Say whether the person's message brings a picture."""
    files_given = (part for part in parts_of(turn.last_message) if part.get("type") == "file")
    return any(files.media_type_of(part).startswith("image/") for part in files_given)


def _text(text: str) -> Params:
    return {"type": "text", "text": text}


def _block(part: Params, *, can_see: bool) -> Params | None:
    """Return a part as a content block; ``None`` for what says nothing."""
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
