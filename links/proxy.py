"""WebSockets of browsers, joined to ones behind a laptop: an ASGI application's work.

Requests without WebSocket need no more than ``links.calls.client_for``.
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
    FarSocket,
    Parting,
    Refused,
    Straight,
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
    """Join the WebSocket of ``scope`` to ``target`` of the laptop's control plane.

    ``headers`` go along; the caller leaves out what is the server's alone, such as cookies.
    Refused with 502 where the laptop can't be reached, or with what it answers; with 400 where
    ``target`` may not be passed on.
    """
    wanted: Sequence[str] = scope.get("subprotocols", [])
    await join(scope, receive, send, _open(link_id, target, headers, wanted))


async def _open(link_id: UUID, target: str, headers: Pairs, wanted: Sequence[str]) -> FarSocket:
    connection = held_machines.find(link_id)
    if connection is not None:
        return await connection.websocket(target, headers, wanted)
    try:
        address = await calls.owner_of(link_id)
    except LinkOffline as exc:
        raise Refused(502) from exc
    return await open_far(address, link_id, target, headers, wanted)


async def open_far(
    address: str, link_id: UUID, target: str, headers: Pairs, wanted: Sequence[str]
) -> FarSocket:
    """Return a WebSocket through the process at ``address``, which holds the laptop's socket.

    Raises:
        Refused: by that process or the laptop, or one of them can't be reached.
    """
    far = f"/links/{link_id}/to{target}"
    proof = signed_headers(method="GET", target=far, body=b"")
    options: dict[str, Any] = {
        "create_connection": Parting,
        "additional_headers": [*headers, *proof.items()],
        "subprotocols": [Subprotocol(name) for name in wanted] or None,
        "compression": None,
        "max_size": MAX_MESSAGE,
        "user_agent_header": None,
        "ping_interval": None,
    }
    return await connected(_connect(address, far, options))


def _connect(address: str, target: str, options: dict[str, Any]) -> Awaitable[Any]:
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        return Straight(address_of("ws://owner", target), unix=True, path=rest, **options)
    return Straight(address_of(f"ws:{rest}", target), proxy=None, **options)
