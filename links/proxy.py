"""Proxies WebSockets of browsers to ones behind a laptop, for ASGI applications.

Plain requests need only ``links.calls.client_for``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any
from uuid import UUID

from websockets.typing import Subprotocol

from links import calls, held_machines
from links.errors import LinkOffline
from links.internal.signing import signed_headers
from links.sockets import (
    MAX_MESSAGE,
    AbortingConnection,
    FarSocket,
    NoRedirectConnect,
    Refused,
    address_of,
    connected,
    join,
)
from mesh.lib.asgi import Receive, Scope, Send

Pairs = Sequence[tuple[str, str]]


async def proxy_websocket(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    link_id: UUID,
    target: str,
    headers: Pairs = (),
) -> None:
    """Connect the WebSocket of ``scope`` to ``target`` of the laptop's control plane.

    ``headers`` are forwarded; the caller omits those meant for the server only, such as cookies.
    Refused with 502 if the laptop can't be reached, with its own status if it refuses, or with 400
    if ``target`` may not be forwarded.
    """
    protocols: Sequence[str] = scope.get("subprotocols", [])
    await join(scope, receive, send, _open(link_id, target, headers, protocols))


async def _open(link_id: UUID, target: str, headers: Pairs, protocols: Sequence[str]) -> FarSocket:
    connection = held_machines.find(link_id)
    if connection is not None:
        return await connection.websocket(target, headers, protocols)
    try:
        address = await calls.owner_of(link_id)
    except LinkOffline as exc:
        raise Refused(502) from exc
    return await open_through(address, link_id, target, headers, protocols)


async def open_through(
    address: str, link_id: UUID, target: str, headers: Pairs, protocols: Sequence[str]
) -> FarSocket:
    """Return a WebSocket through the process at ``address``, which holds the laptop's socket.

    Raises:
        Refused: that process or the laptop refused, or can't be reached.
    """
    outer = f"/links/{link_id}/to{target}"
    proof = signed_headers(method="GET", target=outer, body=b"")
    options: dict[str, Any] = {
        "create_connection": AbortingConnection,
        "additional_headers": [*headers, *proof.items()],
        "subprotocols": [Subprotocol(name) for name in protocols] or None,
        "compression": None,
        "max_size": MAX_MESSAGE,
        "user_agent_header": None,
        "ping_interval": None,
    }
    return await connected(_connect(address, outer, options))


def _connect(address: str, target: str, options: dict[str, Any]) -> Awaitable[Any]:
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        return NoRedirectConnect(address_of("ws://owner", target), unix=True, path=rest, **options)
    return NoRedirectConnect(address_of(f"ws:{rest}", target), proxy=None, **options)
