"""What differs for a sandbox that runs in a container.

It listens on a port, because a socket file can't be reached from outside the container; and the
secrets that the server puts there (token, server-key) are removed before the first agent starts.
"""

from __future__ import annotations

import ctypes
import logging
import socket
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from sandboxes.daemon.startup_secrets import StartupSecrets

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
        ValueError: it has another form.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT.")
    return host.strip("[]"), int(port)


def listening(address: tuple[str, int]) -> socket.socket:
    """Return a socket that listens on ``address``."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    listener.bind(address)
    listener.listen(128)
    return listener


def unpack(root: Path, environ: MutableMapping[str, str]) -> None:
    """Move the secrets and the spec from ``environ`` into files in ``root``.

    For a cluster, where the server can't put files into a sandbox before it starts. Files that
    are already on the volume are replaced: agents can write there.
    """
    values = {name: environ.pop(variable, "") for name, variable in _VARIABLES.items()}
    if not any(values.values()):
        return
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in values.items():
        (root / name).unlink(missing_ok=True)
        if text:
            (root / name).write_text(text, encoding="utf-8")
            (root / name).chmod(0o600)


def take(root: Path) -> StartupSecrets:
    """Return and remove the secrets that the server put into ``root``; a missing one is empty.

    The server puts them there again before each start of the container.
    """
    token, key = (_take_file(root / name) for name in ("token", "server-key"))
    return StartupSecrets(server_key=key, token=token)


def _take_file(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
    path.unlink()
    return text


def close_memory() -> None:
    """Keep other processes of this user from reading our memory, where the system can."""
    if sys.platform != "linux":
        return
    try:
        failed = ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, AttributeError):
        failed = True
    if failed:
        logger.warning(
            "the kernel refused PR_SET_DUMPABLE: other processes of this user can read this"
            " sandbox's memory, continuing"
        )
