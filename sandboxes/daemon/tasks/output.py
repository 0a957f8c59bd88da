"""The output of a task: the end of it, in memory, in whole characters."""

from __future__ import annotations

import codecs
import re
from collections import deque

RING_LIMIT = 256 * 1024  # characters kept of each stream
LAST_LINES, LINE_LIMIT = 20, 300  # of the output shown with a failure

_SIGNS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\S\n]*\r")


class Ring:
    """Pieces of text; the oldest are dropped when there are too many."""

    def __init__(self, limit: int = RING_LIMIT) -> None:
        self._limit = limit
        self._pieces: deque[tuple[int, str]] = deque()
        self._size = 0
        self.is_cut = False

    def add(self, number: int, text: str) -> None:
        """Add piece ``number``; of one that does not fit, its end."""
        if len(text) > self._limit:
            text, self.is_cut = text[-self._limit :], True
        self._pieces.append((number, text))
        self._size += len(text)
        while self._size > self._limit:
            self._size -= len(self._pieces.popleft()[1])
            self.is_cut = True

    def pieces(self) -> list[tuple[int, str]]:
        return list(self._pieces)

    @property
    def text(self) -> str:
        return "".join(piece for _, piece in self._pieces)


class Output:
    """Two streams, ``stdout`` and ``stderr``, each with a ring and a decoder of its own."""

    def __init__(self, limit: int = RING_LIMIT) -> None:
        self.rings = {name: Ring(limit) for name in ("stdout", "stderr")}
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {name: make(errors="replace") for name in self.rings}
        self._count = 0

    def feed(self, stream: str, data: bytes, *, last: bool = False) -> str:
        """Add bytes of a stream; return the characters that are now complete."""
        text = self._decoders[stream].decode(data, last)
        if text:
            self._count += 1
            self.rings[stream].add(self._count, text)
        return text

    def replay(self) -> list[tuple[str, str]]:
        """Return the kept output as (stream, text), in order of arrival."""
        pieces = [(n, name, text) for name, ring in self.rings.items() for n, text in ring.pieces()]
        return [(name, text) for _, name, text in sorted(pieces)]

    def last_lines(self) -> list[str]:
        """Return the last lines of the output without colours and empty lines."""
        text = _SIGNS.sub("", "".join(text for _, text in self.replay()))
        lines = [line.rstrip()[:LINE_LIMIT] for line in text.split("\n") if line.strip()]
        return lines[-LAST_LINES:]
