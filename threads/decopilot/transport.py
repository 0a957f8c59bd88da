"""The model libraries' own httpx behind the egress guard. Loaded along with them: ``library``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import httpx2

from mesh.egress import Guard, Sender
from mesh.http_client import DEFAULT, Limits, pieces_of

CONNECT_LIMIT: Final = 15.0  # seconds


class Bounded(httpx2.Response):
    """``mesh.http_client.Bounded`` for the model libraries."""

    limits: Limits

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncGenerator[bytes, None]:
        if self.is_stream_consumed:
            pieces = super().aiter_bytes(chunk_size)
        else:
            pieces = pieces_of(self, self.limits, httpx2)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece


class Transport(httpx2.AsyncBaseTransport):
    """``mesh.egress.GuardedTransport`` for the model libraries."""

    def __init__(self, guard: Guard, *, limits: Limits = DEFAULT) -> None:
        self._sender = Sender(guard, httpx2, kind=Bounded, limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response: httpx2.Response = await self._sender.send(request)
        return response

    async def aclose(self) -> None:
        await self._sender.close()


def guarded_client(
    guard: Guard, *, silence: float, limits: Limits = DEFAULT, **settings: Any
) -> httpx2.AsyncClient:
    """Return a client that sends every request through the guard and limits every response.

    ``silence``: seconds without a byte until a request times out.
    """
    return httpx2.AsyncClient(
        transport=Transport(guard, limits=limits),
        trust_env=False,
        timeout=httpx2.Timeout(silence, connect=CONNECT_LIMIT),
        **settings,
    )
