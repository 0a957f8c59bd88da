"""Requests to a unix socket or a port of this machine: HTTP/1.1, streamed, connections kept.

httptools, uvicorn's own parser, reads the answers. What is ours are the connections: keeping them,
waiting on them, and reading no faster than the reader takes. h11, httpcore and httpx take several
times the CPU for the same (ADR 25).
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final, cast

import httptools

from links.upload import Body, Upload, UploadBroken
from mesh.framing import STATUSES

if TYPE_CHECKING:
    import ssl

HIGH_WATER: Final = 256 * 1024  # bytes not yet taken: reading stops until they are
JOINED: Final = 64 * 1024  # bytes handed on at once, at most, when chunks pile up
KEPT: Final = 8  # idle connections for one socket
HEAD_BYTES: Final = 64 * 1024  # of heads, of trailers, and of what stands between two chunks
BODY_BYTES: Final = 1024 * 1024  # of a body that is read whole
IDLE_FOR: Final = 2.0  # seconds; a server that closes idle ones waits longer than that
_SWITCHING: Final = 101
_ENDS_A_LINE: Final = re.compile(rb"[\r\n\0]")

Headers = list[tuple[bytes, bytes]]


class UpstreamError(Exception):
    """The program behind the socket is not there, broke off, or does not speak HTTP."""


class NotHttp(UpstreamError):
    """It answers, but what it says is no answer of HTTP within our limits."""


class Answer:
    """An answer whose body is still coming. ``close`` it, read or not."""

    def __init__(self, pool: Pool, wire: _Wire) -> None:
        self.status = wire.status
        self.headers = wire.headers
        self._pool = pool
        self._wire = wire

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            UpstreamError: it ends too early.
        """
        while chunk := await self._wire.read():
            yield chunk

    async def body(self, limit: int = BODY_BYTES) -> bytes:
        """Return the body, whole.

        Raises:
            UpstreamError: it ends too early, or is larger than ``limit``.
        """
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                raise UpstreamError("the answer is too large")
        return bytes(body)

    def close(self) -> None:
        """Keep the connection if its answer was read whole, else drop it, which the program
        at the other end notices."""
        self._pool.give_back(self._wire)


