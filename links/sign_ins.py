"""Closes the sockets of machines that were signed out.

It polls the rows every few seconds rather than being notified of a revocation: so it covers each
way to be signed out (the machine itself, its person, an admin, a deactivated person), in any
process.
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

LOOK_EVERY: Final = 3.0  # seconds, so that a revoked machine is disconnected within five
NOTE_EVERY: Final = 60.0  # seconds: the precision of a token's last use while a tunnel is open


class SignIns:
    """The sign-in that each open connection of this process depends on."""

    def __init__(self) -> None:
        self._sign_ins: dict[Connection, SignIn] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._checking: asyncio.Task[None] | None = None
        self._noted = time.monotonic()

    def add(self, connection: Connection, sign_in: SignIn) -> None:
        self._sign_ins[connection] = sign_in
        self._schedule()

    def remove(self, connection: Connection) -> None:
        self._sign_ins.pop(connection, None)

    async def look(self) -> None:
        """Close every connection whose sign-in has ended; none if the database is unavailable."""
        held = dict(self._sign_ins)
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

    def _schedule(self) -> None:
        if self._sign_ins and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY, self._begin)

    def _begin(self) -> None:
        self._checking = asyncio.get_running_loop().create_task(self.look())
        self._checking.add_done_callback(self._end)

    def _end(self, looking: asyncio.Task[None]) -> None:
        self._timer = self._checking = None
        if looking.cancelled():
            return  # the server is stopping
        if exc := looking.exception():
            logger.error(
                "links: checking sign-ins failed; retrying in %.0f s", LOOK_EVERY, exc_info=exc
            )
        self._schedule()
