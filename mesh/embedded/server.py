"""The server process of an embedded Mesh: uvicorn with hooks for its start and its end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from types import FrameType

from mesh.http_server import process_config
from mesh.lib.errors import AppError
from mesh.process_server import END_WITHIN, ProcessServer


class PortTaken(AppError):
    code = "port_taken"


def listen(port: int) -> socket.socket:
    """Return a socket that listens on 127.0.0.1 at ``port`` (0: any free one).

    Raises:
        PortTaken: another program uses the port.
    """
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("127.0.0.1", port))
    except OSError as exc:
        server.close()
        error = PortTaken(f"Mesh can't listen on port {port} of this machine: {exc.strerror}.")
        error.hint = f"Start Mesh on another: MESH_PORT={port + 1} make run"  # type: ignore[misc]
        raise error from exc
    server.listen(1024)
    return server


class Server(ProcessServer):
    """A server that calls ``on_ready`` once it serves, and ``before_exit`` before it stops."""

    # Beside what ``before_exit`` may take: its link five seconds, its sandboxes eight, twice.
    end_within = END_WITHIN + 21

    def __init__(
        self,
        application: Callable[..., Awaitable[None]],
        *,
        on_ready: Callable[[], Awaitable[None]],
        before_exit: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(process_config(application, timeout_graceful_shutdown=2))
        self._on_ready, self._before_exit = on_ready, before_exit
        self._leaving: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if not self.should_exit:
            self._loop = asyncio.get_running_loop()
            await self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start to stop on the first signal; exit immediately on the second Ctrl-C."""
        if self._leaving is not None or not self.started:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
            return
        self.end_in_time()
        # A signal handler may only schedule work on the loop.
        self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._end_others_first())

    async def _end_others_first(self) -> None:
        try:
            await self._before_exit()
        finally:
            self.should_exit = True
