"""Requests to addresses that people or models wrote: only to public hosts, or allowed ones.

The name is resolved here, every address of it is looked at, and the connection goes to one of
the addresses that were looked at. So a name that points elsewhere a moment later gains nothing,
and each hop of a redirect, being a request of its own, is looked at again. What comes back is
taken within limits (``mesh.http_client``).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import httpx

from mesh.http_client import DEFAULT, UNASKED, Bounded, Limits, bounded, in_pieces
from mesh.lib.addresses import Address, Allowed, first_refused, is_odd_number, parse_address
from mesh.lib.errors import AppError

ADDRESS_LIMIT: Final = 300  # characters of an address
CONNECT_LIMIT: Final = 10.0  # seconds
SLOWEST: Final = 16 * 1024  # bytes a second of a request's body, before its answer is due
NONE_ALLOWED: Final = Allowed()

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class BadAddress(AppError):
    code = "bad_address"
    text = "This is no address of a server."
    hint = "Give a whole one, such as https://llm.example/v1, without a user name in it."


class AddressRefused(AppError):
    """The host is private, this machine's own, or a cloud's metadata."""

    code = "address_refused"
    text = "This address is not public, and the operator of this server has not allowed it."
    hint = "Use a public address, or have the operator name the host in MESH_PRIVATE_HOSTS."


async def resolve(host: str, port: int) -> Sequence[Address]:
    """Return every address of ``host``; none when there is no such name."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses = (parse_address(str(entry[4][0])) for entry in found)
    return [address for address in dict.fromkeys(addresses) if address is not None]


def split_address(text: str, *, allowed: Allowed = NONE_ALLOWED) -> SplitResult:
    """Return the parts of an http(s) address that a person typed.

    Only ``https``, unless the operator allowed the host: a key would go over the wire in clear.

    Raises:
        BadAddress: it is none.
        AddressRefused: the host is written as an address that may not be reached.
    """
    if len(text) > ADDRESS_LIMIT or not text.isprintable() or " " in text or "\\" in text:
        raise BadAddress
    try:
        parts = urlsplit(text)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = parts.hostname or ""
    except ValueError as exc:
        raise BadAddress from exc
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise BadAddress
    if parts.query or parts.fragment:
        raise BadAddress("A base URL has no “?” and no “#” in it.")
    if is_odd_number(host):
        raise BadAddress("Write the IP address as four numbers with dots between them.")
    address = parse_address(host)
    if address is not None and first_refused(host, [address], port, allowed):
        raise AddressRefused
    return parts


class Guard:
    """Says where a request may go; every transport of ours asks it, for every request.

    ``plain`` allows http to public hosts too, for reading what is public anyway.
    """

    def __init__(
        self, *, allowed: Allowed = NONE_ALLOWED, plain: bool = False, resolve: Resolve = resolve
    ) -> None:
        self._allowed = allowed
        self._plain = plain
        self._resolve = resolve

    async def addresses(self, scheme: str, host: str, port: int | None) -> Sequence[Address]:
        """Return the addresses to connect to, the first one first; none for an unknown name.

        Raises:
            AddressRefused: one of them may not be reached, or not in clear.
        """
        number = port or (443 if scheme == "https" else 80)
        if is_odd_number(host):
            raise AddressRefused
        literal = parse_address(host)
        found = [literal] if literal else await self._resolve(host, number)
        if first_refused(host, found, number, self._allowed) is not None:
            raise AddressRefused
        is_open = first_refused(host, found, number, NONE_ALLOWED) is None
        if found and scheme != "https" and is_open and not self._plain:
            raise AddressRefused(
                "A public address must begin with https, or the key could be read on its way."
            )
        return found


class Sender:
    """Sends requests where the guard lets them go, and keeps the connections.

    ``library`` is httpx, or one that has its classes: model libraries bring their own, which
    must not be loaded before it is used. Each wraps this as a transport of its own, and brings
    its ``kind`` of bounded answer.
    """

    def __init__(self, guard: Guard, library: Any, *, kind: Any, limits: Limits) -> None:
        self._guard = guard
        self._library = library
        self._kind = kind
        self._limits = limits
        # One for each name: a connection that was opened to one is never used for another
        # that happens to have the same address.
        self._inner: dict[str, Any] = {}

    async def send(self, request: Any) -> Any:
        """Return the bounded response of the first of the host's addresses that answers.

        Raises:
            AddressRefused: one of them may not be reached.
            The library's own errors: none could be, the host has none, or its answer has too
                many headers or does not begin in time.
        """
        try:
            # The library waits anew for each piece of a head: one a second would never end.
            async with asyncio.timeout(_time_for_head(request)):
                answer = await self._first(request)
        except TimeoutError as exc:
            raise self._library.ReadTimeout("No answer in time.", request=request) from exc
        return await bounded(answer, self._limits, kind=self._kind, library=self._library)

    async def _first(self, request: Any) -> Any:
        url = request.url
        addresses = await self._guard.addresses(url.scheme, url.host, url.port)
        if not addresses:
            raise self._library.ConnectError("There is no such host.", request=request)
        for address in addresses[:-1]:
            try:
                return await self._send(request, address)
            except (self._library.ConnectError, self._library.ConnectTimeout):
                continue  # nothing was sent: the next address may answer
        return await self._send(request, addresses[-1])

    async def _send(self, request: Any, address: Address) -> Any:
        inner = self._inner.get(request.url.host)
        if inner is None:
            # Without the environment's proxy: it would do the resolving for us.
            inner = self._library.AsyncHTTPTransport(verify=ssl_context(), trust_env=False)
            self._inner[request.url.host] = inner
        return await inner.handle_async_request(self._pinned(request, address))

    def _pinned(self, request: Any, address: Address) -> Any:
        """Return the request for one address; certificate and ``Host`` stay the name's."""
        headers = request.headers.copy()  # with the Host of the name
        headers["accept-encoding"] = UNASKED
        return self._library.Request(
            request.method,
            request.url.copy_with(host=str(address)),
            headers=headers,
            stream=in_pieces(request, self._library),
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )

    async def close(self) -> None:
        for inner in self._inner.values():
            await inner.aclose()


class GuardedTransport(httpx.AsyncBaseTransport):
    """An httpx transport that goes nowhere it may not; see the module."""

    def __init__(self, guard: Guard, *, limits: Limits = DEFAULT) -> None:
        self._sender = Sender(guard, httpx, kind=Bounded, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response: httpx.Response = await self._sender.send(request)
        return response

    async def aclose(self) -> None:
        await self._sender.close()


def _time_for_head(request: Any) -> float | None:
    """Return the seconds in which an answer has to begin; ``None``: the caller waits for ever."""
    given = request.extensions.get("timeout", {}).values()
    if not given or None in given:
        return None
    told = str(request.headers.get("content-length", "0"))
    return float(sum(given)) + (int(told) / SLOWEST if told.isdigit() else 0)


@cache
def ssl_context() -> ssl.SSLContext:
    """Return how servers prove who they are; making it takes a while, so there is one."""
    return httpx.create_ssl_context(trust_env=False)


def guarded_client(
    *,
    allowed: Allowed = NONE_ALLOWED,
    plain: bool = False,
    limits: Limits = DEFAULT,
    **settings: Any,
) -> httpx.AsyncClient:
    """Return a client whose every request passes the guard, and every answer the limits."""
    transport = GuardedTransport(Guard(allowed=allowed, plain=plain), limits=limits)
    return httpx.AsyncClient(transport=transport, trust_env=False, **settings)
