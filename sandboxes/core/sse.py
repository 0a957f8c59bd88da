"""Parses server-sent events from bytes that arrive in pieces of any size."""

from __future__ import annotations

from dataclasses import dataclass

EVENT_LIMIT = 64 * 1024 * 1024


class EventTooLong(Exception):
    """An event exceeds the limit; the rest of the stream can't be read."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its ``id`` line, "" without one, and its ``data`` lines joined by line feeds."""

    id: str
    data: str


class SseReader:
    """Splits a stream at its blank lines. Comments and unknown fields are ignored.

    Text is decoded one whole event at a time, so that a character split by the network is intact;
    a byte that is not UTF-8 becomes U+FFFD, and the stream continues.
    """

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0  # there is no blank line before this position

    def feed(self, piece: bytes) -> list[Event]:
        """Return the events that ``piece`` completes.

        Raises:
            EventTooLong: the current event exceeds the limit.
        """
        self._buffer += piece
        start = 0
        events = []
        while (end := self._buffer.find(b"\n\n", max(start, self._searched))) >= 0:
            if end - start > self._limit:
                raise EventTooLong
            events += _event(self._buffer[start:end])
            start = end + 2
        del self._buffer[:start]
        if len(self._buffer) > self._limit:
            raise EventTooLong
        self._searched = max(0, len(self._buffer) - 1)
        return events

    def close(self) -> list[Event]:
        """Return the rest as a last event, if it is one: its blank line may be missing."""
        events = _event(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return events


def _event(block: bytes | bytearray) -> list[Event]:
    event_id, data = "", []
    # Not splitlines(), which also splits at characters such as U+2028.
    for line in block.decode("utf-8", errors="replace").split("\n"):
        if line.startswith("data: "):
            data.append(line[6:])
        elif line.startswith("id: "):
            event_id = line[4:]
    return [Event(event_id, "\n".join(data))] if data else []
