"""Drops the sockets of machines that were signed out.

A look at the rows every few seconds, and not a message from whoever revokes: so it holds for
each way to be signed out (the machine itself, its person, an admin, a person shut out), and
whichever process did it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from links.connection import Connection
from links.core.presence import Fact
from links.wire.closing import SIGNED_OUT
from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY
from mesh.tokens import SignIn, find_ended, note_use

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 3.0  # so that a revoked machine is gone within five seconds
NOTE_EVERY: Final = 60.0  # seconds: how exactly the last use of an open tunnel's token is known


class SignIns:
    """Which sign-in each open connection of this process stands on."""

    def __init__(self) -> None:
        self._of: dict[Connection, SignIn] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        self._noted = time.monotonic()

    def add(self, connection: Connection, sign_in: SignIn) -> None:
        self._of[connection] = sign_in
        self._wait()

    def remove(self, connection: Connection) -> None:
        self._of.pop(connection, None)

    async def look(self) -> None:
        """Close every connection whose sign-in has ended; where the store is down, none."""
        held = dict(self._of)
        try:
            ended = await database_pool.rights.run(find_ended, set(held.values()))
        except DATABASE_AWAY as exc:
            logger.warning(
                "links: checking sign-ins again in %.0f s; database unavailable: %s",
                LOOK_EVERY,
                exc,
            )
            return
        if time.monotonic() - self._noted >= NOTE_EVERY:
            self._noted = time.monotonic()
            await database_pool.rights.run(note_use, set(held.values()) - ended)
        for connection, sign_in in held.items():
            if sign_in in ended:
                connection.close(SIGNED_OUT, "signed_out", Fact.SIGN_IN_ENDED)

    def _wait(self) -> None:
        if self._of and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY, self._begin)

    def _begin(self) -> None:
        self._looking = asyncio.get_running_loop().create_task(self.look())
        self._looking.add_done_callback(self._end)

    def _end(self, looking: asyncio.Task[None]) -> None:
        self._timer = self._looking = None
        if looking.cancelled():
            return  # the server is stopping
        if exc := looking.exception():
            logger.error(
                "links: checking sign-ins failed; retrying in %.0f s", LOOK_EVERY, exc_info=exc
            )
        self._wait()
