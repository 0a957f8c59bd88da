"""The application for other processes: forwards requests to a laptop that this process holds.

    ANY  /links/<id>/to/<path>?<query>   forwarded, signed for the laptop, and streamed back
    POST /links/<id>/check               {"seconds": the present round-trip time, or null}

Every request is signed with the cluster's key. The header ``x-mesh-hop`` marks answers of this
process itself rather than the laptop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from uuid import UUID

import httpx

from links import held_machines
from links.connection import FIRST_ANSWER
from links.errors import LinkOffline
from links.held_machines import Held
from links.internal.signing import cluster_key
from links.peer import StreamLost
from links.signed_requests import UNPROVEN, Verifier, send_json, target_of
from links.sockets import OF_HANDSHAKE, join, refuse
from links.transport import STREAMED
from links.upload import Body, Upload, declared_length, unless_left
from links.wire import signing, streamed
from mesh.lib.asgi import Receive, Scope, Send
from mesh.lib.errors import AppError
from mesh.lib.targets import checked_target

HOP: Final = "x-mesh-hop"
PASSES_STREAMS: Final = "x-mesh-hop-streams"  # this process passes streamed bodies on
OFFLINE: Final = b"offline"  # the laptop's socket is not held here
LOST: Final = b"lost"  # its connection was lost before it answered
REFUSED: Final = b"refused"

# Hop-by-hop headers, and those that we or the next hop set.
_DROPPED: Final = {
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    HOP,
    *signing.HEADERS,
}


class InternalApp:
    """An ASGI application for a listener that only this cluster's processes can use."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._verifier = Verifier(cluster_key, clock=clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._join(scope, receive, send)
            return
        try:
            scope = {**scope, UNPROVEN: signing.MAX_UNPROVEN}
            body = await self._body(scope, receive)
            link_id, action, target = _parse(checked_target(target_of(scope)))
            connection = held_machines.find(link_id)
            if connection is None:
                raise LinkOffline
        except LinkOffline as exc:
            await send_json(send, exc.status, exc.body(), _hop(OFFLINE))
        except AppError as exc:
            await send_json(send, exc.status, exc.body(), _hop(REFUSED))
        else:
            if action == "check":
                await send_json(send, 200, {"seconds": await check(connection)})
            else:
                await _forward(connection, scope, target, body, receive, send)

    async def _body(self, scope: Scope, receive: Receive) -> Body:
        if self._verifier.admits_streamed(scope, may_stream=_may_stream):
            length, _ = declared_length(scope)
            return Upload(receive, length)
        return await self._verifier.read(scope, receive)

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._verifier.verify(scope, b"")
            link_id, action, target = _parse(checked_target(target_of(scope)))
            connection = held_machines.find(link_id)
            if action != "to" or connection is None:
                raise LinkOffline
        except AppError as exc:
            await receive()
            await refuse(scope, send, exc.status)
            return
        protocols = scope.get("subprotocols", [])
        opening = connection.websocket(target, forwarded_headers(scope), protocols)
        await join(scope, receive, send, opening)


async def check(connection: Held) -> float | None:
    """Return the round-trip time; if the machine is gone, wait until its row says so."""
    seconds = await connection.check()
    if seconds is None and connection.closed_with is not None:
        await connection.released.wait()
    return seconds


def _parse(target: str) -> tuple[UUID, str, str]:
    """Return link, action and, for the laptop, the target.

    Raises:
        LinkOffline: there is no such route, so no such laptop.
    """
    _, _, rest = target.partition("/links/")
    name, _, rest = rest.partition("/")
    action, _, inner = rest.partition("/")
    try:
        return UUID(name), action, f"/{inner}"
    except ValueError as exc:
        raise LinkOffline from exc


def _may_stream(target: str) -> bool:
    try:
        _, action, inner = _parse(target)
    except LinkOffline:
        return False
    return action == "to" and streamed.laptop_may_stream(inner)


async def _forward(
    connection: Held, scope: Scope, target: str, body: Body, receive: Receive, send: Send
) -> None:
    """Forward the request and stream its answer back; cancel it when the client disconnects."""
    with suppress(asyncio.CancelledError):
        await unless_left(receive, body, _exchange(connection, scope, target, body, send))


async def _exchange(connection: Held, scope: Scope, target: str, body: Body, send: Send) -> None:
    client = connection.client
    headers = forwarded_headers(scope)
    is_upload = isinstance(body, Upload)
    if isinstance(body, Upload) and body.length is not None:
        headers.append(("content-length", str(body.length)))
    request = client.build_request(
        scope["method"],
        httpx.URL("http://laptop").copy_with(raw_path=target.encode("latin-1")),
        headers=headers,
        content=body.pieces() if isinstance(body, Upload) else body,
        # The caller has timeouts of its own, but can't see whether its request progresses here. A
        # dev server may take its time for an upload.
        timeout=httpx.Timeout(None, write=None if is_upload else FIRST_ANSWER),
        extensions={"target": target.encode("ascii"), STREAMED: is_upload},
    )
    try:
        answer = await client.send(request, stream=True)
    except (httpx.TransportError, StreamLost) as exc:
        await send_json(send, 502, LinkOffline(str(exc)).body(), _hop(LOST))
        return
    try:
        kept = [pair for pair in answer.headers.raw if pair[0].lower() not in _NOT_RETURNED]
        if streamed.HEADER in answer.headers:
            kept.append((PASSES_STREAMS.encode(), b"1"))
        await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
        # A later failure aborts the connection: a partial answer must not pass for the whole.
        async for chunk in answer.aiter_raw():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await answer.aclose()


_NOT_RETURNED: Final = {
    *(b"connection", b"keep-alive", b"transfer-encoding"),
    *(HOP.encode(), PASSES_STREAMS.encode()),
}


def forwarded_headers(scope: Scope) -> list[tuple[str, str]]:
    """Return the request's headers that are meant for the laptop."""
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in scope["headers"]
        if name not in OF_HANDSHAKE and name.decode("latin-1") not in _DROPPED
    ]


def _hop(why: bytes) -> list[tuple[bytes, bytes]]:
    return [(HOP.encode(), why)]
