"""Server-sent events to those who look on: named, without numbers, and never waited for."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

SSE_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
QUEUE_LIMIT = 8 * 1024 * 1024  # bytes that a slow reader may lag behind
PING_EVERY = 15.0
T = TypeVar("T")
PING = b": ping\n\n"


class Closes(Protocol):
    def close(self) -> None: ...


async def left(receive: Receive) -> None:
    """Return when the client, whose request was read whole, has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def close_when_left(receive: Receive, reader: Closes) -> None:
    """End the reading when the client has gone; what is read goes on."""
    await left(receive)
    reader.close()


async def unless_left(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what ``work`` gives; end it, and return ``None``, when the client has gone first."""
    working = asyncio.ensure_future(work)
    going = asyncio.ensure_future(left(receive))
    try:
        await asyncio.wait({working, going}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        return None
    finally:
        going.cancel()
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


def event(name: str, data: Any) -> bytes:
    """Return one event in the wire's form."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode(
        errors="replace"
    )


class Feed:
    """What one reader has still to get. One that lags too far behind is let go."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._is_closed = False
        self._bell = asyncio.Event()

    def put(self, name: str, data: Any) -> None:
        """Add an event; nothing when the feed is closed."""
        self.put_raw(event(name, data))

    def put_raw(self, block: bytes) -> None:
        """Add an event that is in the wire's form already."""
        if self._is_closed:
            return
        self._waiting.append(block)
        self._size += len(block)
        if self._size > QUEUE_LIMIT:
            self._waiting.clear()
            self.close()
        self._bell.set()

    def close(self) -> None:
        """Let the reader have what is there, and then the end."""
        self._is_closed = True
        self._bell.set()

    async def next(self) -> bytes:
        """Return what is there, or a comment when nothing happens; b"" at the end."""
        if not self._waiting and not self._is_closed:
            self._bell.clear()
            try:
                async with asyncio.timeout(PING_EVERY):
                    await self._bell.wait()
            except TimeoutError:
                return PING
        block = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        return block


class FeedResponse(Response):
    """A feed as an answer; ``when_left`` is called at its end, however it ends."""

    def __init__(self, feed: Feed, when_left: Callable[[Feed], None]) -> None:
        self._feed, self._when_left = feed, when_left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(close_when_left(receive, self._feed))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": SSE_HEADERS})
            while block := await self._feed.next():
                await send({"type": "http.response.body", "body": block, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watching.cancel()
            self._when_left(self._feed)
