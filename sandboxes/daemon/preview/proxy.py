"""Proxies requests and WebSockets to the project's dev server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from links.local_websockets import dial_port
from links.signed_requests import read_body
from links.sockets import ClientSocket, Refused, join
from links.upstream import Answer, Pool, UpstreamError
from mesh.lib.errors import AppError
from sandboxes.daemon.feeds import unless_disconnected
from sandboxes.daemon.guard import BODY_LIMIT, answer
from sandboxes.daemon.preview.rules import (
    Inserter,
    inbound,
    is_html,
    outbound,
    waiting_page,
    wants_page,
)
from sandboxes.daemon.setup.phases import Phases

HEAD_WITHIN = 60.0  # seconds until the dev server must have started its response
NO_SERVER, UNREACHABLE = "no upstream dev server", "upstream not reachable"


class DevServerDown(AppError):
    code = "dev_server_down"
    text = "The dev server does not answer."
    hint = "It may still be starting; its log is among the sandbox's events."
    status = 502


class NotRunning(AppError):
    """There is no dev server yet, or no longer."""

    code = "dev_server_starting"
    text = "The dev server is not running yet."
    hint = "Try again in a moment."
    status = 503


class DevServerSlow(AppError):
    code = "dev_server_slow"
    text = "The dev server did not start to answer within 60 s."
    hint = "Check its log."
    status = 504


class Preview:
    """An ASGI app for everything below ``prefix``/preview, and for all paths outside ``prefix``."""

    def __init__(
        self,
        prefix: str,
        *,
        port: Callable[[], int | None],
        loopback: Callable[[], str],
        phases: Phases,
        on_failure: Callable[[], object],
    ) -> None:
        self._prefix = prefix.encode()
        self._port, self._loopback = port, loopback
        self._phases, self._on_failure = phases, on_failure
        self._pools: dict[tuple[int, str], Pool] = {}
        self.open_sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = self._target(scope)
        port = self._port()
        if scope["type"] == "websocket":
            await self._join(scope, receive, send, target, port)
        elif port is None:
            await self._waiting(scope, again_in=2)(scope, receive, send)
        else:
            await self._forward(scope, receive, send, target, port)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def _target(self, scope: Scope) -> str:
        raw: bytes = scope["raw_path"]
        own = self._prefix + b"/preview"
        if raw == own or raw.startswith(own + b"/"):
            raw = raw[len(own) :] or b"/"
        elif raw == self._prefix or raw.startswith(self._prefix + b"/"):
            raise HTTPException(404)  # our own path, not the dev server's
        query: bytes = scope["query_string"]
        return (raw + (b"?" + query if query else b"")).decode("latin-1")

    async def _forward(
        self, scope: Scope, receive: Receive, send: Send, target: str, port: int
    ) -> None:
        body = await read_body(receive, BODY_LIMIT)
        pool = self._pool(port)
        try:
            async with asyncio.timeout(HEAD_WITHIN):
                reply = await pool.request(
                    scope["method"], target, headers=inbound(scope["headers"], port), body=body
                )
        except TimeoutError as exc:
            raise DevServerSlow from exc
        except UpstreamError:
            self._on_failure()
            is_page = target == "/" and wants_page(scope["headers"])
            failed = self._waiting(scope, again_in=1) if is_page else answer(DevServerDown())
            await failed(scope, receive, send)
            return
        try:
            passing = _pass_on(reply, send, port, method=scope["method"])
            await unless_disconnected(receive, passing)  # an event stream has no end of its own
        finally:
            reply.close()

    def _pool(self, port: int) -> Pool:
        key = (port, self._loopback())
        if key not in self._pools:
            self.close()
            self._pools = {key: Pool(port, loopback=key[1])}
        return self._pools[key]

    def _waiting(self, scope: Scope, *, again_in: int) -> Response:
        """Return the progress: as a page for a browser, as an error's JSON for a program."""
        phase = self._phases.last
        title, said, error = "Starting…", "It will start in a moment.", NotRunning()
        if phase is not None and phase.is_failure:
            title, again_in = "The preview is not running", 5
            said = str(dict(phase.detail).get("reason", ""))
            error = NotRunning(said or title, phase=phase.kind)
        elif phase is not None:
            said = f"{phase.kind.capitalize()}…"
            error = NotRunning(phase=phase.kind)
        headers = {"retry-after": str(again_in), "cache-control": "no-store"}
        if not wants_page(scope["headers"]):
            return JSONResponse(error.body(), 503, headers)
        page = waiting_page(title, said, again_in=again_in)
        return Response(page, 503, headers, "text/html; charset=utf-8")

    async def _join(
        self, scope: Scope, receive: Receive, send: Send, target: str, port: int | None
    ) -> None:
        if port is None:
            await _close(receive, send, NO_SERVER)
            return
        try:
            far = await dial_port(
                port,
                target,
                inbound(scope["headers"], port),
                scope.get("subprotocols", []),
                loopback=self._loopback(),
            )
        except Refused:
            self._on_failure()
            await _close(receive, send, UNREACHABLE)
            return
        self.open_sockets += 1
        try:
            await join(scope, receive, send, _ready(far))
        finally:
            self.open_sockets -= 1


async def _ready(far: ClientSocket) -> ClientSocket:
    return far


async def _close(receive: Receive, send: Send, reason: str) -> None:
    """Accept, then close: a browser does not show the reason of a refused handshake."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 1011, "reason": reason})


async def _pass_on(reply: Answer, send: Send, port: int, *, method: str) -> None:
    inserter = Inserter() if is_html(reply.headers) and method != "HEAD" else None
    headers = outbound(reply.headers, port, is_changed=inserter is not None)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    async for piece in reply.chunks():
        if inserter is not None:
            piece = inserter.feed(piece)
        if piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    rest = inserter.end() if inserter is not None else b""
    await send({"type": "http.response.body", "body": rest, "more_body": False})
