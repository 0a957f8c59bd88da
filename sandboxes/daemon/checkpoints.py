"""Keeps the WAL of a sandbox's journal short without making tokens wait for the disk.

SQLite's automatic checkpoints are off: some commits would have to wait for the sync of the whole
file, and one token in a hundred would come late.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3

from sandboxes.daemon.journal import Journal

logger = logging.getLogger(__name__)

EVERY = 8 * 1024 * 1024  # bytes by which the WAL grows from one checkpoint to the next
TOO_LONG = 16 * 1024 * 1024  # bytes of WAL above which the writer waits for a checkpoint
PAGE = 4096


class Checkpoints:
    """Runs passive checkpoints, one at a time, on a worker thread with its own connection.

    A passive checkpoint never makes the writer wait, and never catches up with a writer that does
    not pause. If the WAL gets too long, ``look`` runs a full one itself, while nothing is written.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._wal = journal.path.with_name(f"{journal.path.name}-wal")
        self._running: asyncio.Future[None] | None = None
        self._size = 0  # bytes of the WAL when the last checkpoint started
        self._is_behind = False

    def look(self) -> None:
        """Start a checkpoint if one is due; to be called after each write to the journal.

        The WAL's length decides: a commit of a few bytes writes whole pages of it.
        """
        if self._is_behind:
            self._is_behind = False
            self._journal.checkpoint()
        try:
            size = self._wal.stat().st_size
        except OSError:  # removed by somebody: there is nothing to checkpoint
            return
        self._size = min(self._size, size)  # it may just have become shorter
        if size - self._size >= EVERY and (self._running is None or self._running.done()):
            self._size = size
            loop = asyncio.get_running_loop()
            self._running = loop.run_in_executor(None, self._checkpoint)

    async def settled(self) -> None:
        """Wait for the running checkpoint, if any."""
        if self._running is not None:
            await self._running

    def _checkpoint(self) -> None:
        try:
            db = sqlite3.connect(self._journal.path)
            try:
                _, pages, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self._is_behind = pages * PAGE >= TOO_LONG
            finally:
                db.close()
        except sqlite3.Error:
            # Nothing is lost: the WAL grows until the next checkpoint.
            logger.warning(
                "SQLite could not checkpoint the journal's WAL, retrying when it has grown",
                exc_info=True,
            )
