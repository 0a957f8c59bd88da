"""The laptop's control plane: signed requests that manage sandboxes or are forwarded to them.

An ASGI application, so that it works alike over the tunnel and over a listening socket.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from links.daemon.asgi import AnswerBroken
from links.daemon.errors import InvalidJson, NotFound, SandboxDown
from links.daemon.sandbox_folders import SandboxFolders
from links.daemon.spec import checked_handle, parse_spec
from links.daemon.supervisor import Sandbox, Supervisor, authorization
from links.local_websockets import dial_socket
from links.signed_requests import Verifier, send_json, target_of
from links.sockets import join, refuse
from links.upload import Body, Upload, UploadBroken, declared_length
from links.upstream import Headers, UpstreamError
from links.wire import signing, streamed
from links.wire.headers import REFUSAL
from mesh.lib.asgi import Receive, Scope, Send
from mesh.lib.errors import AppError
from mesh.lib.targets import checked_target

logger = logging.getLogger(__name__)

# Hop-by-hop headers, and those meant for us.
_NOT_FORWARDED: Final = {
    b"authorization",
    b"connection",
    b"content-length",
    b"host",
    b"keep-alive",
    b"transfer-encoding",
    b"upgrade",
    *(name.encode() for name in signing.HEADERS),
}
# The events with which a sandbox ends a run whose agent is not signed in, or not there.
NOT_READY: Final = (
    b'"type":"error","code":"not_signed_in"',
    b'"type":"error","code":"cli_missing"',
)
_HOP_BY_HOP: Final = {b"connection", b"keep-alive", b"transfer-encoding"}
_HEALTH: Final = "/_sandbox/health"


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """The sandbox that a request is for, the target there, and the header that opens it."""

    sandbox: Sandbox
    target: str
    proof: Headers


class ControlPlane:
    """Verifies each request against the link's current secret, then executes it."""

    def __init__(
        self,
        *,
        secret: Callable[[], str],
        supervisor: Supervisor,
        allowed: Sequence[Path] = (),
        on_not_ready: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifier = Verifier(secret, clock=clock)
        self._supervisor = supervisor
        self._folders = SandboxFolders(supervisor)
        self._allowed = tuple(allowed)
        self._on_not_ready = on_not_ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._join(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
            checked_target(target_of(scope))
            await self._route(scope, body, send)
        except AppError as exc:
            if exc.status >= 500:
                logger.warning(
                    "request %s %s: %s (%s)", scope["method"], scope["path"], exc.code, exc
                )
            # Distinguishes our refusals from answers of an app in a sandbox, which pass unchanged.
            headers = {REFUSAL: exc.code, **exc.headers()}
            sent = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            await send_json(send, exc.status, exc.body(), sent)

    async def _body(self, scope: Scope, receive: Receive) -> Body:
        """Return the body of a verified request, whole unless it is for a dev server."""
        if self._verifier.admits_streamed(scope, may_stream=streamed.laptop_may_stream):
            length, _ = declared_length(scope)
            return Upload(receive, length)
        return await self._verifier.read(scope, receive)

    async def _route(self, scope: Scope, body: Body, send: Send) -> None:
        method, path = scope["method"], scope["raw_path"].decode("latin-1")
        if path.startswith("/_sandbox/"):
            await self._forward(scope, body, send)
        elif isinstance(body, Upload):
            raise NotFound  # no other path may have one
        elif path == "/api/sandboxes" and method == "POST":
            await self._ensure(body, send)
        elif path == "/api/sandboxes" and method == "GET":
            await send_json(send, 200, {"sandboxes": self._supervisor.listing()})
        elif path.startswith("/api/sandboxes/"):
            await self._manage(method, path.removeprefix("/api/sandboxes/"), scope, send)
        else:
            raise NotFound

    async def _manage(self, method: str, rest: str, scope: Scope, send: Send) -> None:
        """Describe, stop, remove or restore one sandbox."""
        name, slash, verb = rest.partition("/")
        handle = checked_handle(name)
        query = parse_qs(scope["query_string"])
        flags = (b"force", b"remove", b"journal")
        force, remove, journal = (query.get(flag) == [b"1"] for flag in flags)
        if method == "GET" and not slash:
            await send_json(send, 200, await self._folders.describe(handle))
        elif method == "DELETE" and not slash and remove:
            until = await self._folders.remove(handle, force=force)
            await send_json(send, 200, {"removed": True, "restorableUntil": int(until * 1000)})
        elif method == "DELETE" and not slash and journal:
            await self._folders.forget_journal(handle)
            await send_json(send, 204, None)
        elif method == "DELETE" and not slash:
            await self._supervisor.delete(handle, force=force)
            await send_json(send, 204, None)
        elif method == "POST" and verb == "restore":
            await self._folders.restore(handle)
            await send_json(send, 204, None)
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
        # A caller that disconnects must not leave a half-started sandbox behind.
        await asyncio.shield(self._supervisor.ensure(spec))
        await send_json(send, 200, {"sandboxApiUrl": f"/_sandbox/{spec.handle}"})

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Connect a WebSocket to the sandbox."""
        try:
            self._verifier.verify(scope, b"")
            endpoint = self._endpoint(checked_target(target_of(scope)))
        except AppError as exc:
            await receive()
            await refuse(scope, send, exc.status)
            return
        headers = [pair for pair in scope["headers"] if pair[0] not in _NOT_FORWARDED]
        opening = dial_socket(
            endpoint.sandbox.pool.path,
            endpoint.target,
            [*headers, *endpoint.proof],
            scope.get("subprotocols", []),
        )
        await join(scope, receive, send, opening)

    def _endpoint(self, target: str) -> _Endpoint:
        """Return the sandbox that ``target`` names, and the target there.

        Raises:
            BadHandle, MissingHandle, UnknownHandle, SandboxDown: see there.
            NotFound: there is no such route.
        """
        if not target.startswith("/_sandbox/"):
            raise NotFound
        _, _, handle, rest = target.split("/", 3) if target.count("/") >= 3 else ("", "", "", "")
        sandbox = self._supervisor.find(checked_handle(handle))
        return _Endpoint(sandbox, f"/_sandbox/{rest}", authorization(sandbox))

    async def _forward(self, scope: Scope, body: Body, send: Send) -> None:
        """Forward the request to its sandbox, and stream the answer back."""
        endpoint = self._endpoint(target_of(scope))
        headers = [pair for pair in scope["headers"] if pair[0] not in _NOT_FORWARDED]
        try:
            answer = await endpoint.sandbox.pool.request(
                scope["method"], endpoint.target, headers=[*headers, *endpoint.proof], body=body
            )
        except UploadBroken as exc:
            raise asyncio.CancelledError from exc
        except UpstreamError as exc:
            await self._supervisor.on_unreachable(endpoint.sandbox)
            raise SandboxDown from exc
        try:
            kept = [pair for pair in answer.headers if pair[0] not in _HOP_BY_HOP]
            if endpoint.target == _HEALTH:
                kept.append((streamed.HEADER.encode(), b"1"))
            await send({"type": "http.response.start", "status": answer.status, "headers": kept})
            async for chunk in answer.chunks():
                if any(event in chunk for event in NOT_READY):  # a false match costs one probe
                    self._on_not_ready()
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except UpstreamError as exc:
            raise AnswerBroken(str(exc)) from exc
        finally:
            answer.close()
