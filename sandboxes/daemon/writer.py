"""Numbers events, stores them, and only then publishes them: the one writer of run streams."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import dataclass, field

from mesh.lib.errors import AppError
from sandboxes.daemon.checkpoints import Checkpoints
from sandboxes.daemon.disk import broken_by
from sandboxes.daemon.frames import DONE, Body, Row, part_of_delta, to_json
from sandboxes.daemon.journal import Journal, JournalFull
from sandboxes.daemon.streams import RunStream

logger = logging.getLogger(__name__)

JOIN_LIMIT = 64 * 1024  # characters: a joined delta stays a small event


@dataclass(slots=True)
class _Pending:
    """One event to be stored; ``more`` are the deltas that directly follow it."""

    stream: RunStream
    body: Body
    part: tuple[str, str] | None
    more: list[str] = field(default_factory=list)
    size: int = 0

    def joined(self) -> Body:
        if not self.more:
            return self.body
        chunk = self.body["chunk"]
        delta = "".join([chunk["delta"], *self.more])
        return {**self.body, "chunk": {**chunk, "delta": delta}}


class Writer:
    """Collects the events of all runs in one turn of the event loop, and commits them together.

    The busier the sandbox, the more events collect while the previous commit is written, and
    adjacent deltas of one part become one event. No event waits for more to come.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.checkpoints = Checkpoints(journal)
        self._pending: list[_Pending] = []
        self._last: dict[int, _Pending] = {}  # the newest pending event of each run
        self._scheduled: asyncio.Handle | None = None

    def put(self, stream: RunStream, body: Body) -> None:
        """Add an event to a run; dropped when the run has ended."""
        if stream.is_closing:
            return
        part = part_of_delta(body)
        last = self._last.get(stream.key)
        if part is not None and last is not None and last.part == part and last.size < JOIN_LIMIT:
            delta = body["chunk"]["delta"]
            last.more.append(delta)
            last.size += len(delta)
            return
        size = len(body["chunk"]["delta"]) if part is not None else 0
        entry = _Pending(stream, body, part, size=size)
        self._pending.append(entry)
        self._last[stream.key] = entry
        if self._scheduled is None:
            self._scheduled = asyncio.get_running_loop().call_soon(self.flush)

    def finish(self, stream: RunStream) -> None:
        """Add the run's last event, store everything pending, and mark the run as done."""
        if stream.is_closing:
            return
        self.put(stream, DONE)
        stream.is_closing = True
        self.flush()

    def flush(self) -> None:
        """Store what is pending in one commit, then wake the readers."""
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        pending, self._pending, self._last = self._pending, [], {}
        if not pending:
            return
        try:
            self._store(pending)
        except JournalFull as exc:
            self._store_without_the_greedy(pending, exc)
        except sqlite3.Error as exc:
            logger.error(
                "writing the journal failed, ending the runs whose events are lost: %s", exc
            )
            for stream, mine in _by_stream(pending):
                _lose(stream, mine, broken_by(exc))

    def _store(self, pending: list[_Pending], *, force: bool = False) -> None:
        next_n: dict[int, int] = {}
        rows: list[Row] = []
        shown: list[tuple[RunStream, int, Body, bytes]] = []
        for entry in pending:
            stream, body = entry.stream, entry.joined()
            n = next_n[stream.key] = next_n.get(stream.key, stream.last_n) + 1
            raw = to_json(body)
            rows.append(Row(stream.key, n, raw))
            shown.append((stream, n, body, raw))
        self._journal.append(rows, force=force)
        for stream, n, body, raw in shown:
            stream.stored(n, body, raw)
        for stream in {entry.stream for entry in pending}:
            if stream.is_done:
                self._note_done(stream)
            stream.wake()
        self.checkpoints.look()

    def _note_done(self, stream: RunStream) -> None:
        try:
            self._journal.finish_run(stream.key, done_n=stream.last_n)
        except sqlite3.Error as exc:  # the last event says it too: whoever asks next finds that
            logger.warning("run %s: marking it as done failed, continuing: %s", stream.run_id, exc)

    def _store_without_the_greedy(self, pending: list[_Pending], error: JournalFull) -> None:
        """Store run by run what still fits; a run that no longer fits is ended with ``error``."""
        for stream, mine in _by_stream(pending):
            try:
                # How a run ended is stored even in a full journal.
                self._store(mine, force=stream.is_closing or stream.is_forced)
            except JournalFull:
                _lose(stream, mine, error)
            except sqlite3.Error as exc:
                _lose(stream, mine, broken_by(exc))

    async def close(self) -> None:
        """Store what is pending, and wait for a running checkpoint."""
        self.flush()
        await self.checkpoints.settled()


def _by_stream(pending: list[_Pending]) -> list[tuple[RunStream, list[_Pending]]]:
    streams = dict.fromkeys(entry.stream for entry in pending)
    return [(one, [entry for entry in pending if entry.stream is one]) for one in streams]


def _lose(stream: RunStream, pending: list[_Pending], error: AppError) -> None:
    """Handle events that can't be stored: final ones are published, for others the run ends."""
    if stream.is_closing:
        _publish_unwritten(stream, pending)
    elif stream.on_broken is not None:
        stream.on_broken(error)


def _publish_unwritten(stream: RunStream, pending: list[_Pending]) -> None:
    """Publish the final events of a run, which the disk does not take, from memory.

    The server is waiting for them, and stores them itself. Without, the run would be at work for
    as long as the disk is full.
    """
    for entry in pending:
        body, n = entry.joined(), stream.last_n + 1
        raw = to_json(body)
        stream.unwritten.append(Row(stream.key, n, raw))
        stream.stored(n, body, raw)
    stream.wake()
