"""Keeps the WAL of the server's SQLite database short, however many connections write to it.

SQLite's automatic checkpoints are switched off (``wal_autocheckpoint=0``): they run in whichever
commit makes the WAL too long, and would delay a token by the sync of the whole file. They also
give up if a reader is in the way: with overlapping readers, the WAL would grow without limit.

So checkpoints run here, on their own connection. A passive one blocks nobody. When passive ones
do not keep up, a RESTART checkpoint blocks all writers, also those of other processes, until the
last reader has finished with the WAL; the next commit then overwrites it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 1.0  # seconds
SHORT: Final = 2 * 1024 * 1024  # bytes of WAL that need no checkpoint
TOO_LONG: Final = 16 * 1024 * 1024  # bytes of WAL for which writers are blocked
HOLD: Final = 0.25  # seconds that writers are blocked at most
HOLD_AGAIN: Final = 10.0  # seconds until the next attempt, after a reader that took longer;
# sooner if the WAL has grown by ``TOO_LONG`` again
PAGE: Final = 4096
MEGABYTE: Final = 1024 * 1024


class WalKeeper:
    """Keeps the WAL of the database at ``path`` short while the event loop runs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._timer: asyncio.TimerHandle | None = None
        self._running: asyncio.Future[None] | None = None
        self._seen = 0  # the WAL's modification time at the last checkpoint
        self._hold_from = 0.0  # writers are not blocked before this time,
        self._hold_above = 0  # nor while the WAL is shorter than this, in bytes

    def start(self) -> None:
        """Start to check the WAL every second."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def stop(self) -> None:
        """Stop checking; a running checkpoint finishes on its own."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        try:
            wal = self._wal.stat()
        except FileNotFoundError:
            wal = None
        is_running = self._running is not None and not self._running.done()
        # The file never shrinks: there is something to move only if it was written since.
        if wal and wal.st_size > SHORT and wal.st_mtime_ns != self._seen and not is_running:
            self._seen = wal.st_mtime_ns
            loop = asyncio.get_running_loop()
            self._running = loop.run_in_executor(None, self._checkpoint)
        self.start()

    def _checkpoint(self) -> None:
        try:
            db = sqlite3.connect(self._path, timeout=HOLD)
            try:
                # Moves nearly everything, so that writers are blocked only for the rest.
                _, pages, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                size = pages * PAGE
                is_time = time.monotonic() >= self._hold_from or size > self._hold_above
                if size > TOO_LONG and is_time:
                    self._restart(db, size)
            finally:
                db.close()
        except sqlite3.Error:
            logger.warning(
                "SQLite checkpoint failed; will retry in %s s", LOOK_EVERY, exc_info=True
            )

    def _restart(self, db: sqlite3.Connection, size: int) -> None:
        is_busy, _, _ = db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        if is_busy:
            self._hold_from = time.monotonic() + HOLD_AGAIN
            self._hold_above = size + TOO_LONG
            logger.warning(
                "SQLite's WAL has %d MB and can't be overwritten while a transaction is open;"
                " will retry in %d s, or when it has grown by %d MB",
                size // MEGABYTE,
                HOLD_AGAIN,
                TOO_LONG // MEGABYTE,
            )
