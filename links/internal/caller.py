"""Calling a laptop through the process that holds its socket."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final
from uuid import UUID
from weakref import WeakKeyDictionary

import httpx

from links.connection import CHECK_WITHIN, FIRST_ANSWER
from links.errors import LinkOffline
from links.internal.app import HOP, PASSES_STREAMS
from links.internal.signing import signed_headers
from links.transport import LAPTOP, is_streamed, target_of_request
from links.wire import streamed
from mesh.http_client import BoundedTransport, bounded_client
from mesh.lib.targets import checked_target

KEPT: Final = 1000  # cached clients; a process calls few of the laptops that others hold
SLOWEST: Final = 4 * 1024  # bytes per second of the slowest line to wait for
_HOP_BY_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "upgrade", "host"}


class OwnerTransport(httpx.AsyncBaseTransport):
    """Sends a laptop's requests to the process that holds it; answers stream."""

    def __init__(self, link_id: UUID, wire: httpx.AsyncBaseTransport) -> None:
        self._prefix = f"/links/{link_id}/to"
        self._wire = wire

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = checked_target(self._prefix + target_of_request(request))
        # It is signed, so it is sent whole, unless its head alone is.
        body = None if is_streamed(request) else await request.aread()
        kept = [pair for pair in request.headers.multi_items() if pair[0] not in _HOP_BY_HOP]
        proof = signed_headers(method=request.method, target=target, body=body)
        outer = httpx.Request(
            request.method,
            httpx.URL("http://owner").copy_with(raw_path=target.encode("ascii")),
            headers=[*kept, *proof.items()],
            content=request.stream if body is None else body,
            extensions={
                **request.extensions,
                "target": target.encode("ascii"),
                "timeout": _with_time_for(body or b"", request.extensions.get("timeout", {})),
            },
        )
        answer = await self._wire.handle_async_request(outer)
        if hop := answer.headers.get(HOP):
            await answer.aclose()
            raise httpx.ConnectError(
                f"The server process that held the machine can't reach it ({hop}).", request=request
            )
        if PASSES_STREAMS not in answer.headers:  # the other process is of an older version
            answer.headers.pop(streamed.HEADER, None)
        return answer


def _with_time_for(body: bytes, limits: dict[str, float | None]) -> dict[str, float | None]:
    """Return ``limits`` plus the time that ``body`` may take behind the hop.

    Only the other process sees its progress, and gives up when there is none.
    """
    read = limits.get("read")
    return limits if read is None else {**limits, "read": read + len(body) / SLOWEST}


class Owners:
    """The connections of one event loop to other processes, and the clients on them."""

    def __init__(self) -> None:
        self._wires: dict[str, httpx.AsyncHTTPTransport] = {}
        self._clients: OrderedDict[tuple[UUID, str], httpx.AsyncClient] = OrderedDict()

    def client(self, link_id: UUID, address: str) -> httpx.AsyncClient:
        """Return the client whose requests reach the laptop through the process at ``address``."""
        client = self._clients.get((link_id, address))
        if client is None:
            client = bounded_client(
                OwnerTransport(link_id, self._wire(address)),
                limits=LAPTOP,
                base_url="http://laptop",
                timeout=httpx.Timeout(FIRST_ANSWER),
            )
            self._clients[link_id, address] = client
        self._clients.move_to_end((link_id, address))
        if len(self._clients) > KEPT:
            self._clients.popitem(last=False)
        return client

    async def check(self, link_id: UUID, address: str) -> float | None:
        """Have the process at ``address`` check the laptop; return the round-trip time in seconds.

        Raises:
            LinkOffline: that process is unreachable, or no longer holds the laptop.
        """
        target = f"/links/{link_id}/check"
        request = httpx.Request(
            "POST",
            f"http://owner{target}",
            headers=signed_headers(method="POST", target=target, body=b""),
            extensions={"timeout": httpx.Timeout(CHECK_WITHIN + 0.4).as_dict()},
        )
        try:
            answer = await BoundedTransport(self._wire(address)).handle_async_request(request)
            await answer.aread()
        except httpx.TransportError as exc:
            raise LinkOffline from exc
        if answer.status_code != 200:
            raise LinkOffline
        seconds: float | None = answer.json()["seconds"]
        return seconds

    def _wire(self, address: str) -> httpx.AsyncHTTPTransport:
        wire = self._wires.get(address)
        if wire is None:
            scheme, _, rest = address.partition(":")
            wire = self._wires[address] = (
                httpx.AsyncHTTPTransport(uds=rest, trust_env=False)
                if scheme == "unix"
                else _TcpTransport(address)
            )
        return wire


class _TcpTransport(httpx.AsyncHTTPTransport):
    """Sends requests for ``owner`` to a host and port."""

    def __init__(self, address: str) -> None:
        super().__init__(trust_env=False)
        self._address = httpx.URL(address)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = self._address.copy_with(raw_path=request.url.raw_path)
        return await super().handle_async_request(request)


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Owners] = WeakKeyDictionary()


def owners() -> Owners:
    """Return the ``Owners`` of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _of_loop:
        _of_loop[loop] = Owners()
    return _of_loop[loop]
