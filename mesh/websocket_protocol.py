"""uvicorn's WebSocket protocol with a limit for clients that stop reading.

uvicorn waits without limit for a client that reads nothing. The task that wrote last then waits,
too, and so does the close frame.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from mesh.lib.asgi import LONG_MESSAGES
from mesh.write_watch import WriteWatch, keep_little_unsent

WRITE_SILENCE: Final = 60.0  # seconds in which a client must read some of what waits for it


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """Aborts a connection whose client reads nothing, however large the message is.

    An app that expects longer messages than the server's usual ones calls ``allow`` of the
    extension ``LONG_MESSAGES`` with the most bytes of one, before it accepts.
    """

    write_silence: ClassVar[float] = WRITE_SILENCE
    _watch: WriteWatch | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        keep_little_unsent(transport)
        self._watch = WriteWatch(self.transport, within=self.write_silence)

    async def run_asgi(self) -> None:
        # The first message can't have come yet: it follows the handshake, which the app completes.
        self.scope["extensions"][LONG_MESSAGES] = {"allow": self._allow}
        await super().run_asgi()

    def _allow(self, size: int) -> None:
        self.conn.max_message_size = size

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._watch is not None:
            self._watch.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._watch is not None:
            self._watch.stop()
