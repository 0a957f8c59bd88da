"""MCP servers that an agent may use: what is a usable name, address and header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from mesh.lib.errors import AppError

MOST_SERVERS: Final = 20  # of one agent
MOST_HEADERS: Final = 20
LONGEST_URL: Final = 1_000
LONGEST_VALUE: Final = 4_000
# It becomes a part of the tools' names, which no model's API takes longer or wilder.
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110 §5.6.2
# What belongs to the connection, or to the protocol, and not to the person.
_TAKEN: Final = frozenset(
    {"host", "content-length", "content-type", "connection", "transfer-encoding", "mcp-session-id"}
)


class BadMcpServer(AppError):
    code = "bad_mcp_server"
    text = "This MCP server can't be used."
    hint = "Mend what the sentence names, and send it again."


@dataclass(frozen=True, slots=True)
class McpServer:
    """``headers`` may hold secrets: it is left out of ``repr``."""

    name: str
    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    def as_input(self) -> dict[str, Any]:
        """Return what a harness is told (``virtualMcp.mcpServers``)."""
        headers = {"headers": self.headers} if self.headers else {}
        return {"name": self.name, "url": self.url, **headers}


def read_mcp_server(*, name: str, url: str, headers: Mapping[str, str]) -> McpServer:
    """Return the server, checked.

    Raises:
        BadMcpServer: the sentence says what is wrong, and never repeats a header's value.
    """
    if not _NAME.fullmatch(name):
        raise BadMcpServer(
            "A server's name begins with a letter and has at most 40 small letters, digits, - or _."
        )
    _check_url(url)
    if len(headers) > MOST_HEADERS:
        raise BadMcpServer(f"A server takes at most {MOST_HEADERS} headers.")
    for header, value in headers.items():
        _check_header(header, value)
    return McpServer(name, url, dict(headers))


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        raise BadMcpServer(
            "A server's address begins with https:// or http://, such as https://mcp.example/mcp."
        )
    if parts.username or parts.password:
        raise BadMcpServer(
            "The address carries a user name or password: put it into a header instead."
        )


def _check_header(name: str, value: str) -> None:
    if not _HEADER.fullmatch(name):
        raise BadMcpServer(f"“{name[:40]}” can't be the name of a header.")
    if name.lower() in _TAKEN:
        raise BadMcpServer(f"The header {name} is set by the agent's program: leave it out.")
    # A line break would begin another header.
    if len(value) > LONGEST_VALUE or not value.isprintable() or not value.isascii():
        raise BadMcpServer(
            f"The value of the header {name} is too long, or has characters that no header takes."
        )


def read_header_lines(text: str) -> dict[str, str]:
    """Return the headers of a text with one ``Name: value`` a line.

    Raises:
        BadMcpServer: a line has no colon, or a name comes twice.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        name = name.strip()
        if not colon or not name or name.lower() in {known.lower() for known in found}:
            raise BadMcpServer(
                "Each header stands on a line of its own, once, such as Authorization: Bearer …"
            )
        found[name] = value.strip()
    return found
