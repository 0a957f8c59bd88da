"""The MCP servers that a turn's agent may use, as they come with the turn's input.

Their headers hold tokens, so they are told to a program over its stdin alone: never in its
arguments, which any process of the machine can read, nor in its environment, which its own
commands inherit. Each turn brings the tokens anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.harness.base import TurnInput
from agents.harness.lines import list_of, object_of, text_of

OWN = "mesh"  # the server of Mesh itself, where a turn names one


@dataclass(frozen=True, slots=True)
class McpServer:
    """One server over HTTP; ``headers`` are kept out of ``repr``."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def servers_of(turn: TurnInput) -> tuple[McpServer, ...]:
    """Return the servers of a turn, in their order; what is none is left out."""
    given = turn.virtual_mcp if isinstance(turn.virtual_mcp, dict) else {}
    told = list_of(given, "mcpServers")
    if turn.mcp is not None:
        told.append({**turn.mcp, "name": OWN})
    servers = {text_of(each, "name"): _server(each) for each in told}
    return tuple(server for server in servers.values() if server.name and server.url)


def _server(told: dict[str, Any]) -> McpServer:
    headers = object_of(told, "headers")
    texts = {name: value for name, value in headers.items() if isinstance(value, str)}
    return McpServer(text_of(told, "name"), text_of(told, "url"), texts)


def digest(turn: TurnInput) -> str:
    """Return what tells whether a turn's servers are those of another, tokens included; for a
    program that takes them only when it starts. It gives no token away."""
    told = [[each.name, each.url, dict(each.headers)] for each in servers_of(turn)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest() if told else ""
