"""Readers of streams: how long one is waited for, and what ends with it.

A server holds an answer back while the connection's buffer is full, without end. Behind a stream
stand a listener and, where it is proxied, another connection: who takes nothing for two
minutes is let go, and comes back with the number it has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, Final

from django.http import StreamingHttpResponse

from mesh.lib.asgi import App, Message, Receive, Send

logger = logging.getLogger(__name__)

# Seconds, of one piece. The server's own protocol looks whether a reader takes anything at all
# (``mesh/write_watch.py``); a piece may stand behind what a proxy's buffers hold.
WITHIN: Final = 120.0
PIECE: Final = 64 * 1024  # bytes: a kB a second is fast enough, however long an event is


class TooSlow(Exception):
    """The reader has taken nothing for too long."""


def impatient(app: App, within: float = WITHIN) -> App:
    """Return ``app``, whose answers are broken off when a piece is not taken ``within`` seconds."""

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
            # The server finds the answer unfinished, and closes the connection.
            logger.info("A reader of %s took nothing for %s s.", scope["path"], within)

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
    """An answer whose generator ends with its reader; Django's own leaves that to the collector
    of garbage when the reader goes while a piece is being sent."""

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], *, headers: Mapping[str, str], status: int = 200
    ) -> None:
        super().__init__(pieces, status=status, headers=dict(headers))
        self._pieces = pieces

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        return self._pieces
