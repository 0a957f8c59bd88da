"""Readers of streams: how long the server waits for a slow one, and what it then releases.

A server waits without limit while a connection's buffer is full. Each stream holds a subscription
and, if it is proxied, another connection. So a client that reads nothing for two minutes is
disconnected; it reconnects with the last number that it received.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, Final

from django.http import StreamingHttpResponse

from mesh.lib.asgi import App, Message, Receive, Send

logger = logging.getLogger(__name__)

# Seconds for each piece. The server's own protocol checks whether a client reads anything at all
# (``mesh/write_watch.py``); a piece may have to wait until a proxy's buffers drain.
WITHIN: Final = 120.0
PIECE: Final = 64 * 1024  # bytes: a kB a second is fast enough, however long an event is


class TooSlow(Exception):
    """The client has read nothing for too long."""


def impatient(app: App, within: float = WITHIN) -> App:
    """Return ``app``, whose responses are cut off if a piece is not read ``within`` seconds."""

    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def hurried(message: Message) -> None:
            for piece in _pieces(message):
                try:
                    async with asyncio.timeout(within):
                        await send(piece)
                except TimeoutError as exc:
                    raise TooSlow from exc

        try:
            await app(scope, receive, hurried)
        except TooSlow:
            # The server sees an unfinished response and closes the connection.
            logger.info(
                "%r: closing the connection: its client read nothing for %s s",
                scope["path"],
                within,
            )

    return serve


def _pieces(message: Message) -> Iterator[Message]:
    body = message.get("body", b"")
    if len(body) <= PIECE:
        yield message
        return
    for at in range(0, len(body), PIECE):
        is_last = at + PIECE >= len(body)
        more = message.get("more_body", False) if is_last else True
        yield {**message, "body": body[at : at + PIECE], "more_body": more}


class Stream(StreamingHttpResponse):
    """A response that closes its generator when the client disconnects; Django's own leaves that
    to the garbage collector if the client disconnects while a piece is being sent."""

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], *, headers: Mapping[str, str], status: int = 200
    ) -> None:
        super().__init__(pieces, status=status, headers=dict(headers))
        self._pieces = pieces

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        return self._pieces
