"""Moves the journal's WAL into its file, on a thread and a connection of its own."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path

log = logging.getLogger(__name__)

EVERY = 8 * 1024 * 1024  # bytes of events
TOO_LONG = 64 * 1024 * 1024  # bytes of WAL
PAGE = 4096


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
