"""How Mesh serves HTTP: one configuration of uvicorn for all its servers, and one of their kinds.

A server process is uvicorn's own ``Server``, with ``process_config``. That one wakes ten times a
second to look at a flag, takes the process's signals, and is made for one port. What listens
beside it, or on a laptop, whose programs rest when nobody asks, is an ``HttpServer``: uvicorn's
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


# Of every server of ours.
_COMMON: Final[Mapping[str, Any]] = {
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,  # mesh.client_address reads them, by MESH_PROXIES
    # The tunnel's frames are data already packed or tokens too short to pack.
    "ws_per_message_deflate": False,
    # Whoever talks through a WebSocket finds out by its own pings who is still there.
    "ws_ping_interval": None,
    "timeout_keep_alive": KEEP_ALIVE,
}
PAGES_MESSAGE: Final = 4 * 1024 * 1024  # bytes of a WebSocket's message, from a laptop or a page


def process_config(app: Any, **options: Any) -> Config:
    """Return how a process of the server serves ``app``; ``options`` are uvicorn's own."""
    given: dict[str, Any] = {
        "http": _http_protocol(),
        "ws": _websocket_protocol,  # called as a class would be
        "lifespan": "on",
        "ws_max_size": PAGES_MESSAGE,
    }
    return Config(app, **{**_COMMON, **given, **options})


class HttpServer:
    """Serves an ASGI application in the running loop, from ``start`` to ``stop``.

    ``options`` are uvicorn's own.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        given: dict[str, Any] = {
            "http": _http_protocol(),
            "ws": _websocket_protocol,  # called as a class would be
            "lifespan": "off",
            "date_header": False,
        }
        self._config = Config(app, **{**_COMMON, **given, **options})
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
