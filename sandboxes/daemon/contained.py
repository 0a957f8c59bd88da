"""What is different for the one sandbox of a container.

It listens on a port, because no socket file reaches out of a container; and its token, which
the server put there just before the start, is gone before the first agent is started.
"""

from __future__ import annotations

import ctypes
import logging
import socket
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_PR_SET_DUMPABLE: Final = 4


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
    """Write ``DAEMON_TOKEN`` and ``DAEMON_SPEC`` into ``root``, and take them out of ``environ``.

    For a cluster, where nobody can put files into a sandbox before it starts.
    """
    given = {"token": environ.pop("DAEMON_TOKEN", ""), "spec.json": environ.pop("DAEMON_SPEC", "")}
    for name, text in given.items():
        if text:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            (root / name).write_text(text, encoding="utf-8")
            (root / name).chmod(0o600)


def hide(token: Path) -> None:
    """Remove the token's file, and keep other processes of our user out of our memory.

    Whoever starts the container again puts the token there again.
    """
    token.unlink(missing_ok=True)
    try:
        failed = ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, AttributeError):
        failed = True
    if failed:
        log.warning("Other processes of this container may read this one's memory.")