class Pool:
    """The connections to one unix socket, or to one port of this machine."""

    def __init__(
        self, path: str | int, *, loopback: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.path = path
        self._loopback, self._tls = loopback, tls
        self._host = "sandbox" if isinstance(path, str) else f"localhost:{path}"
        self._idle: deque[_Wire] = deque()

    async def request(
        self, method: str, target: str, *, headers: Iterable[tuple[bytes, bytes]], body: Body
    ) -> Answer:
        """Send a request; return as soon as the answer's head is there.

        An upload may still be on its way then: it continues until the answer is closed.

        Raises:
            UpstreamError: nobody listens, the connection broke before the head, or the request
                itself can't be sent as HTTP.
            UploadBroken: the request's own body broke off.
        """
        wire = self._kept() or await self._connect()
        try:
            await wire.ask(method, target, [(b"host", self._host.encode()), *headers], body)
        except BaseException:
            wire.abort()
            raise
        return Answer(self, wire)

    def give_back(self, wire: _Wire) -> None:
        if wire.is_reusable and len(self._idle) < KEPT:
            wire.idle_since = time.monotonic()
            self._idle.append(wire)
        else:
            wire.abort()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().abort()

    def _kept(self) -> _Wire | None:
        while self._idle:
            wire = self._idle.pop()
            if wire.is_reusable and time.monotonic() - wire.idle_since < IDLE_FOR:
                return wire
            wire.abort()
        return None

    async def _connect(self) -> _Wire:
        loop = asyncio.get_running_loop()
        try:
            if isinstance(self.path, str):
                _, wire = await loop.create_unix_connection(_Wire, self.path)
            else:
                name = "localhost" if self._tls else None
                _, wire = await loop.create_connection(
                    _Wire, self._loopback, self.path, ssl=self._tls, server_hostname=name
                )
        except OSError as exc:
            raise UpstreamError(f"nobody listens there: {exc}") from exc
        return wire


class _Wire(asyncio.Protocol):
    """One connection: the parser's calls and the reader's wait."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._head_size = 0  # bytes since the last that were a body's
        self._is_interim = False  # the last head was a 1xx: the answer is still to come
        self._is_headed = False
        self._is_complete = True
        self._is_paused = False
        self._ends_with_connection = False  # of an answer that says no length
        self._lost = ""
        self._is_no_http = False
        self._waiter: asyncio.Future[None] | None = None
        self._sending: asyncio.Task[None] | None = None  # of an upload
        self._has_room = asyncio.Event()  # for more of it
        self._has_room.set()
        self._is_sent = True  # whether the whole request is

    @property
    def is_reusable(self) -> bool:
        return self._is_complete and self._is_sent and not self._chunks and not self._lost

    async def ask(
        self, method: str, target: str, headers: Iterable[tuple[bytes, bytes]], body: Body
    ) -> None:
        if self._transport is None:
            raise UpstreamError(self._lost)
        head = _head(method, target, [*headers, _framing(body)])
        self._parser = httptools.HttpResponseParser(self)
        self.status, self.headers, self._head_size = 0, [], 0
        self._is_headed = self._is_complete = self._ends_with_connection = False
        if isinstance(body, Upload):
            self._is_sent = False
            self._transport.write(head)
            self._sending = asyncio.create_task(self._send(body))
        else:
            self._transport.write(head + body)
        while not self._is_headed:
            if isinstance(body, Upload) and body.is_broken:
                raise UploadBroken
            self._check()
            await self._wait()
        if method == "HEAD" and not self._is_complete:
            # Its head tells of a body that does not come: the parser would wait for it.
            self._is_complete, self._lost = True, "an answer without a body"

    async def read(self) -> bytes:
        while not self._chunks:
            if self._is_complete:
                return b""
            self._check()
            await self._wait()
        chunk = self._chunks.popleft()
        if self._chunks:
            chunk = self._joined(chunk)
        self._size -= len(chunk)
        if self._is_paused and self._size <= HIGH_WATER // 2 and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return chunk

    def _joined(self, chunk: bytes) -> bytes:
        """Return ``chunk`` with the small ones that piled up behind it."""
        parts, room = [chunk], JOINED - len(chunk)
        while self._chunks and len(self._chunks[0]) <= room:
            parts.append(self._chunks.popleft())
            room -= len(parts[-1])
        return b"".join(parts)

    async def _send(self, upload: Upload) -> None:
        """Send the upload no faster than the program reads it, and no longer than it listens."""
        is_chunked, left = upload.length is None, upload.length or 0
        try:
            async with aclosing(upload.pieces()) as pieces:
                async for piece in pieces:
                    await self._has_room.wait()
                    if self._transport is None or self._transport.is_closing():
                        return  # how it ended is told by ``_lost``, or by an early answer
                    if is_chunked:
                        self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                        continue
                    left -= len(piece)
                    if left < 0:
                        self._break_off("the request is longer than it declares")
                        return
                    self._transport.write(piece)
        except UploadBroken as exc:
            self._break_off(str(exc))
            return
        finally:
            self._wake()
        if left:
            self._break_off("the request is shorter than it declares")
        elif self._transport is not None:
            if is_chunked:
                self._transport.write(b"0\r\n\r\n")
            self._is_sent = True

    def abort(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by type

    def data_received(self, data: bytes) -> None:
        if self._is_complete:
            self._break_off("more came than the answer")
            return
        # The parser keeps a head, or the extension of a chunk, until it is whole.
        self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._break_off(f"the answer is no HTTP: {exc.__context__ or exc}", is_no_http=True)
        if self._head_size > HEAD_BYTES:
            self._break_off("the answer's head is too large", is_no_http=True)
        self._wake()

    def pause_writing(self) -> None:
        self._has_room.clear()

    def resume_writing(self) -> None:
        self._has_room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        # A server that refuses an upload answers and closes; our next write then fails before the
        # answer was read.
        is_cut = isinstance(exc, ConnectionError) and not self._is_complete and not self._lost
        if is_cut and (unread := _unread(self._transport)):
            self.data_received(unread)
        if exc is None and self._is_headed and self._ends_with_connection:
            self._is_complete = True
        self._lost = self._lost or "the connection broke"
        self._transport = None
        self._has_room.set()
        self._wake()

    # httptools' calls; what they raise ends the parsing

    def on_message_begin(self) -> None:
        if self._is_complete:
            raise UpstreamError("more came than the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_headed:  # else a trailer, which nobody behind us asks for
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        self._is_interim = status < STATUSES.start and status != _SWITCHING
        if self._is_interim:
            self.headers = []
            return
        if status not in STATUSES:
            raise UpstreamError(f"its status is {status}")
        self.status = status
        self._is_headed = True
        named = {name for name, _ in self.headers}
        self._ends_with_connection = not named & {b"content-length", b"transfer-encoding"}

    def on_body(self, body: bytes) -> None:
        self._head_size = 0
        self._chunks.append(body)
        self._size += len(body)
        if self._size > HIGH_WATER and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._is_interim:
            return
        self._is_complete = True
        if not self._parser.should_keep_alive():
            self._lost = "the server closes"

    def _break_off(self, why: str, *, is_no_http: bool = False) -> None:
        if not self._lost:
            self._lost, self._is_no_http = why, is_no_http
        if self._transport is not None:
            self._transport.abort()

    def _check(self) -> None:
        if self._lost:
            raise (NotHttp if self._is_no_http else UpstreamError)(self._lost)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _unread(transport: asyncio.Transport | None) -> bytes:
    """Return what came over a connection that was reset and that the event loop has not read."""
    wire = None if transport is None else transport.get_extra_info("socket")
    if transport is None or wire is None or transport.get_extra_info("ssl_object") is not None:
        return b""
    with suppress(OSError), socket.socket(fileno=os.dup(wire.fileno())) as copy:
        copy.setblocking(False)
        return copy.recv(HEAD_BYTES)
    return b""


def _framing(body: Body) -> tuple[bytes, bytes]:
    """Return the header that says where a request's body ends."""
    length = body.length if isinstance(body, Upload) else len(body)
    if length is None:
        return b"transfer-encoding", b"chunked"
    return b"content-length", b"%d" % length


def _head(method: str, target: str, headers: Headers) -> bytes:
    """Return a request's head.

    Raises:
        UpstreamError: a part of it would end the line that it stands in, or the head.
    """
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1")]
    lines += [b"%b: %b" % pair for pair in headers]
    if any(_ENDS_A_LINE.search(line) for line in lines):
        raise UpstreamError("the request is no HTTP: a line of its head holds the end of one")
    return b"\r\n".join([*lines, b"\r\n"])
