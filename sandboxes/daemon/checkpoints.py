"""Keeps the WAL of a sandbox's journal short, without making tokens wait for the disk.

SQLite's own checkpoints are switched off: some commit would have to wait for the sync of the
whole file, and a token in every hundred would come late.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3

from sandboxes.daemon.journal import Journal

logger = logging.getLogger(__name__)

EVERY = 8 * 1024 * 1024  # bytes by which the WAL grows from one checkpoint to the next
TOO_LONG = 16 * 1024 * 1024  # bytes of WAL for which the writer is held
PAGE = 4096


class Checkpoints:
    """Runs passive checkpoints, one at a time, on a thread and a connection of their own.

    A passive one never makes the writer wait, and never catches up with a writer that does not
    rest. When the WAL is too long, ``look`` makes one itself, while nothing is being written.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._wal = journal.path.with_name(f"{journal.path.name}-wal")
        self._running: asyncio.Future[None] | None = None
        self._size = 0  # of the WAL when the last checkpoint began
        self._is_behind = False

    def look(self) -> None:
        """Begin a checkpoint if one is due; call it after whatever writes the journal.

        It goes by the length of the WAL: a commit of a few bytes writes whole pages of it.
        """
        if self._is_behind:
            self._is_behind = False
            self._journal.checkpoint()
        try:
            size = self._wal.stat().st_size
        except OSError:  # somebody removed it; there is nothing to move
            return
        self._size = min(self._size, size)  # it may just have become shorter
        if size - self._size >= EVERY and (self._running is None or self._running.done()):
            self._size = size
            loop = asyncio.get_running_loop()
            self._running = loop.run_in_executor(None, self._checkpoint)

    async def settled(self) -> None:
        """Wait for the checkpoint that is running, if any."""
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
            # The WAL only grows until the next one: nothing is lost.
            logger.warning("The journal's WAL could not be checkpointed.", exc_info=True)
