"""Splits the bytes of a program's stdout into lines, without any I/O."""

from __future__ import annotations

LINE_LIMIT = 64 * 1024 * 1024  # one line of a CLI can be a whole file


class LineTooLong(Exception):
    """A line is longer than the limit; the bytes after it can't be trusted to be a line."""


class LineSplitter:
    """Collects chunks and returns whole lines, without their line feed."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that ``chunk`` completes; empty lines are left out.

        Raises:
            LineTooLong: the current line exceeds the limit.
        """
        *whole, rest = chunk.split(b"\n")
        lines = []
        if whole:
            # Joined only when a line ends, so that a line of many chunks is copied once.
            whole[0] = b"".join([*self._parts, whole[0]])
            self._parts, self._size = [], 0
            lines = [line for raw in whole if (line := raw.removesuffix(b"\r"))]
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
        if self._size > self._limit or any(len(line) > self._limit for line in lines):
            raise LineTooLong
        return lines

    def rest(self) -> bytes:
        """Return the bytes after the last line feed, and drop them."""
        rest = b"".join(self._parts)
        self._parts, self._size = [], 0
        return rest
