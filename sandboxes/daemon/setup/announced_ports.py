"""Finds the addresses that a dev server announces in its output. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

CARRY: Final = 400  # characters kept, for an announcement that arrives in two pieces
MOST: Final = 20  # announcements kept of one server

# Colours and other sequences, and hyperlinks (OSC 8), of which the text stays.
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_HOST = r"(?:localhost|127(?:\.\d{1,3}){3}|0\.0\.0\.0|\[::1?\])"
_URL = rf"(?P<scheme>https?)://{_HOST}(?::(?P<port>\d{{1,5}})|(?![:\w-]|\.\w))(?P<path>[/?][^\s\"'<>`|│┃║)\]]*)?"
_SAID = (
    r"(?: [Ll]istening\s(?:on|at) | [Rr]unning\s(?:on|at) | [Ss]erving\sHTTP\son"
    r" | [Ss]tarted\s(?:on|at) | [Rr]eady\s(?:on|at) | Local: )(?:(?!://)[^\n]){0,60}?"
    rf"(?: {_HOST}: | \bport:?\s )(?P<bare>\d{{2,5}})"
)
_ANNOUNCED = re.compile(rf"(?: {_URL} | {_SAID} )(?!\.?\d)", re.VERBOSE)
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Announcement:
    """An address on this machine. ``path`` has the query: some servers put a token there."""

    port: int
    path: str = "/"
    is_secure: bool = False


class PortSniffer:
    """Reads a server's output piece by piece; ``found`` are the addresses so far, in order.

    Of several for one port, the first one counts.
    """

    def __init__(self) -> None:
        self._found: dict[int, Announcement] = {}
        self._carry = ""

    @property
    def found(self) -> list[Announcement]:
        return list(self._found.values())

    def feed(self, text: str) -> list[Announcement]:
        """Return the addresses that this piece announces, in order."""
        text = _ANSI.sub("", self._carry + text)
        told, read_to = [], 0
        for match in _ANNOUNCED.finditer(text):
            if match.end() == len(text):
                break  # an address at the very end may continue in the next piece
            read_to = match.end()
            if one := _announcement(match):
                told.append(one)
                if len(self._found) < MOST:
                    self._found.setdefault(one.port, one)
        self._carry = text[read_to:][-CARRY:]
        return told


def _announcement(match: re.Match[str]) -> Announcement | None:
    scheme = match["scheme"] or "http"
    port = int(match["port"] or match["bare"] or _USUAL_PORTS[scheme])
    # A sentence may go on after the address.
    path = (match["path"] or "").rstrip(".,;:!")
    path = f"/{path.lstrip('/')}"  # two slashes would name another host
    return Announcement(port, path, scheme == "https") if 0 < port < 65536 else None
