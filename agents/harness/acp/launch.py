"""The command line of an ACP agent, and the parameters of its sessions and turns."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

from agents.harness import files
from agents.harness.acp.agents import Agent
from agents.harness.base import AUTO, PLAN, TIERS, Launch, TurnInput, parts_of
from agents.harness.mcp import digest, servers_of
from mesh.version import VERSION

Params = dict[str, Any]

PROTOCOL_VERSION = 1
NO_SERVER = "-"  # the name of none


def launch(agent: Agent, turn: TurnInput) -> Launch:
    """Return the program and its arguments for a conversation that continues with ``turn``."""
    program, *args = agent.command
    if agent.model_flag and (model := model_of(agent, turn)):
        args += [agent.model_flag, model]
    if _is_free(turn):
        args += [each for each in agent.free_arguments if each not in args]
        free = Launch(program, tuple(args), agent.free, variables=agent.variables)
        return _with_servers(agent, turn, free)
    args += agent.careful_arguments
    env = agent.planning if turn.mode == PLAN else agent.careful
    careful = Launch(program, tuple(args), env, agent.runs_unasked, agent.variables)
    return _with_servers(agent, turn, careful)


def _with_servers(agent: Agent, turn: TurnInput, start: Launch) -> Launch:
    """Return ``start`` with the MCP servers of the person's own settings that the turn leaves."""
    own = agent.own_servers
    if own is None or not turn.left_out:
        return replace(start, own_servers=own)
    if own.only:
        names = ",".join(each.name for each in servers_of(turn)) or NO_SERVER
        return replace(start, args=(*start.args, f"{own.only}={names}"))
    if own.without:
        without = (f"{own.without}={name}" for name in turn.left_out)
        return replace(start, args=(*start.args, *without))
    settings = json.loads(start.env.get(own.off) or "{}")
    settings[own.key] = {name: {"enabled": False} for name in turn.left_out}
    return replace(start, env={**start.env, own.off: json.dumps(settings)})


def _is_free(turn: TurnInput) -> bool:
    """Return whether the agent may act without asking; never at an unknown level."""
    return turn.mode != PLAN and turn.approval_level == AUTO


def key(agent: Agent, turn: TurnInput, model: str) -> str:
    """Return the settings of a turn that are fixed when the program starts; of the model only if
    it was started with one."""
    start = launch(replace(agent, model_flag=""), turn)
    fixed = [start.args, model if agent.model_flag else "", dict(start.env)]
    return json.dumps([*fixed, session_meta(agent, turn), turn.instructions, digest(turn)])


def session_meta(agent: Agent, turn: TurnInput) -> Params:
    """Return the metadata with which a session of this turn is opened; it keeps them."""
    return dict(agent.free_session if _is_free(turn) else agent.careful_session)


def model_of(agent: Agent, turn: TurnInput) -> str:
    """Return the model's own name: ``flash`` for ``acp:gemini:flash``."""
    model = turn.model.removeprefix(f"{agent.name}:")
    return "" if model in TIERS else model


def hello(version: int = PROTOCOL_VERSION) -> Params:
    """Return the parameters of ``initialize``: the agent accesses files and terminals itself.

    It works on the same machine, in the same folder, so it gains nothing by asking us; and an
    adapter does no I/O. A newer ``version`` is asked for in the shapes of both: an agent that does
    not speak it reads its own.
    """
    info = {"name": "mesh", "title": "Mesh", "version": VERSION}
    forms: Params = {"form": {}, "url": {}}
    first = {
        "protocolVersion": version,
        "clientCapabilities": {
            "fs": {"readTextFile": False, "writeTextFile": False},
            "terminal": False,
            "auth": {"terminal": True},
            "elicitation": forms,
        },
        "clientInfo": info,
    }
    if version == PROTOCOL_VERSION:
        return first
    capabilities = {"auth": {"terminal": {}}, "elicitation": forms}
    return first | {"info": info, "capabilities": capabilities}


def session(agent: Agent, turn: TurnInput, *, takes_http: bool) -> Params:
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
    meta = session_meta(agent, turn)
    return {"cwd": turn.folder, "mcpServers": servers} | ({"_meta": meta} if meta else {})


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
