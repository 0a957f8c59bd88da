"""The control plane on a loopback port, for a server that calls this machine by an address."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from links.daemon.errors import PortTaken
from links.signed_requests import UNPROVEN, while_asked
from links.sockets import MAX_MESSAGE
from links.wire import signing
from mesh.lib.asgi import App, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from mesh.http_server import HttpServer

AT_ONCE: Final = 256  # requests; each may hold a body, and comes unproven


class _EndsWithReader:
    """Ends a request when whoever asked has gone, as a stream of the tunnel does."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # a WebSocket's messages say by themselves that it is over
            await self._app(scope, receive, send)
            return
        asked = asyncio.Event()

        async def hear() -> Message:
            message = await receive()
            if not message.get("more_body"):
                asked.set()  # what comes next is the reader's leaving
            return message

        async def leave() -> Message:
            await asked.wait()
            return await receive()

        async def work() -> None:
            given = {**scope, UNPROVEN: signing.MAX_UNPROVEN}
            await self._app(given, hear, send)

        await while_asked(work(), leave)


class Listener:
    """Serves ``app`` on 127.0.0.1 while it is started: nobody else's network sees it."""

    def __init__(self, app: App, *, port: int) -> None:
        self._app = _EndsWithReader(app)
        self._port = port
        self._server: HttpServer | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            PortTaken: another program has the port.
        """
        # Only here: a link with a tunnel does without.
        from mesh.http_server import HttpServer

        try:
            sock = socket.create_server(("127.0.0.1", self._port), backlog=100)
        except OSError as exc:
            raise PortTaken(f"Port {self._port} can't be had: {exc.strerror}.") from exc
        self._server = HttpServer(self._app, limit_concurrency=AT_ONCE, ws_max_size=MAX_MESSAGE)
        await self._server.start(sock)

    async def stop(self) -> None:
        """End every connection. Safe to repeat, and without a start."""
        if self._server is not None:
            await self._server.stop(within=0)
        self._server = None
