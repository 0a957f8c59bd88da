"""Reads server-sent events out of bytes that arrive in pieces of any size."""

from __future__ import annotations

from dataclasses import dataclass

EVENT_LIMIT = 64 * 1024 * 1024


class EventTooLong(Exception):
    """An event exceeds the limit; the stream can't be read on."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its ``id`` line, "" without one, and its ``data`` lines joined by line feeds."""

    id: str
    data: str


class SseReader:
    """Cuts a stream at its blank lines. Comments and fields unknown to us are left out.

    Text is decoded a whole event at a time, so a character cut in two by the network is
    whole again; a byte that is no UTF-8 becomes U+FFFD, and the stream goes on.
    """

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0  # there is no blank line before this position

    def feed(self, piece: bytes) -> list[Event]:
        """Return the events that ``piece`` completes.

        Raises:
            EventTooLong: the event that is being read exceeds the limit.
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
        """Return what is left as a last event, if it is one: the blank line may be missing."""
        events = _event(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return events


def _event(block: bytes | bytearray) -> list[Event]:
    event_id, data = "", []
    # Not splitlines(): it would also cut at characters such as U+2028.
    for line in block.decode("utf-8", errors="replace").split("\n"):
        if line.startswith("data: "):
            data.append(line[6:])
        elif line.startswith("id: "):
            event_id = line[4:]
    return [Event(event_id, "\n".join(data))] if data else []
