"""The MCP servers that a turn's agent may use, from the turn's input.

Their headers hold tokens, so a program receives them over its stdin alone: never in its
arguments, which any process of the machine can read, nor in its environment, which its own
commands inherit. Each turn brings fresh tokens.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.harness.base import TurnInput
from agents.harness.lines import list_of, object_of, text_of

SILENT = "mcp_silent"  # the code of the gateway's answer for a server that does not answer
OWN = "mesh"  # the server of Mesh itself, if the turn has one
_OF_MESH = re.compile(r"/decopilot/threads/[^/]+/mcp/[^/]+$")  # the gateway's addresses


@dataclass(frozen=True, slots=True)
class McpServer:
    """One server over HTTP; ``headers`` are kept out of ``repr``. One that ``is_silent`` did not
    answer a few minutes ago, and is not asked."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_silent: bool = False


def own_silence_in_words(title: str, names: Sequence[str], *, is_known: bool) -> str:
    """Return what a person is told of MCP servers that a program asks itself and that don't answer;
    ``is_known`` if it was not even started with them."""
    which = ", ".join(names)
    if is_known:
        return (
            f"{title} works without its MCP servers ({which}): not all of them answered a few"
            " minutes ago."
        )
    return (
        f"{title} waited for its MCP servers ({which}), and not all of them answered. It works"
        " without them now, also in the new chats of the next minutes. Look in the settings which"
        " one does not answer, and turn it off."
    )


def servers_of(turn: TurnInput) -> tuple[McpServer, ...]:
    """Return the servers of a turn, in order, without those that it leaves out; invalid entries
    are left out, too."""
    virtual = turn.virtual_mcp if isinstance(turn.virtual_mcp, dict) else {}
    entries = list_of(virtual, "mcpServers")
    if turn.mcp is not None:
        entries.append({**turn.mcp, "name": OWN})
    servers = {text_of(each, "name"): _server(each) for each in entries}
    named = (server for server in servers.values() if server.name and server.url)
    return tuple(server for server in named if server.name not in turn.left_out)


def asked_directly(turn: TurnInput) -> dict[str, str]:
    """Return the turn's servers that its program asks itself, not through Mesh, which would answer
    for one that is silent: their names, with the address of each."""
    return {each.name: each.url for each in servers_of(turn) if not _OF_MESH.search(each.url)}


def _server(entry: dict[str, Any]) -> McpServer:
    headers = object_of(entry, "headers")
    texts = {name: value for name, value in headers.items() if isinstance(value, str)}
    is_silent = entry.get("isSilent") is True
    return McpServer(text_of(entry, "name"), text_of(entry, "url"), texts, is_silent)


def digest(turn: TurnInput) -> str:
    """Return a hash of a turn's servers, tokens included, for a program that accepts servers only
    when it starts. It reveals no token."""
    facts = [[each.name, each.url, dict(each.headers)] for each in servers_of(turn)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest() if facts else ""
