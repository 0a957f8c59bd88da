"""The numbered events of one run, and their readers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from mesh.lib.errors import AppError
from sandboxes.daemon.frames import PING, Body, Row, frame
from sandboxes.daemon.journal import Journal, RunRow

TAIL_BYTES = 512 * 1024  # of the newest events in memory, so that a live reader needs no query
BLOCK_BYTES = 256 * 1024  # handed to a reader in one block
PING_EVERY = 15.0


class RunStream:
    """One attempt of a run as its readers see it: stored events, then live ones.

    Only ``Writer`` adds events. A reader holds a cursor, the number of the last event it has, so
    it skips and repeats nothing, however often it reconnects.
    """

    def __init__(self, journal: Journal, row: RunRow) -> None:
        self.key, self.run_id, self.fence = row.key, row.run_id, row.fence
        self.last_n = row.last_n
        self.is_done = row.is_done
        self.is_closing = row.is_done  # the done event is pending: nothing may follow it
        self.is_forced = False  # the final events are stored past the journal's limit
        self.unwritten: list[Row] = []  # final events that the disk has not taken yet
        self.on_broken: Callable[[AppError], None] | None = None
        self._journal = journal
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._readers: set[Reader] = set()

    def stored(self, n: int, body: Body, raw: bytes) -> None:
        """Publish the event ``n``, which the journal now has."""
        self.last_n = n
        self.is_done = body.get("type") == "done"
        framed = frame(n, raw)
        self._tail.append(framed)
        self._tail_bytes += len(framed)
        # What is not on the disk stays in memory.
        while self._tail_bytes > TAIL_BYTES and len(self._tail) > max(1, len(self.unwritten)):
            self._tail_bytes -= len(self._tail.popleft())

    def wake(self) -> None:
        """Notify the readers of new events."""
        for reader in self._readers:
            reader.wake()

    def read(self, after: int) -> tuple[bytes, int]:
        """Return a block of the frames after number ``after``, and the new cursor."""
        first = self.last_n - len(self._tail) + 1
        if after + 1 < first:
            rows = self._journal.read(self.key, after=after)
            return b"".join(frame(n, raw) for n, raw in rows), rows[-1][0] if rows else after
        block: list[bytes] = []
        size = 0
        start = after + 1 - first
        for index in range(start, len(self._tail)):
            block.append(self._tail[index])
            size += len(block[-1])
            if size >= BLOCK_BYTES:
                break
        return b"".join(block), after + len(block)

    def reader(self, after: int) -> Reader:
        """Return a reader that starts after number ``after``."""
        return Reader(self, after)

    def attach(self, reader: Reader) -> None:
        self._readers.add(reader)

    def detach(self, reader: Reader) -> None:
        self._readers.discard(reader)


class Reader:
    """Reads a stream block by block; enter it with ``async with``."""

    def __init__(self, stream: RunStream, after: int) -> None:
        self._stream = stream
        self._cursor = after
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None
        self._closed = False
        self._last_sent = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._ping_due = False

    async def __aenter__(self) -> Reader:
        self._stream.attach(self)
        self._timer = self._loop.call_later(PING_EVERY, self._tick)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stream.detach(self)
        if self._timer is not None:
            self._timer.cancel()

    def wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def close(self) -> None:
        """Stop reading: the client has disconnected."""
        self._closed = True
        self.wake()

    async def next(self) -> bytes:
        """Return the next block of frames, a comment after a silence, or b"" at the end."""
        while not self._closed:
            block, self._cursor = self._stream.read(self._cursor)
            if block:
                self._last_sent = self._loop.time()
                return block
            if self._stream.is_done:
                return b""
            if self._ping_due:
                self._ping_due = False
                return PING
            self._waiting = self._loop.create_future()
            await self._waiting
        return b""

    def _tick(self) -> None:
        # One timer that checks the past is cheaper than one that each event moves.
        quiet = self._loop.time() - self._last_sent
        if quiet >= PING_EVERY:
            self._ping_due, self._last_sent, quiet = True, self._loop.time(), 0.0
            self.wake()
        self._timer = self._loop.call_later(PING_EVERY - quiet, self._tick)
