"""Finds the ports that a dev server announces in its output. Pure."""

from __future__ import annotations

import re

CARRY = 200  # characters kept, for an announcement that arrives in two pieces

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_HOST = r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])"
# Only lines that announce a server: a database's address is no dev server.
_SAID = re.compile(
    rf"""
    (?: Local: | [Ll]istening\s(?:on|at) | [Rr]unning\s(?:on|at) | [Ss]erving\sHTTP\son
      | [Ss]tarted\s(?:on|at) | development\sserver\sat | [Rr]eady\s(?:on|at) )
    [^\n]{{0,60}}?
    (?: {_HOST}:(\d{{2,5}}) | \bport:?\s(\d{{2,5}}) )
    (?!\d)
    """,
    re.VERBOSE,
)


class PortSniffer:
    """Reads a server's output piece by piece; ``port`` is the first that it announced."""

    def __init__(self) -> None:
        self.port: int | None = None
        self._carry = ""

    def feed(self, text: str) -> list[int]:
        """Return the ports that this piece announces, in order."""
        text = _ANSI.sub("", self._carry + text)
        ports, read_to = [], 0
        for found in _SAID.finditer(text):
            if found.end() == len(text):
                break  # a number at the very end may continue in the next piece
            read_to = found.end()
            port = int(found[1] or found[2])
            if 0 < port < 65536:
                ports.append(port)
        self._carry = text[read_to:][-CARRY:]
        if self.port is None and ports:
            self.port = ports[0]
        return ports
