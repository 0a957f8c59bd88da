"""The listener for other processes' requests: on a unix socket or an address of its own."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Final

from links import held_machines
from links.internal.app import InternalApp
from links.sockets import MAX_MESSAGE
from mesh.http_server import HttpServer

logger = logging.getLogger(__name__)

LONGEST: Final = 100  # bytes of a unix socket's path; systems allow 104 to 108


class Listener:
    """Listens from ``start`` to ``stop``, at ``held_machines.address()``.

    ``at`` is ``host:port`` (port 0: any free one), or empty for a unix socket below ``home``,
    which reaches processes of the same machine only.
    """

    def __init__(self, *, home: Path, at: str = "") -> None:
        self._home = home
        self._at = at
        self._folder: Path | None = None
        self._path: Path | None = None
        self._server: HttpServer | None = None

    async def start(self) -> str:
        """Listen; return the address at which other processes reach it."""
        sock, address = self._tcp() if self._at else self._unix()
        # The other process may be on another machine, which can disappear without closing.
        self._server = HttpServer(InternalApp(), ws_max_size=MAX_MESSAGE, ws_ping_interval=20.0)
        await self._server.start(sock)
        held_machines.accept_requests_at(address)
        logger.info("links: accepting other server processes' requests at %s", address)
        return address

    async def stop(self) -> None:
        held_machines.accept_requests_at("")
        if self._server is not None:
            await self._server.stop(within=0)
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _tcp(self) -> tuple[socket.socket, str]:
        host, _, port = self._at.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.create_server((host.strip("[]"), int(port)), family=family)
        return sock, f"http://{host}:{sock.getsockname()[1]}"

    def _unix(self) -> tuple[socket.socket, str]:
        folder = self._home / "node"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{os.getpid()}.sock"
        if len(os.fsencode(path)) > LONGEST:
            self._folder = Path(tempfile.mkdtemp(prefix="mesh-node-"))  # 0700 too
            path = self._folder / "node.sock"
        path.unlink(missing_ok=True)  # of an earlier process with our pid
        self._path = path
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(str(path))
        path.chmod(0o600)
        return sock, f"unix:{path}"
