"""The laptop's end of the tunnel: one outgoing WebSocket, frames handled as they arrive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from links.peer import Peer, Stream
from links.sockets import NoRedirectConnect
from links.wire.addresses import LOOPBACK
from links.wire.errors import TunnelError
from links.wire.tunnel import Tunnel

logger = logging.getLogger(__name__)

_STEP: Final = 0.02
UNSENT: Final = 128 * 1024  # bytes in the kernel's send buffer that a frame waits behind at most


class TunnelClient(ClientConnection):
    """A WebSocket whose messages go straight into the tunnel: no queue, no task, no wake-up.

    ``attach`` must be called before the event loop runs again after the handshake; frames that
    arrived with the handshake's packet are kept until then.
    """

    _peer: Peer | None = None
    _early: list[bytes]
    _parts: list[bytes]
    _flush_due = False
    heard_at = 0.0

    async def first_message(self) -> bytes:
        """Return the first frame's bytes of a connection that is only tested, not attached.

        Raises:
            OSError: the connection closed before a frame arrived.
        """
        while not self._early:
            if self.protocol.state is not State.OPEN:
                raise ConnectionResetError("the connection was closed immediately")
            await asyncio.sleep(_STEP)
        return self._early[0]

    def attach(self, info: dict[str, Any], *, on_open: Callable[[Stream], None]) -> Peer:
        """Start the tunnel: greet, and pass streams that the server opens to ``on_open``."""
        self._on_open = on_open
        self._peer = Peer(Tunnel("laptop", info), self, self._wake)
        self.heard_at = self.loop.time()
        early, self._early = self._early, []
        self._wake()
        for message in early:
            self._take(message)
        return self._peer

    def send_status(self, info: dict[str, Any]) -> None:
        """Report the machine's present capabilities to the server."""
        if self._peer is not None:
            self._peer.tunnel.status(info)
            self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._early, self._parts = [], []
        super().connection_made(transport)

    def process_event(self, event: Any) -> None:
        # Only data frames are ours; the library handles the handshake and control frames.
        if self.response is None or event.opcode not in _DATA:
            super().process_event(event)
            return
        self._on_frame(event)

    def _on_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT:
            self._break(TunnelError("A text message arrived; frames are binary."))
            return
        data = bytes(frame.data)
        if not frame.fin or self._parts:  # a proxy may cut messages into fragments
            self._parts.append(data)
            if not frame.fin:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        if self._peer is None:
            self._early.append(data)
        else:
            self._take(data)

    def _take(self, message: bytes) -> None:
        assert self._peer is not None
        self.heard_at = self.loop.time()
        try:
            self._peer.feed(message)
        except TunnelError as exc:
            self._break(exc)

    def _break(self, exc: TunnelError) -> None:
        logger.warning("link: closing after a protocol error: %s (%s)", exc.code, exc)
        if self.protocol.state is State.OPEN:
            self.protocol.fail(exc.close_code, exc.code)
            self.send_data()

    def _wake(self) -> None:
        # Once per loop iteration: what queues up in that iteration is sent as one message.
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if self._peer is None or self.protocol.state is not State.OPEN:
            return
        while not self.paused:
            message = self._peer.next_message()
            if message is None:
                return
            self.protocol.send_binary(message)
            self.send_data()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._peer is not None:
            self._peer.lose("disconnected")

    # Callbacks of the peer

    def on_hello(self, info: dict[str, Any]) -> None:
        logger.debug("link: the server runs version %s", info.get("version"))

    def on_status(self, info: dict[str, Any]) -> None:
        pass  # only laptops send it

    def on_pong(self, payload: bytes) -> None:
        pass  # heard_at moved

    def on_open(self, stream: Stream) -> None:
        self._on_open(stream)


_DATA: Final = frozenset({Opcode.CONT, Opcode.TEXT, Opcode.BINARY})


def connect_url(server: str) -> str:
    """Return the address of the tunnel at ``server`` (http://… or https://…)."""
    parts = urlsplit(server)
    scheme = {"http": "ws", "https": "wss"}[parts.scheme]
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/api/links/connect", "", ""))


async def dial(server: str, *, token: str) -> TunnelClient:
    """Return an open connection, not yet attached.

    Raises:
        OSError, TimeoutError, websockets.exceptions.WebSocketException: connecting failed.
    """
    url = connect_url(server)
    host = urlsplit(url).hostname or ""
    connection = await NoRedirectConnect(
        url,
        create_connection=TunnelClient,
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        # The system's proxy, except for loopback, which no proxy can reach.
        proxy=None if host in LOOPBACK else True,
        ping_interval=None,  # the tunnel has pings of its own
        close_timeout=3,
        max_size=None,  # the tunnel has limits of its own
    )
    assert isinstance(connection, TunnelClient)
    _keep_little_unsent(connection)
    return connection


def _keep_little_unsent(connection: TunnelClient) -> None:
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    raw = connection.transport.get_extra_info("socket")
    if option is not None and raw is not None:
        with contextlib.suppress(OSError):  # a proxy's or a test's socket may not be TCP
            raw.setsockopt(socket.IPPROTO_TCP, option, UNSENT)
