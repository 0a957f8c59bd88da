"""MCP servers that an agent may use: rules for names, addresses and headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from mesh.lib.errors import AppError

SERVERS_LIMIT: Final = 20  # per agent
HEADERS_LIMIT: Final = 20
URL_LIMIT: Final = 1_000
VALUE_LIMIT: Final = 4_000
# Seconds in which a server must begin to answer; less than programs wait, of which some wait for
# minutes, so that our answer comes first.
ANSWER_LIMIT: Final = 8.0
SILENT_FOR: Final = timedelta(minutes=5)  # that a server is not asked which did not answer
# It becomes part of the tools' names, for which the models' APIs have these limits.
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110 §5.6.2
# Headers that belong to the connection or the protocol.
_RESERVED: Final = frozenset(
    {"host", "content-length", "content-type", "connection", "transfer-encoding", "mcp-session-id"}
)


class BadMcpServer(AppError):
    code = "bad_mcp_server"
    text = "This MCP server can't be used."
    hint = "Correct what the sentence names, and send it again."


@dataclass(frozen=True, slots=True)
class McpServer:
    """``headers`` may hold secrets: it is left out of ``repr``.

    A server that did not answer is not asked before ``silent_until``.
    """

    name: str
    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    silent_until: datetime | None = None

    def is_silent(self, now: datetime) -> bool:
        return self.silent_until is not None and now < self.silent_until

    def as_input(self) -> dict[str, Any]:
        """Return the harness's input (``virtualMcp.mcpServers``)."""
        headers = {"headers": self.headers} if self.headers else {}
        return {"name": self.name, "url": self.url, **headers}


def silence_in_words(name: str, *, is_known: bool) -> str:
    """Return what a person is told about a server that does not answer; ``is_known`` if it was
    not even asked."""
    if is_known:
        said = f"The MCP server {name} did not answer a few minutes ago: this message goes without"
        return f"{said} it. “Try again” is in the agent's settings."
    minutes = int(SILENT_FOR.total_seconds() // 60)
    return (
        f"The MCP server {name} does not answer. This message goes without it, and so do those of"
        f" the next {minutes} minutes. “Try again” is in the agent's settings."
    )


def read_mcp_server(*, name: str, url: str, headers: Mapping[str, str]) -> McpServer:
    """Return the server, checked.

    Raises:
        BadMcpServer: the sentence says what is wrong, and never repeats a header's value.
    """
    if not _NAME.fullmatch(name):
        raise BadMcpServer(
            "A server's name starts with a letter and has at most 40 lowercase letters, digits, "
            "- and _."
        )
    _check_url(url)
    if len(headers) > HEADERS_LIMIT:
        raise BadMcpServer(f"A server can have at most {HEADERS_LIMIT} headers.")
    for header, value in headers.items():
        _check_header(header, value)
    return McpServer(name, url, dict(headers))


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or len(url) > URL_LIMIT or not url.isprintable() or " " in url:
        raise BadMcpServer(
            "A server's address starts with https:// or http://, such as https://mcp.example/mcp."
        )
    if parts.username or parts.password:
        raise BadMcpServer(
            "The address contains a user name or password: put it into a header instead."
        )


def _check_header(name: str, value: str) -> None:
    if not _HEADER.fullmatch(name):
        raise BadMcpServer(f"“{name[:40]}” can't be the name of a header.")
    if name.lower() in _RESERVED:
        raise BadMcpServer(f"The header {name} is set by the agent's program: leave it out.")
    # A line break would start another header.
    if len(value) > VALUE_LIMIT or not value.isprintable() or not value.isascii():
        raise BadMcpServer(
            f"The value of the header {name} is too long, or has invalid characters."
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
        if not colon or not name or name.lower() in {each.lower() for each in found}:
            raise BadMcpServer(
                "Put each header on a line of its own, once, such as Authorization: Bearer …"
            )
        found[name] = value.strip()
    return found
