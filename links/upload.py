"""A request's body that is passed on as it arrives: its length is not limited, its memory is.

ASGI has one ``receive`` for the body and for the news that the client has left, so whoever waits
for that news asks the upload, which passes it on once the body is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from links.signed_requests import read_body
from links.wire.streamed import WHOLE
from mesh.lib.asgi import Receive, Scope


class UploadBroken(Exception):
    """The client left before the body was complete: nobody may take it for whole."""


class Upload:
    """The body of one request. ``length`` is what its head declares, or ``None``."""

    def __init__(self, receive: Receive, length: int | None) -> None:
        self.length = length
        self.is_broken = False
        self.on_piece: Callable[[], None] = lambda: None  # called whenever some of it has arrived
        self._receive = receive
        self._over = asyncio.Event()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives, no faster than it is taken. To be called once.

        Raises:
            UploadBroken: the client left too early.
        """
        try:
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    self.is_broken = True
                    raise UploadBroken("the client left before its request was complete")
                self.on_piece()
                if piece := message.get("body", b""):
                    yield piece
                if not message.get("more_body"):
                    return
        finally:
            self._over.set()

    async def disconnected(self) -> None:
        """Return when the client has left. What nobody takes of the body is read and dropped."""
        await self._over.wait()
        if not self.is_broken:
            await disconnected(self._receive)


Body = bytes | Upload


async def disconnected(receive: Receive) -> None:
    """Return when the client, whose whole request was read or is not wanted, has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def body_of(scope: Scope, receive: Receive) -> Body:
    """Return a request's body: whole if its head says that it is short, else as it arrives.

    Raises:
        CancelledError: the client has disconnected.
    """
    length, is_chunked = declared_length(scope)
    if length is None and not is_chunked:
        length = 0
    if length is not None and length <= WHOLE:
        return await read_body(receive, WHOLE)
    return Upload(receive, length)


def declared_length(scope: Scope) -> tuple[int | None, bool]:
    """Return how long a request's head says its body is, and whether it is sent in chunks."""
    length, is_chunked = None, False
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and len(value) <= 18:
            length = int(value)
        elif name == b"transfer-encoding":
            is_chunked = True
    return (None, True) if is_chunked else (length, False)


async def unless_left(receive: Receive, body: Body, work: Coroutine[Any, Any, None]) -> None:
    """Run ``work``, which answers a request with ``body``; cancel it if its client leaves."""
    working = asyncio.ensure_future(work)
    gone = body.disconnected() if isinstance(body, Upload) else disconnected(receive)
    leaving = asyncio.ensure_future(gone)
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
