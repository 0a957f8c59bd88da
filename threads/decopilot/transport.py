"""The model libraries' own httpx behind the egress guard. Loaded with them: see ``library``."""

from __future__ import annotations

from typing import Any, Final

import httpx2

from mesh.egress import Guard, Sender

CONNECT_LIMIT: Final = 15.0  # seconds


class Transport(httpx2.AsyncBaseTransport):
    """``mesh.egress.GuardedTransport`` for the model libraries."""

    def __init__(self, guard: Guard) -> None:
        self._sender = Sender(guard, httpx2)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response: httpx2.Response = await self._sender.send(request)
        return response

    async def aclose(self) -> None:
        await self._sender.close()


def guarded_client(guard: Guard, *, silence: float, **settings: Any) -> httpx2.AsyncClient:
    """Return a client whose every request passes the guard; ``silence`` is in seconds."""
    return httpx2.AsyncClient(
        transport=Transport(guard),
        trust_env=False,
        timeout=httpx2.Timeout(silence, connect=CONNECT_LIMIT),
        **settings,
    )
