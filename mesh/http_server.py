"""How Mesh serves HTTP: one uvicorn configuration for all servers, and a small server class.

A server process is uvicorn's own ``Server``, with ``process_config``. That class wakes ten times a
second to check a flag, handles the process's signals, and is made for one port. Listeners beside
it, and on a laptop, whose programs should be idle between requests, use ``HttpServer``: uvicorn's
protocol on a socket of our own.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

KEEP_ALIVE: Final = 75  # seconds that an unused connection stays open


# For every server.
_COMMON: Final[Mapping[str, Any]] = {
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,  # mesh.client_address reads them, by MESH_PROXIES
    # The tunnel's frames are compressed already, or tokens too short to compress.
    "ws_per_message_deflate": False,
    # Each protocol on a WebSocket sends its own pings.
    "ws_ping_interval": None,
    "timeout_keep_alive": KEEP_ALIVE,
}
PAGES_MESSAGE: Final = 4 * 1024 * 1024  # bytes of a WebSocket message from a laptop or a page


def process_config(app: Any, **options: Any) -> Config:
    """Return the configuration of a server process; ``options`` are uvicorn's own."""
    defaults: dict[str, Any] = {
        "http": _http_protocol(),
        "ws": _websocket_protocol,  # called as a class would be
        "lifespan": "on",
        "ws_max_size": PAGES_MESSAGE,
    }
    return Config(app, **{**_COMMON, **defaults, **options})


class HttpServer:
    """Serves an ASGI application in the running loop, from ``start`` to ``stop``.

    ``options`` are uvicorn's own.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        defaults: dict[str, Any] = {
            "http": _http_protocol(),
            "ws": _websocket_protocol,  # called as a class would be
            "lifespan": "off",
            "date_header": False,
        }
        self._config = Config(app, **{**_COMMON, **defaults, **options})
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """Listen on ``sock``, which is already bound."""
        self._config.load()
        self._state.default_headers = self._config.encoded_headers
        loop = asyncio.get_running_loop()
        listen = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
        self._server = await listen(self._protocol, sock=sock)

    def _protocol(self) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self._config.http_protocol_class
        return make(config=self._config, server_state=self._state, app_state={})

    def refuse_new(self) -> None:
        """Accept no more connections; open ones continue."""
        if self._server is not None:
            self._server.close()

    async def stop(self, *, within: float) -> None:
        """Close every connection: responses have ``within`` seconds, then they are cut off.

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
    """Return our HTTP protocol, loaded on first use: most importers start no server."""
    from mesh.http_protocol import GuardedHttp

    return GuardedHttp


def _websocket_protocol(**options: Any) -> asyncio.Protocol:
    """Return our WebSocket protocol, loaded with the first connection: few programs have any."""
    from mesh.websocket_protocol import GuardedWebSocket

    return GuardedWebSocket(**options)
