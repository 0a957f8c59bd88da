"""The control plane on a loopback port, for a server that calls this machine by an address."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from links.daemon.asgi import App, Message, Receive, Scope, Send
from links.daemon.errors import PortTaken

KEEP_ALIVE: Final = 75  # seconds that an unused connection stays open
AT_ONCE: Final = 256  # requests; each may hold a body, and comes unproven


class _EndsWithReader:
    """Ends a request when whoever asked has gone, as a stream of the tunnel does."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = asyncio.Event()

        async def hear() -> Message:
            message = await receive()
            if not message.get("more_body"):
                asked.set()  # what comes next is the reader's leaving
            return message

        work = asyncio.ensure_future(self._app(scope, hear, send))
        gone = asyncio.create_task(_gone(asked, receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


async def _gone(asked: asyncio.Event, receive: Receive) -> None:
    await asked.wait()
    while (await receive())["type"] != "http.disconnect":
        pass


class Listener:
    """Serves ``app`` on 127.0.0.1 while it is started: nobody else's network sees it."""

    def __init__(self, app: App, *, port: int) -> None:
        self._app = _EndsWithReader(app)
        self._port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            PortTaken: another program has the port.
        """
        # Only here: a link with a tunnel does without.
        from uvicorn.config import Config
        from uvicorn.server import ServerState

        config = Config(
            self._app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=AT_ONCE,
            timeout_keep_alive=KEEP_ALIVE,
        )
        config.load()
        self._state = ServerState()
        self._state.default_headers = config.encoded_headers
        make: Callable[..., asyncio.Protocol] = config.http_protocol_class

        def protocol() -> asyncio.Protocol:
            return make(config=config, server_state=self._state, app_state={})

        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(protocol, "127.0.0.1", self._port)
        except OSError as exc:
            raise PortTaken(f"Port {self._port} can't be had: {exc.strerror}.") from exc

    async def stop(self) -> None:
        """End every connection. Safe to repeat, and without a start."""
        if self._server is None:
            return
        self._server.close()
        tasks = set(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self._state.connections):
            connection.shutdown()
        self._server = None
