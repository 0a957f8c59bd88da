"""The laptop's control plane: signed requests about sandboxes, and on to them.

An ASGI application, so that it is the same over the tunnel and over a listening socket.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from links.daemon.asgi import AnswerBroken, Receive, Scope, Send
from links.daemon.errors import InvalidJson, NotFound, PortNotAllowed, SandboxDown
from links.daemon.keeping import Keeper
from links.daemon.spec import checked_handle, parse_spec
from links.daemon.supervisor import Supervisor, authorization
from links.dialling import dial_port, dial_socket
from links.sockets import join, refuse
from links.upstream import Headers, Pool, UpstreamError
from links.wire import signing
from links.wire.errors import BodyTooLarge, MissingHeaders
from links.wire.nonces import Nonces
from mesh.lib.errors import AppError

logger = logging.getLogger(__name__)

# Of one hop, or for us: not for the program behind.
_OURS: Final = {
    b"authorization",
    b"connection",
    b"content-length",
    b"host",
    b"keep-alive",
    b"transfer-encoding",
    b"upgrade",
    *(name.encode() for name in (signing.SIGNATURE, signing.TIMESTAMP, signing.NONCE)),
}
REFUSAL: Final = b"x-mesh-refusal"
_PORT: Final = re.compile(r"/_port/([1-9][0-9]{0,4})(/.*)", re.ASCII | re.DOTALL)
_OF_HOP: Final = {b"connection", b"keep-alive", b"transfer-encoding"}


@dataclass(frozen=True, slots=True)
class _Place:
    """What listens on this machine: ``at`` a unix socket or a port, and what it is to be asked."""

    pool: Pool
    at: str | int
    target: str
    proof: Headers


class ControlPlane:
    """Verifies each request against the link's secret of the moment, then carries it out."""

    def __init__(
        self,
        *,
        secret: Callable[[], str],
        supervisor: Supervisor,
        allowed: Sequence[Path] = (),
        ports: Container[int] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret
        self._supervisor = supervisor
        self._keeper = Keeper(supervisor)
        self._allowed = tuple(allowed)
        self._ports = ports  # of this machine that the server may reach, for previews
        self._pools: dict[int, Pool] = {}
        self._clock = clock
        self._nonces = Nonces()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._join(scope, receive, send)
            return
        try:
            body = await _read(receive)
            self._verify(scope, body)
            await self._route(scope, body, send)
        except AppError as exc:
            if exc.status >= 500:
                logger.warning("%s %s: %s", scope["method"], scope["path"], exc.code)
            await _answer(send, exc.status, exc.body())

    def _verify(self, scope: Scope, body: bytes) -> None:
        secret = self._secret()
        if not secret:
            raise MissingHeaders("This machine is not registered yet.")
        signing.verify(
            secret,
            method=scope.get("method", "GET"),  # a WebSocket has none to say
            target=_target(scope),
            headers={n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]},
            body=body,
            now=self._clock(),
            nonces=self._nonces,
        )

    async def _route(self, scope: Scope, body: bytes, send: Send) -> None:
        method, path = scope["method"], scope["raw_path"].decode("latin-1")
        if path.startswith(("/_sandbox/", "/_port/")):
            await self._forward(scope, body, send)
        elif path == "/api/sandboxes" and method == "POST":
            await self._ensure(body, send)
        elif path == "/api/sandboxes" and method == "GET":
            await _answer(send, 200, {"sandboxes": self._supervisor.listing()})
        elif path.startswith("/api/sandboxes/"):
            await self._care(method, path.removeprefix("/api/sandboxes/"), scope, send)
        else:
            raise NotFound

    async def _care(self, method: str, rest: str, scope: Scope, send: Send) -> None:
        """Describe, end, remove or bring back one sandbox."""
        name, slash, verb = rest.partition("/")
        handle = checked_handle(name)
        query = parse_qs(scope["query_string"])
        force, remove = (query.get(flag) == [b"1"] for flag in (b"force", b"remove"))
        if method == "GET" and not slash:
            await _answer(send, 200, await self._keeper.describe(handle))
        elif method == "DELETE" and not slash and remove:
            until = await self._keeper.remove(handle, force=force)
            await _answer(send, 200, {"removed": True, "restorableUntil": int(until * 1000)})
        elif method == "DELETE" and not slash:
            await self._supervisor.delete(handle, force=force)
            await _answer(send, 204, None)
        elif method == "POST" and verb == "restore":
            await self._keeper.restore(handle)
            await _answer(send, 204, None)
        else:
            raise NotFound

    async def _ensure(self, body: bytes, send: Send) -> None:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise InvalidJson from exc
        if not isinstance(value, dict):
            raise InvalidJson
        spec = parse_spec(value, allowed=self._allowed)
        # A caller that goes away must not leave a half-started sandbox behind.
        await asyncio.shield(self._supervisor.ensure(spec))
        await _answer(send, 200, {"sandboxApiUrl": f"/_sandbox/{spec.handle}"})

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Connect a WebSocket to the sandbox, or to a port that may be reached."""
        try:
            self._verify(scope, b"")
            place = self._place(_target(scope))
        except AppError as exc:
            await receive()
            await refuse(scope, send, exc.status)
            return
        dialling = dial_port if isinstance(place.at, int) else dial_socket
        headers = [pair for pair in scope["headers"] if pair[0] not in _OURS]
        opening = dialling(
            place.at, place.target, [*headers, *place.proof], scope.get("subprotocols", [])
        )
        await join(scope, receive, send, opening)

    def _place(self, target: str) -> _Place:
        """Return where ``target`` leads.

        Raises:
            BadHandle, MissingHandle, UnknownHandle, SandboxDown: see there.
            PortNotAllowed: nobody may reach that port from outside.
            NotFound: there is no such address.
        """
        if found := _PORT.fullmatch(target):
            port = int(found[1])
            if port not in self._ports:
                raise PortNotAllowed
            return _Place(self._pools.setdefault(port, Pool(port)), port, found[2], [])
        if not target.startswith("/_sandbox/"):
            raise NotFound
        _, _, handle, rest = target.split("/", 3) if target.count("/") >= 3 else ("", "", "", "")
        sandbox = self._supervisor.find(checked_handle(handle))
        return _Place(
            sandbox.pool, sandbox.pool.path, f"/_sandbox/{rest}", [authorization(sandbox)]
        )

    async def _forward(self, scope: Scope, body: bytes, send: Send) -> None:
        """Stream the request to its sandbox, which knows nothing of handles, and back."""
        place = self._place(_target(scope))
        headers = [pair for pair in scope["headers"] if pair[0] not in _OURS]
        try:
            answer = await place.pool.request(
                scope["method"], place.target, headers=[*headers, *place.proof], body=body
            )
        except UpstreamError as exc:
            raise SandboxDown from exc
        try:
            kept = [pair for pair in answer.headers if pair[0] not in _OF_HOP]
            await send({"type": "http.response.start", "status": answer.status, "headers": kept})
            async for chunk in answer.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except UpstreamError as exc:
            raise AnswerBroken(str(exc)) from exc
        finally:
            answer.close()


def _target(scope: Scope) -> str:
    """Return path and raw query exactly as they were sent: that is what was signed."""
    path: str = scope["raw_path"].decode("latin-1")
    query: str = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def _read(receive: Receive) -> bytes:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > signing.MAX_BODY:
            raise BodyTooLarge
        if not message.get("more_body"):
            return b"".join(chunks)


async def _answer(send: Send, status: int, value: dict[str, Any] | None) -> None:
    body = b"" if value is None else json.dumps(value).encode()
    headers = [(b"content-length", b"%d" % len(body))] if status != 204 else []
    if body:
        headers.append((b"content-type", b"application/json"))
    if status >= 400 and value:
        # Tells our refusals from those of an app in a sandbox, whose answers pass as they are.
        headers.append((REFUSAL, value["error"]["code"].encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
