"""WebSockets through the tunnel: connects one of an ASGI server with one at the far side.

The near one is an ASGI scope. The far one is a stream of the tunnel (``TunnelSocket``), or another
connection (``ClientSocket``). Used at both ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from http import HTTPStatus
from typing import Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event
from websockets.uri import parse_uri

from links.peer import Peer, Stream, StreamLost
from links.wire.closing import (
    ABNORMAL,
    NO_CODE,
    NO_TEXT,
    TOO_BIG,
    Closed,
    cut,
    pack_close,
    sendable,
    unpack_close,
)
from links.wire.errors import TooManyStreams, TunnelNotReady
from links.wire.frames import DATA, PART, TEXT
from links.wire.heads import RequestHead
from mesh.lib.asgi import Message, Receive, Scope, Send
from mesh.lib.errors import AppError
from mesh.lib.targets import checked_target

MAX_MESSAGE: Final = 16 * 1024 * 1024  # bytes of one message, assembled from its pieces
CLOSE_WITHIN: Final = 5.0  # seconds for the far end to answer our close frame
PROTOCOLS: Final = "sec-websocket-protocol"
REFUSALS: Final = "websocket.http.response"

# Hop-by-hop headers, and those of the handshake itself: never forwarded.
OF_HANDSHAKE: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"host",
        b"keep-alive",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"transfer-encoding",
        b"upgrade",
    }
)


_REFUSAL_STATUSES: Final = frozenset(int(one) for one in HTTPStatus if one >= 400)


class Refused(Exception):
    """The far end refused the WebSocket with ``status``."""

    def __init__(self, status: int) -> None:
        super().__init__(f"The WebSocket was refused: HTTP {status}.")
        self.status = status


class FarSocket(Protocol):
    """An open WebSocket at the far side of a hop."""

    subprotocol: str | None

    async def send(self, message: str | bytes) -> None: ...
    async def receive(self) -> str | bytes | Closed: ...
    async def close(self, closed: Closed) -> None: ...
    def drop(self) -> None: ...


class TunnelSocket:
    """A stream of the tunnel as a WebSocket."""

    def __init__(self, stream: Stream, subprotocol: str | None = None) -> None:
        self.subprotocol = subprotocol
        self._stream = stream
        self._is_closed = False

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._stream.write(message.encode(), TEXT)
        else:
            await self._stream.write(message, DATA)

    async def receive(self) -> str | bytes | Closed:
        """Return the next message, assembled from its pieces, or how the WebSocket closed."""
        parts: list[bytes] = []
        size = 0
        while True:
            try:
                piece = await self._stream.read_message()
            except StreamLost:
                return Closed(ABNORMAL)
            if piece is None:
                return unpack_close(self._stream.end_payload)
            size += len(piece.data)
            if size > MAX_MESSAGE:
                return Closed(TOO_BIG)
            parts.append(piece.data)
            if piece.kind != PART:
                break
        whole = b"".join(parts)
        try:
            return whole.decode() if piece.kind == TEXT else whole
        except UnicodeDecodeError:
            return Closed(NO_TEXT)

    async def close(self, closed: Closed) -> None:
        """Close this direction; the other end's messages can be received until it closes too."""
        if not self._is_closed:
            self._is_closed = True
            self._stream.end(pack_close(closed))

    def drop(self) -> None:
        self._stream.close("closed")


class ClientSocket:
    """A connection of our own as a WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.subprotocol: str | None = connection.subprotocol
        self._connection = connection

    async def send(self, message: str | bytes) -> None:
        await self._connection.send(message)

    async def receive(self) -> str | bytes | Closed:
        try:
            return await self._connection.recv()
        except ConnectionClosed:
            code = self._connection.close_code
            return Closed(ABNORMAL if code is None else code, self._connection.close_reason or "")

    async def close(self, closed: Closed) -> None:
        sent = sendable(closed)
        await self._connection.close(sent.code, cut(sent.reason))

    def drop(self) -> None:
        self._connection.transport.abort()


class AbortingConnection(ClientConnection):
    """Aborts a few seconds after the other end's close frame, if it does not (RFC 6455, 7.1.1)."""

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
            self.loop.call_later(CLOSE_WITHIN, self.transport.abort)


