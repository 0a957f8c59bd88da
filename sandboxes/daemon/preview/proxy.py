"""Proxies requests and WebSockets to the project's dev server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from links.local_websockets import dial_port
from links.sockets import ClientSocket, Refused, join
from links.upload import Body, Upload, UploadBroken, body_of, unless_left
from links.upstream import Answer, NotHttp, Pool, UpstreamError
from mesh.lib.errors import AppError
from mesh.lib.unpacking import BadPacking, Unpacker
from sandboxes.daemon.guard import answer
from sandboxes.daemon.preview.address import Address
from sandboxes.daemon.preview.rules import (
    Inserter,
    gets_script,
    inbound,
    outbound,
    unpacker_of,
    waiting_page,
    wants_page,
)
from sandboxes.daemon.setup.phases import Phases
from sandboxes.daemon.setup.server import PORT_HINT

# Seconds until the dev server must have started its response, after the last of the request: for
# a page that somebody waits for, and for all else, which may be a long poll.
PAGE_WITHIN, HEAD_WITHIN = 120.0, 600.0
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


class NothingAnswers(NotRunning):
    """It runs, and nothing of it answers at any port."""

    hint = PORT_HINT


class DevServerSlow(AppError):
    code = "dev_server_slow"
    text = "The dev server took the request and did not start to answer."
    hint = "Check its log: it may be stuck, or still be compiling the page."
    status = 504


class BadAnswer(AppError):
    """What listens at the port speaks another protocol, or HTTP that no browser accepts."""

    code = "dev_server_bad_answer"
    text = "The dev server's answer can't be read."
    hint = "Check that the port is the one of its web pages, and its log."
    status = 502


class Preview:
    """An ASGI app for everything below ``prefix``/preview, and for all paths outside ``prefix``."""

    def __init__(
        self,
        prefix: str,
        *,
        address: Callable[[], Address | None],
        phases: Phases,
        on_failure: Callable[[], object],
    ) -> None:
        self._prefix = prefix.encode()
        self._address = address
        self._phases, self._on_failure = phases, on_failure
        self._pools: dict[Address, Pool] = {}
        self.open_sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = self._target(scope)
        address = self._address()
        if address is None:
            self._on_failure()  # it may be there by now
        if scope["type"] == "websocket":
            await self._join(scope, receive, send, target, address)
        elif address is None:
            await self._waiting(scope, again_in=2)(scope, receive, send)
        else:
            await self._forward(scope, receive, send, target, address)

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
        self, scope: Scope, receive: Receive, send: Send, target: str, address: Address
    ) -> None:
        body = await body_of(scope, receive)
        # A long poll may wait for minutes, and an event stream has no end of its own.
        await unless_left(receive, body, self._exchange(scope, send, target, address, body))

    async def _exchange(
        self, scope: Scope, send: Send, target: str, address: Address, body: Body
    ) -> None:
        try:
            reply = await self._ask(scope, target, address, body)
        except UploadBroken:
            return  # there is nobody to answer
        except (TimeoutError, UpstreamError) as exc:
            await self._failed(exc, scope, target)(scope, _nothing_more, send)
            return
        try:
            await _pass_on(reply, send, address.port, method=scope["method"])
        finally:
            reply.close()

    async def _ask(self, scope: Scope, target: str, address: Address, body: Body) -> Answer:
        """Return the dev server's answer; an upload may take any time while some of it arrives.

        Raises:
            TimeoutError: it does not start to answer.
            UpstreamError, UploadBroken: see ``Pool.request``.
        """
        within = PAGE_WITHIN if wants_page(scope["headers"]) else HEAD_WITHIN
        headers = inbound(scope["headers"], address.origin)
        now = asyncio.get_running_loop().time
        async with asyncio.timeout(within) as limit:
            if isinstance(body, Upload):
                body.on_piece = lambda: limit.reschedule(now() + within)
            try:
                return await self._pool(address).request(
                    scope["method"], target, headers=headers, body=body
                )
            finally:
                if isinstance(body, Upload):
                    body.on_piece = lambda: None  # the rest has no hurry

    def _failed(self, exc: Exception, scope: Scope, target: str) -> Response:
        """Return what a browser or a program is told when no answer came."""
        if isinstance(exc, NotHttp):
            return _told(BadAnswer(f"The dev server's answer can't be read: {exc}."), scope)
        if isinstance(exc, TimeoutError):
            return _told(DevServerSlow(), scope)
        self._on_failure()
        is_page = target == "/" and wants_page(scope["headers"])
        return self._waiting(scope, again_in=1) if is_page else answer(DevServerDown())

    def _pool(self, address: Address) -> Pool:
        if address not in self._pools:
            self.close()
            pool = Pool(address.port, loopback=address.loopback, tls=address.tls)
            self._pools = {address: pool}
        return self._pools[address]

    def _waiting(self, scope: Scope, *, again_in: int) -> Response:
        """Return the progress: as a page for a browser, as an error's JSON for a program."""
        phase = self._phases.last
        title, said, error = "Starting…", "It will start in a moment.", NotRunning()
        if phase is not None and phase.is_failure:
            title, again_in = "The preview is not running", 5
            said = str(dict(phase.detail).get("reason", ""))
            error = NotRunning(said or title, phase=phase.kind)
        elif phase is not None and phase.kind == "unseen":
            detail = dict(phase.detail)
            title, again_in, said = "Nothing answers yet", 5, f"{detail['reason']} {detail['hint']}"
            error = NothingAnswers(detail["reason"], phase=phase.kind)
        elif phase is not None:
            said = f"{phase.kind.capitalize()}…"
            error = NotRunning(phase=phase.kind)
        headers = {"retry-after": str(again_in), "cache-control": "no-store"}
        if not wants_page(scope["headers"]):
            return JSONResponse(error.body(), 503, headers)
        page = waiting_page(title, said, again_in=again_in)
        return Response(page, 503, headers, "text/html; charset=utf-8")

    async def _join(
        self, scope: Scope, receive: Receive, send: Send, target: str, address: Address | None
    ) -> None:
        if address is None:
            await _close(receive, send, NO_SERVER)
            return
        try:
            far = await dial_port(
                address.port,
                target,
                inbound(scope["headers"], address.origin),
                scope.get("subprotocols", []),
                loopback=address.loopback,
                tls=address.tls,
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


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


def _told(error: AppError, scope: Scope) -> Response:
    """Return an error: as a page for a browser, as JSON for a program."""
    if not wants_page(scope["headers"]):
        return answer(error)
    page = waiting_page("The dev server can't be shown", f"{error} {error.hint}")
    headers = {"cache-control": "no-store"}
    return Response(page, error.status, headers, "text/html; charset=utf-8")


async def _ready(far: ClientSocket) -> ClientSocket:
    return far


async def _close(receive: Receive, send: Send, reason: str) -> None:
    """Accept, then close: a browser does not show the reason of a refused handshake."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 1011, "reason": reason})


async def _pass_on(reply: Answer, send: Send, port: int, *, method: str) -> None:
    """Send the dev server's answer as it comes: its bytes as they are, or a page with our script.

    A page that is compressed in a way we can't read goes without the script.
    """
    unpacker = (
        unpacker_of(reply.headers) if gets_script(method, reply.status, reply.headers) else None
    )
    headers = outbound(reply.headers, port, is_changed=unpacker is not None)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    inserter = Inserter()
    async for chunk in reply.chunks():
        if unpacker is None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            continue
        for piece in _unpacked(unpacker, chunk):
            if told := inserter.feed(piece):
                await send({"type": "http.response.body", "body": told, "more_body": True})
    rest = inserter.end() if unpacker is not None else b""
    await send({"type": "http.response.body", "body": rest, "more_body": False})


def _unpacked(unpacker: Unpacker, chunk: bytes) -> Iterator[bytes]:
    try:
        yield from unpacker.feed(chunk)
    except BadPacking as exc:
        raise UpstreamError(str(exc)) from exc
