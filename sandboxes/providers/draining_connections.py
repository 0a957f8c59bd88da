"""Connections that are closed once their last response has been read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx


class DrainingTransport(httpx.AsyncBaseTransport):
    """Sends through ``inner``; after ``drain``, closes it once its last response has been read.

    A run's stream may still be open when the address of its sandbox is looked up again.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self._open = 0  # requests and responses in progress
        self._is_retired = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._open += 1
        try:
            answer = await self._inner.handle_async_request(request)
        except BaseException:
            await self._leave()
            raise
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        answer.stream = _Counted(answer.stream, self._leave)
        return answer

    async def drain(self) -> None:
        """Close the connections: now, or once the last response was read. Safe to repeat."""
        self._is_retired = True
        await self._close_unused()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _leave(self) -> None:
        self._open -= 1
        await self._close_unused()

    async def _close_unused(self) -> None:
        if self._is_retired and not self._open:
            await self._inner.aclose()


class _Counted(httpx.AsyncByteStream):
    """A response's body that calls ``leave`` once when it is closed."""

    def __init__(self, inner: httpx.AsyncByteStream, leave: Callable[[], Awaitable[None]]) -> None:
        self._inner, self._leave = inner, leave
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            yield piece

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self._inner.aclose()
        finally:
            await self._leave()
