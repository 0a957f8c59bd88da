"""Moves the journal's WAL into its file, on a thread and a connection of its own."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path

log = logging.getLogger(__name__)

EVERY = 8 * 1024 * 1024  # bytes of events


class Checkpoints:
    """Runs one checkpoint at a time; a passive one, which never makes the writer wait."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._running: asyncio.Future[None] | None = None

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
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            finally:
                db.close()
        except sqlite3.Error:
            # The WAL only grows until the next one: nothing is lost.
            log.warning("The journal could not be checkpointed.", exc_info=True)
