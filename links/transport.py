"""A tunnel as an httpx transport: a laptop's programs are called like any HTTP server."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, Final, TypeVar

import httpx

from links.machine_clocks import MachineClock
from links.peer import Peer, Stream, StreamLost
from links.wire import signing
from links.wire.errors import TimestampDrift, TooManyStreams, TunnelNotReady
from links.wire.headers import REFUSAL
from links.wire.heads import RequestHead
from mesh.http_client import MIB, Limits
from mesh.lib.targets import checked_target

# For a laptop's answers, which are not trusted. Files, changes and task output are read whole.
LAPTOP: Final = Limits(body=32 * MIB)
STREAMED: Final = "mesh.streamed"  # a request's extension: see ``links.wire.streamed``
# Hop-by-hop headers, and Host, which means nothing to a program behind a unix socket.
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
    "host",
}


T = TypeVar("T")
logger = logging.getLogger(__name__)


def target_of_request(request: httpx.Request) -> str:
    """Return the exact target of a request; httpx may have normalised ``request.url``."""
    target: bytes | None = request.extensions.get("target")
    return (request.url.raw_path if target is None else target).decode("ascii")


def is_streamed(request: httpx.Request) -> bool:
    """Return whether the request's body is sent as it arrives, so that only its head is signed."""
    return bool(request.extensions.get(STREAMED))


class Signed(httpx.Auth):
    """Signs each request with the link's secret, so bodies are read whole before they are sent.

    Except for those that are marked as ``STREAMED``. A target that may not be forwarded
    (``mesh.lib.targets``) is never signed. A request that the machine refuses because of its clock
    is signed once more, by that clock; not a streamed one, whose body is gone.
    """

    requires_request_body = True

    def __init__(self, secret: str, clock: MachineClock | None = None) -> None:
        self._secret, self._clock = secret, clock or MachineClock()

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        if not is_streamed(request):
            await request.aread()
        self._sign(request)
        refusal = yield request
        is_its_own = refusal.headers.get(REFUSAL) == TimestampDrift.code
        if is_its_own and self._clock.learn_from(refusal) and not is_streamed(request):
            self._sign(request)
            yield request

    def _sign(self, request: httpx.Request) -> None:
        headers = signing.signed_headers(
            self._secret,
            method=request.method,
            target=checked_target(target_of_request(request)),
            body=None if is_streamed(request) else request.content,
            now=self._clock.now(),
            nonce=secrets.token_hex(16),
        )
        request.headers.update(headers)


def handshake_proof(secret: str, target: str, clock: MachineClock) -> dict[str, str]:
    """Return the headers that prove that a WebSocket to ``target`` of the laptop is ours."""
    return signing.signed_headers(
        secret,
        method="GET",
        target=target,
        body=b"",
        now=clock.now(),
        nonce=secrets.token_hex(16),
    )


class TunnelTransport(httpx.AsyncBaseTransport):
    """Sends requests through ``peer``; bodies stream both ways.

    A cancelled caller resets the stream, which the program at the other end notices. A failure of
    the tunnel raises ``httpx.TransportError``. Timeouts limit inactivity: no progress of the
    request, or no data of the answer.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            stream = self._peer.open(_head_of(request))
        except (StreamLost, TooManyStreams, TunnelNotReady) as exc:
            raise httpx.ConnectError(str(exc), request=request) from exc
        upload: asyncio.Task[None] | None = None
        limits = request.extensions.get("timeout", {})
        timeout = limits.get("read")
        try:
            if not isinstance(request.stream, httpx.ByteStream):
                upload = asyncio.create_task(_pump(stream, request.stream))
                upload.add_done_callback(_note_failure)
            elif request.content:
                await _while_moving(stream, stream.write(request.content), limits.get("write"))
                stream.end()
            else:
                stream.end()
            head = await _while_moving(stream, stream.head(), timeout)
        except TimeoutError as exc:
            is_stalled = stream.has_unsent
            _abandon(stream, upload, "timeout")
            if is_stalled:
                text = "The machine stopped reading the request."
                raise httpx.WriteTimeout(text, request=request) from exc
            raise httpx.ReadTimeout("The machine did not answer.", request=request) from exc
        except StreamLost as exc:
            _abandon(stream, upload, "lost")
            raise httpx.RemoteProtocolError(str(exc), request=request) from exc
        except BaseException:
            _abandon(stream, upload, "cancelled")
            raise
        try:
            headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in head.headers]
        except UnicodeEncodeError as exc:  # JSON allows more characters than a header
            _abandon(stream, upload, "malformed")
            raise httpx.RemoteProtocolError(
                "The machine sent a malformed header.", request=request
            ) from exc
        return httpx.Response(
            head.status,
            headers=headers,
            stream=AnswerBody(stream, upload, timeout),
        )


class AnswerBody(httpx.AsyncByteStream):
    """An answer's body, as it arrives."""

    def __init__(
        self, stream: Stream, upload: asyncio.Task[None] | None, timeout: float | None
    ) -> None:
        self._stream = stream
        self._upload = upload
        self._timeout = timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while True:
                if self._stream.has_data:
                    data = await self._stream.read()
                else:  # a timeout costs more than a small chunk: only if it has to wait
                    async with asyncio.timeout(self._timeout):
                        data = await self._stream.read()
                if not data:
                    return
                yield data
        except TimeoutError as exc:
            raise httpx.ReadTimeout("The machine stopped sending the answer.") from exc
        except StreamLost as exc:
            raise httpx.ReadError(str(exc)) from exc

    async def aclose(self) -> None:
        _abandon(self._stream, self._upload, "cancelled")


def _head_of(request: httpx.Request) -> RequestHead:
    headers = [
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in request.headers.raw
    ]
    return RequestHead(
        request.method,
        target_of_request(request),
        [pair for pair in headers if pair[0] not in _HOP_BY_HOP],
    )


async def _while_moving(stream: Stream, work: Coroutine[Any, Any, T], limit: float | None) -> T:
    """Return the result of ``work``, without a limit as long as the stream's upload progresses.

    Raises:
        TimeoutError: no progress for ``limit`` seconds.
    """
    working = asyncio.ensure_future(work)
    try:
        while True:
            before = stream.moved
            await asyncio.wait({working}, timeout=limit)
            if working.done():
                return working.result()
            if stream.moved == before:
                raise TimeoutError
    finally:
        working.cancel()


async def _pump(stream: Stream, body: Any) -> None:
    """Send a streamed body; a receiver that does not read the rest does not fail the request."""
    try:
        async for chunk in body:
            await stream.write(chunk)
    except StreamLost:
        return
    except BaseException:
        # The caller's iterator failed: the other end must not take a partial body for the whole,
        # and nobody may wait for its answer.
        stream.close("cancelled")
        stream.lose("cancelled")
        raise
    stream.end()


def _note_failure(upload: asyncio.Task[None]) -> None:
    """Take note of how an upload failed: its request fails for the same reason."""
    if not upload.cancelled() and (error := upload.exception()):
        logger.info("A request's body broke off: %r", error)


def _abandon(stream: Stream, upload: asyncio.Task[None] | None, reason: str) -> None:
    if upload is not None:
        upload.cancel()
    stream.close(reason)
