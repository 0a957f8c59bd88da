"""WebSockets to listeners on this machine: a sandbox's unix socket, or a port."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Final

from websockets.typing import Subprotocol

from links.sockets import (
    MAX_MESSAGE,
    OF_HANDSHAKE,
    AbortingConnection,
    ClientSocket,
    NoRedirectConnect,
    address_of,
    connected,
)

OPEN_WITHIN: Final = 10.0
CLOSE_WITHIN: Final = 3.0


async def dial_socket(
    path: Any, target: str, headers: Iterable[tuple[bytes, bytes]], protocols: Sequence[str]
) -> ClientSocket:
    """Return a WebSocket to ``target`` at the unix socket ``path``.

    Raises:
        Refused: the connection failed or was refused.
    """
    options = _options(headers, protocols)
    address = address_of("ws://sandbox", target)
    return await connected(NoRedirectConnect(address, unix=True, path=path, **options))


async def dial_port(
    port: Any,
    target: str,
    headers: Iterable[tuple[bytes, bytes]],
    protocols: Sequence[str],
    *,
    loopback: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> ClientSocket:
    """Return a WebSocket to ``target`` at a port of this machine, over ``tls`` if it is given.

    Raises:
        Refused: the connection failed or was refused.
    """
    options = _options(headers, protocols)
    scheme = "wss" if tls else "ws"
    address = address_of(f"{scheme}://localhost:{port}", target)
    connecting = NoRedirectConnect(address, host=loopback, proxy=None, ssl=tls, **options)
    return await connected(connecting)


def _options(headers: Iterable[tuple[bytes, bytes]], protocols: Sequence[str]) -> dict[str, Any]:
    kept = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers
        if name not in OF_HANDSHAKE
    ]
    return {
        "create_connection": AbortingConnection,
        "additional_headers": kept,
        "subprotocols": [Subprotocol(name) for name in protocols] or None,
        "compression": None,
        "max_size": MAX_MESSAGE,
        "ping_interval": None,  # the tunnel's ends ping each other
        "open_timeout": OPEN_WITHIN,
        "close_timeout": CLOSE_WITHIN,
        "user_agent_header": None,
    }
