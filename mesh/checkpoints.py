"""Moves a SQLite database's WAL into its file, on a thread and a connection of its own.

Where SQLite does it by itself (``wal_autocheckpoint``), some commit has to wait for the sync of
the whole file: a token in every hundred would come late.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path

log = logging.getLogger(__name__)

EVERY = 8 * 1024 * 1024  # bytes of events
TOO_LONG = 64 * 1024 * 1024  # bytes of WAL
PAGE = 4096
LOOK_EVERY = 2.0  # seconds between two looks at a WAL
SHORT = 2 * 1024 * 1024  # bytes that a WAL may have without a checkpoint


class Checkpoints:
    """Runs one checkpoint at a time; a passive one, which never makes the writer wait."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._running: asyncio.Future[None] | None = None
        # A passive checkpoint never catches up with a writer that never rests.
        self.is_behind = False

    def begin(self) -> bool:
        """Start a checkpoint unless one is going on; say whether it did."""
        if self._running is not None and not self._running.done():
            return False
        loop = asyncio.get_running_loop()
        self._running = loop.run_in_executor(None, self._checkpoint)
        return True

    async def settled(self) -> None:
        """Wait for the checkpoint that is going on, if any."""
        if self._running is not None:
            await self._running

    def _checkpoint(self) -> None:
        try:
            db = sqlite3.connect(self._path)
            try:
                _, pages, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self.is_behind = pages * PAGE > TOO_LONG
            finally:
                db.close()
        except sqlite3.Error:
            # The WAL only grows until the next one: nothing is lost.
            log.warning("The journal could not be checkpointed.", exc_info=True)


class ShortWal:
    """Keeps the WAL of a database that many connections write short, while the loop runs."""

    def __init__(self, path: Path) -> None:
        self._wal = path.with_name(f"{path.name}-wal")
        self._checkpoints = Checkpoints(path)
        self._seen = 0  # when the WAL was last written, at the last checkpoint
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look at the WAL from now on, every other second."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def stop(self) -> None:
        """Look no more; the checkpoint that is going on ends by itself."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        try:
            wal = self._wal.stat()
        except FileNotFoundError:
            wal = None
        # The file stays as long as it was: only a newer one has anything to move.
        is_due = wal and wal.st_size > SHORT and wal.st_mtime_ns != self._seen
        if wal and is_due and self._checkpoints.begin():
            self._seen = wal.st_mtime_ns
        self.start()
