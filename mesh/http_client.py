"""Responses of other HTTP servers, within limits. Every client that the server uses is made here.

The other server may be hostile: a provider or an MCP server that somebody entered, a web page, a
sandbox in which an agent works, a colleague's laptop. ``BoundedTransport`` asks for uncompressed
bodies, and its responses decompress in small pieces, count them, let the event loop run in
between, and stop at a limit. This holds for every reader of the body, whole or in pieces, also for
the model libraries; only ``aiter_raw`` returns the bytes as they arrived.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httpx

from mesh.lib.unpacking import BadPacking, EventMeter, Unpacker, packing_of

KIB: Final = 1024
MIB: Final = 1024 * KIB
UNASKED: Final = "identity"  # the compression that requests ask for
# Options of a connection that sends long bodies: the system buffers so little that the wait for
# the response does not start while megabytes still have to be sent.
LITTLE_UNSENT: Final = (
    [(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 128 * 1024)]
    if hasattr(socket, "TCP_NOTSENT_LOWAT")
    else []
)
WRITTEN: Final = 64 * KIB  # bytes of a body in one write
REST_EVERY: Final = 16  # pieces, then other tasks run


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a response is accepted: its headers, and bytes of its decompressed body.

    ``refusal`` is for a status of 400 and above. ``stream`` is for a whole stream of events;
    ``event`` and ``pieces`` are for one event.
    """

    headers: int = 200
    body: int = 16 * MIB
    refusal: int = MIB
    stream: int = 256 * MIB
    event: int = MIB
    pieces: int = 4_000


DEFAULT: Final = Limits()


class Bounded(httpx.Response):
    """A response whose body is decompressed within limits; see ``bounded``."""

    limits: Limits

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        if self.is_stream_consumed:
            async for piece in super().aiter_bytes(chunk_size):
                yield piece
            return
        async with aclosing(pieces_of(self, self.limits, httpx)) as pieces:
            async for piece in pieces:
                yield piece


async def bounded(answer: Any, limits: Limits, *, kind: Any, library: Any) -> Any:
    """Return ``answer`` as a response of class ``kind``, whose body ``pieces_of`` reads.

    ``kind`` is ``Bounded``, or its twin for a ``library`` that is not httpx but has its classes.

    Raises:
        library.ReadError: it has too many headers.
    """
    if len(answer.headers.raw) > limits.headers:
        await answer.aclose()
        raise library.ReadError(f"The answer has more than {limits.headers} headers.")
    response = kind(
        answer.status_code,
        headers=answer.headers,
        stream=answer.stream,
        extensions=answer.extensions,
    )
    response.limits = limits
    return response


async def pieces_of(answer: Any, limits: Limits, library: Any) -> AsyncGenerator[bytes, None]:
    """Yield the decompressed body of ``answer``, at most ``PIECE`` bytes at a time.

    Raises:
        library.ReadError: it is larger than its limit, compressed twice, or damaged.
    """
    reading = _Reading(answer, limits)
    count = 0
    try:
        unpacker = Unpacker(packing_of(answer.headers.get_list("content-encoding")))
        async with aclosing(answer.aiter_raw()) as raw:
            async for data in raw:
                for piece in unpacker.feed(data):
                    reading.note(piece)
                    yield piece
                    count += 1
                    if count % REST_EVERY == 0:
                        await asyncio.sleep(0)
    except (BadPacking, _TooMuch) as exc:
        request = getattr(answer, "_request", None)  # None if no client is involved
        raise library.ReadError(str(exc), request=request) from exc


class _TooMuch(Exception):
    """A limit was exceeded; the text says which."""


class _Reading:
    """Counts what has been read of one body."""

    def __init__(self, answer: Any, limits: Limits) -> None:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        self._limits = limits
        self._event = EventMeter() if kind == "text/event-stream" else None
        self._left = limits.body if self._event is None else limits.stream
        if answer.status_code >= 400:
            self._left = min(self._left, limits.refusal)
        self._limit = self._left

    def note(self, piece: bytes) -> None:
        """Count a piece.

        Raises:
            _TooMuch
        """
        self._left -= len(piece)
        if self._left < 0:
            raise _TooMuch(f"The answer is larger than {_in_words(self._limit)}.")
        if self._event is None:
            return
        size, pieces = self._event.feed(piece)
        if size > self._limits.event:
            raise _TooMuch(f"An event is larger than {_in_words(self._limits.event)}.")
        if pieces > self._limits.pieces:
            raise _TooMuch(f"An event comes in more than {self._limits.pieces} pieces.")


def _in_words(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


def in_pieces(request: Any, library: Any = httpx) -> Any:
    """Return the stream of ``request``, with a separate write timeout for each piece of its body.

    ``library`` would write the whole body in one call, with one timeout for all of it.
    """
    if not isinstance(request.stream, library.ByteStream) or len(request.content) <= WRITTEN:
        return request.stream
    stream = _pieces_class(library)(request.content)
    stream.body = request.content
    return stream


@cache
def _pieces_class(library: Any) -> Any:
    return type("Pieces", (library.ByteStream,), {"__aiter__": _each_piece})


async def _each_piece(stream: Any) -> AsyncIterator[bytes]:
    for at in range(0, len(stream.body), WRITTEN):
        yield stream.body[at : at + WRITTEN]


class BoundedTransport(httpx.AsyncBaseTransport):
    """Sends through ``inner``, and returns responses within limits.

    Timeouts limit silence, not a whole transfer: a large body is written in pieces.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, limits: Limits = DEFAULT) -> None:
        self._inner = inner
        self._limits = limits

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.stream = in_pieces(request)
        answer = await self._inner.handle_async_request(request)
        response: Bounded = await bounded(answer, self._limits, kind=Bounded, library=httpx)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def bounded_client(
    inner: httpx.AsyncBaseTransport, *, limits: Limits = DEFAULT, **settings: Any
) -> httpx.AsyncClient:
    """Return a client that sends through ``inner`` and accepts responses within ``limits``.

    It asks for uncompressed bodies; a request may ask for others and pass them on as they arrive.
    Redirects are not followed, and the environment's proxy settings are ignored.
    """
    client = httpx.AsyncClient(
        transport=BoundedTransport(inner, limits), trust_env=False, **settings
    )
    client.headers["accept-encoding"] = UNASKED
    return client
