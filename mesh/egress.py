"""Requests to addresses that people or models wrote: only to public hosts, or allowed ones.

The name is resolved here, all its addresses are checked, and the connection goes to one of the
checked addresses. So a name that points elsewhere a moment later gains nothing, and each hop of a
redirect is a new request and is checked again. Responses are limited (``mesh.http_client``).
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
    text = "This is not a valid server address."
    hint = "Enter a complete one, such as https://llm.example/v1, without a user name in it."


class AddressRefused(AppError):
    """The host is private, this machine's own, or a cloud's metadata."""

    code = "address_refused"
    text = "This address is not public, and the operator of this server has not allowed it."
    hint = "Use a public address, or ask the operator to add the host to MESH_PRIVATE_HOSTS."


async def resolve(host: str, port: int) -> Sequence[Address]:
    """Return every address of ``host``; none if the name does not exist."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses = (parse_address(str(entry[4][0])) for entry in found)
    return [address for address in dict.fromkeys(addresses) if address is not None]


def split_address(text: str, *, allowed: Allowed = NONE_ALLOWED) -> SplitResult:
    """Return the parts of an http(s) address that a person typed.

    A public address needs https, or a key would be sent in clear: ``Guard.addresses`` checks that.

    Raises:
        BadAddress: it is not valid.
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
        raise BadAddress("A base URL may not contain “?” or “#”.")
    if is_odd_number(host):
        raise BadAddress("Write the IP address as four numbers separated by dots.")
    address = parse_address(host)
    if address is not None and first_refused(host, [address], port, allowed):
        raise AddressRefused
    return parts


class Guard:
    """Decides where a request may go; each of our transports asks it for every request.

    ``plain`` also allows http to public hosts, for reading public pages.
    """

    def __init__(
        self, *, allowed: Allowed = NONE_ALLOWED, plain: bool = False, resolve: Resolve = resolve
    ) -> None:
        self._allowed = allowed
        self._plain = plain
        self._resolve = resolve

    async def addresses(self, scheme: str, host: str, port: int | None) -> Sequence[Address]:
        """Return the addresses to connect to, in order; none for an unknown name.

        Raises:
            AddressRefused: one of them may not be reached, or not without https.
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
                "A public address must start with https, or others could read the key on its way."
            )
        return found


class Sender:
    """Sends requests where the guard lets them go, and keeps the connections.

    ``library`` is httpx, or another with the same classes: model libraries bring their own, which
    must not be loaded before it is used. Each wraps this in its own transport, and brings its own
    class (``kind``) of bounded response.
    """

    def __init__(self, guard: Guard, library: Any, *, kind: Any, limits: Limits) -> None:
        self._guard = guard
        self._library = library
        self._kind = kind
        self._limits = limits
        # One for each name: a connection opened to one name is never used for another name
        # with the same address.
        self._inner: dict[str, Any] = {}

    async def send(self, request: Any) -> Any:
        """Return the bounded response of the first of the host's addresses that answers.

        Raises:
            AddressRefused: one of them may not be reached.
            The library's own errors: no address could be reached, the host has none, or its
                response has too many headers or does not start in time.
        """
        try:
            # The library's timeout restarts with each piece of a head: a slow drip would not end.
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
                continue  # nothing was sent, so try the next address
        return await self._send(request, addresses[-1])

    async def _send(self, request: Any, address: Address) -> Any:
        inner = self._inner.get(request.url.host)
        if inner is None:
            # Without the environment's proxy, which would resolve the name itself.
            inner = self._library.AsyncHTTPTransport(verify=ssl_context(), trust_env=False)
            self._inner[request.url.host] = inner
        return await inner.handle_async_request(self._pinned(request, address))

    def _pinned(self, request: Any, address: Address) -> Any:
        """Return the request with one address; certificate and ``Host`` stay those of the name."""
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
    """An httpx transport that reaches only permitted hosts; see the module."""

    def __init__(self, guard: Guard, *, limits: Limits = DEFAULT) -> None:
        self._sender = Sender(guard, httpx, kind=Bounded, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response: httpx.Response = await self._sender.send(request)
        return response

    async def aclose(self) -> None:
        await self._sender.close()


def _time_for_head(request: Any) -> float | None:
    """Return the seconds in which a response has to start; ``None`` if the caller set no limit."""
    timeouts = request.extensions.get("timeout", {}).values()
    if not timeouts or None in timeouts:
        return None
    length = str(request.headers.get("content-length", "0"))
    return float(sum(timeouts)) + (int(length) / SLOWEST if length.isdigit() else 0)


@cache
def ssl_context() -> ssl.SSLContext:
    """Return the TLS context for all connections; making one is slow, so it is shared."""
    return httpx.create_ssl_context(trust_env=False)


def guarded_client(
    *,
    allowed: Allowed = NONE_ALLOWED,
    plain: bool = False,
    limits: Limits = DEFAULT,
    **settings: Any,
) -> httpx.AsyncClient:
    """Return a client whose requests all pass the guard, and whose responses are limited."""
    transport = GuardedTransport(Guard(allowed=allowed, plain=plain), limits=limits)
    return httpx.AsyncClient(transport=transport, trust_env=False, **settings)
