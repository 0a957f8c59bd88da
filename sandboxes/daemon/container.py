"""What is different for the one sandbox of a container.

It listens on a port, because no socket file reaches out of a container; and what the server put
there just before the start (token, server-key) is gone before the first agent is started.
"""

from __future__ import annotations

import ctypes
import logging
import socket
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from sandboxes.daemon.startup_secrets import Given

logger = logging.getLogger(__name__)

_PR_SET_DUMPABLE: Final = 4
_VARIABLES: Final = {
    "token": "DAEMON_TOKEN",
    "server-key": "DAEMON_SERVER_KEY",
    "spec.json": "DAEMON_SPEC",
}


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``.

    Raises:
        ValueError: it is of another form.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT.")
    return host.strip("[]"), int(port)


def listening(address: tuple[str, int]) -> socket.socket:
    """Return a socket that listens at ``address``."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    listener.bind(address)
    listener.listen(128)
    return listener


def unpack(root: Path, environ: MutableMapping[str, str]) -> None:
    """Write what the environment has for us into ``root``, and take it out of ``environ``.

    For a cluster, where nobody can put files into a sandbox before it starts. A file of the
    volume is not what the server gave: agents write there.
    """
    given = {name: environ.pop(variable, "") for name, variable in _VARIABLES.items()}
    if not any(given.values()):
        return
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in given.items():
        (root / name).unlink(missing_ok=True)
        if text:
            (root / name).write_text(text, encoding="utf-8")
            (root / name).chmod(0o600)


def take(root: Path) -> Given:
    """Return what the server put into ``root``, and remove it; what is missing is empty.

    Whoever starts the container again puts the files there again.
    """
    token, key = (_taken(root / name) for name in ("token", "server-key"))
    return Given(server_key=key, token=token)


def _taken(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
    path.unlink()
    return text


def close_memory() -> None:
    """Keep other processes of our user out of our memory, where the system can."""
    if sys.platform != "linux":
        return
    try:
        failed = ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, AttributeError):
        failed = True
    if failed:
        logger.warning("Other processes of this user may read this one's memory.")
