"""The control plane on a loopback port, for a server that calls this machine at an address."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from links.daemon.errors import PortTaken
from links.signed_requests import UNPROVEN, until_disconnect
from links.sockets import MAX_MESSAGE
from links.wire import signing
from mesh.lib.asgi import App, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from mesh.http_server import HttpServer

MAX_CONCURRENT: Final = 256  # requests; each may hold a body before it is verified


class _CancelOnDisconnect:
    """Cancels a request when its client disconnects, as a stream of the tunnel does."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # a WebSocket's own messages report its end
            await self._app(scope, receive, send)
            return
        is_body_read = asyncio.Event()

        async def receive_request() -> Message:
            message = await receive()
            if not message.get("more_body"):
                is_body_read.set()  # only the disconnect can follow
            return message

        async def receive_disconnect() -> Message:
            await is_body_read.wait()
            return await receive()

        async def respond() -> None:
            limited = {**scope, UNPROVEN: signing.MAX_UNPROVEN}
            await self._app(limited, receive_request, send)

        await until_disconnect(respond(), receive_disconnect)


class Listener:
    """Serves ``app`` on 127.0.0.1 only, from ``start`` to ``stop``."""

    def __init__(self, app: App, *, port: int) -> None:
        self._app = _CancelOnDisconnect(app)
        self._port = port
        self._server: HttpServer | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            PortTaken: another program uses the port.
        """
        # Imported here: a link with a tunnel does not need it.
        from mesh.http_server import HttpServer

        try:
            sock = socket.create_server(("127.0.0.1", self._port), backlog=100)
        except OSError as exc:
            raise PortTaken(f"Port {self._port} is not available: {exc.strerror}.") from exc
        self._server = HttpServer(
            self._app, limit_concurrency=MAX_CONCURRENT, ws_max_size=MAX_MESSAGE
        )
        await self._server.start(sock)

    async def stop(self) -> None:
        """Close every connection. Safe to repeat, and without ``start``."""
        if self._server is not None:
            await self._server.stop(within=0)
        self._server = None
