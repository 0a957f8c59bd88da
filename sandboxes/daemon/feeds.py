"""Named server-sent events without numbers; a slow reader never makes the sender wait."""

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


async def disconnected(receive: Receive) -> None:
    """Return when the client, whose whole request was read, has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def close_on_disconnect(receive: Receive, reader: Closes) -> None:
    """Close ``reader`` when the client disconnects; what it reads from continues."""
    await disconnected(receive)
    reader.close()


async def unless_disconnected(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of ``work``, or cancel it and return ``None`` if the client disconnects."""
    working = asyncio.ensure_future(work)
    going = asyncio.ensure_future(disconnected(receive))
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
    """The events that one reader has still to get. A reader that lags too far is closed."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._is_closed = False
        self._changed = asyncio.Event()

    def put(self, name: str, data: Any) -> None:
        """Add an event; ignored when the feed is closed."""
        self.put_raw(event(name, data))

    def put_raw(self, block: bytes) -> None:
        """Add an event that is already encoded."""
        if self._is_closed:
            return
        self._waiting.append(block)
        self._size += len(block)
        if self._size > QUEUE_LIMIT:
            self._waiting.clear()
            self.close()
        self._changed.set()

    def close(self) -> None:
        """End the feed once the reader has taken what is pending."""
        self._is_closed = True
        self._changed.set()

    async def next(self) -> bytes:
        """Return the pending events, a comment after a silence, or b"" at the end."""
        if not self._waiting and not self._is_closed:
            self._changed.clear()
            try:
                async with asyncio.timeout(PING_EVERY):
                    await self._changed.wait()
            except TimeoutError:
                return PING
        block = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        return block


class FeedResponse(Response):
    """Responds with a feed; calls ``on_close`` when the response ends, however it ends."""

    def __init__(self, feed: Feed, on_close: Callable[[Feed], None]) -> None:
        self._feed, self._when_left = feed, on_close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(close_on_disconnect(receive, self._feed))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": SSE_HEADERS})
            while block := await self._feed.next():
                await send({"type": "http.response.body", "body": block, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watching.cancel()
            self._when_left(self._feed)
