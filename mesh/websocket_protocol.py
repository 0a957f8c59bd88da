"""uvicorn's WebSocket protocol with a limit for clients that stop reading.

uvicorn waits without limit for a client that reads nothing. The task that wrote last then waits,
too, and so does the close frame.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from mesh.write_watch import WriteWatch, keep_little_unsent

WRITE_SILENCE: Final = 60.0  # seconds in which a client must read some of what waits for it


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """Aborts a connection whose client reads nothing, however large the message is."""

    write_silence: ClassVar[float] = WRITE_SILENCE
    _watch: WriteWatch | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        keep_little_unsent(transport)
        self._watch = WriteWatch(self.transport, within=self.write_silence)

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
