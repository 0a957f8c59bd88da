"""An HTTP server without uvicorn's ``Server``: its protocol on a socket of our own.

That ``Server`` wakes ten times a second to look at a flag, takes the process's signals, and is
made for one port; a laptop's programs rest when nobody asks.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

KEEP_ALIVE: Final = 75  # seconds that an unused connection stays open


class HttpServer:
    """Serves an ASGI application in the running loop, from ``start`` to ``stop``.

    ``options`` are uvicorn's own.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        given: dict[str, Any] = {
            "http": _http_protocol(),
            "ws": _websocket_protocol,  # called as a class would be
            "ws_per_message_deflate": False,
            "ws_ping_interval": None,  # whoever talks through it watches its own ends
            "lifespan": "off",
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "date_header": False,
            "timeout_keep_alive": KEEP_ALIVE,
        }
        self._config = Config(app, **given | options)
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Listen on ``sock``, which is bound already."""
        self._config.load()
        self._state.default_headers = self._config.encoded_headers
        loop = asyncio.get_running_loop()
        listen = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
        self._server = await listen(self._protocol, sock=sock)

    def _protocol(self) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self._config.http_protocol_class
        return make(config=self._config, server_state=self._state, app_state={})

    def refuse_new(self) -> None:
        """Take no more connections; those that are open go on."""
        if self._server is not None:
            self._server.close()

    async def stop(self, *, within: float) -> None:
        """End every connection: answers have ``within`` seconds, then they are broken off.

        Safe to repeat, and without a start.
        """
        self.refuse_new()
        for connection in list(self._state.connections):
            connection.shutdown()
        if tasks := set(self._state.tasks):
            _, late = await asyncio.wait(tasks, timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._server = None


def _http_protocol() -> type[asyncio.Protocol]:
    """Return our protocol, loaded by the first server: most programs that import this have none."""
    from mesh.http_protocol import GuardedHttp

    return GuardedHttp


def _websocket_protocol(**options: Any) -> asyncio.Protocol:
    """Return our protocol of WebSockets, loaded by the first one: few programs have any."""
    from mesh.websocket_protocol import GuardedWebSocket

    return GuardedWebSocket(**options)