class NoRedirectConnect(connect):
    """Connects without following redirects: our proof is for this address only."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def address_of(base: str, target: str) -> str:
    """Return the address that requests exactly ``target`` at ``base`` (``ws://host``).

    Raises:
        Refused: it could be read as another target.
    """
    address = f"{base}{_checked(target)}"
    try:
        parsed = parse_uri(address).resource_name
    except (InvalidURI, ValueError) as exc:
        raise Refused(400) from exc
    if parsed != target:
        raise Refused(400)
    return address


def _checked(target: str) -> str:
    """Return ``target`` unchanged.

    Raises:
        Refused: it may not be forwarded (``mesh.lib.targets``).
    """
    try:
        return checked_target(target)
    except AppError as exc:
        raise Refused(exc.status) from exc


async def connected(connecting: Awaitable[ClientConnection]) -> ClientSocket:
    """Await ``connecting``, and return the connection.

    Raises:
        Refused: the connection failed or was refused.
    """
    try:
        return ClientSocket(await connecting)
    except InvalidStatus as exc:
        raise Refused(exc.response.status_code) from exc
    except (OSError, TimeoutError, WebSocketException) as exc:
        raise Refused(502) from exc


async def opened(peer: Peer, head: RequestHead, *, within: float) -> TunnelSocket:
    """Open the WebSocket that ``head`` requests through the tunnel, and return it.

    Raises:
        Refused: the other end refused, or did not answer in time.
    """
    _checked(head.target)
    try:
        stream = peer.open(head)
    except (StreamLost, TooManyStreams, TunnelNotReady) as exc:
        raise Refused(502) from exc
    try:
        async with asyncio.timeout(within):
            answer = await stream.head()
        if answer.status != 101:
            raise Refused(answer.status)
    except (StreamLost, TimeoutError) as exc:
        stream.close("lost")
        raise Refused(502) from exc
    except BaseException:
        stream.close("refused")
        raise
    return TunnelSocket(stream, dict(answer.headers).get(PROTOCOLS))


async def join(scope: Scope, receive: Receive, send: Send, opening: Awaitable[FarSocket]) -> None:
    """Accept the near WebSocket once the far one is open, and relay messages until one closes."""
    await receive()  # websocket.connect
    try:
        far = await opening
    except Refused as exc:
        await refuse(scope, send, exc.status)
        return
    try:
        chosen = far.subprotocol if far.subprotocol in scope.get("subprotocols", []) else None
        await send({"type": "websocket.accept", "subprotocol": chosen})
        await _relay(receive, send, far)
    finally:
        far.drop()


async def refuse(scope: Scope, send: Send, status: int) -> None:
    """Refuse a WebSocket with ``status`` if the ASGI server supports it, else with 403.

    A status that is no refusal, or unknown to HTTP, becomes 502.
    """
    status = status if status in _REFUSAL_STATUSES else 502
    if REFUSALS not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": f"{REFUSALS}.start", "status": status, "headers": []})
    await send({"type": f"{REFUSALS}.body", "body": b""})


async def _relay(receive: Receive, send: Send, far: FarSocket) -> None:
    up = asyncio.create_task(_up(receive, far))
    down = asyncio.create_task(_down(far, send))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if up.done():
            await far.close(up.result())
            await asyncio.wait({down}, timeout=CLOSE_WITHIN)
        else:
            closed = sendable(down.result())
            await far.close(closed)
            await send(
                {"type": "websocket.close", "code": closed.code, "reason": cut(closed.reason)}
            )
    finally:
        up.cancel()
        down.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _up(receive: Receive, far: FarSocket) -> Closed:
    """Relay the near end's messages to the far one; return how it closed."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return Closed(message.get("code") or NO_CODE, message.get("reason") or "")
        try:
            await far.send(content_of(message))
        except (StreamLost, ConnectionClosed):
            # The far end is lost: ``_down`` reports how. Wait to be cancelled.
            await asyncio.get_running_loop().create_future()


def content_of(message: Message) -> str | bytes:
    """Return the text or the bytes of an ASGI message."""
    text: str | None = message.get("text")
    data: bytes | None = message.get("bytes")
    return text if text is not None else data or b""


async def _down(far: FarSocket, send: Send) -> Closed:
    """Relay the far end's messages to the near one; return how it closed."""
    while True:
        message = await far.receive()
        if isinstance(message, Closed):
            return message
        key = "text" if isinstance(message, str) else "bytes"
        with suppress(OSError):  # the near end is lost: ``_up`` reports how
            await send({"type": "websocket.send", key: message})
