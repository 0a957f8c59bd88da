"""Checks before every route: the server's signature, a container's token, the body's limit."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from links.signed_requests import read_body, target_of
from links.wire.errors import NotSignedByServer
from links.wire.server_signature import HEADER, OPEN, Verifier
from mesh.lib import errors
from mesh.lib.errors import AppError
from mesh.lib.targets import checked_target

BODY_LIMIT = 25 * 1024 * 1024


class Unauthorized(errors.Unauthorized):
    text = "The sandbox's token is missing or wrong."
    hint = "Only the server that started it knows the token."


class BadJson(AppError):
    code = "bad_json"
    text = "The body is not JSON."
    hint = "Send a JSON object."


class TokenGuard:
    """Lets a request to any path pass only with the sandbox's token.

    For a container, whose port is reachable from its network.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        if not token:
            raise ValueError("an empty token would let everybody in")
        self._app = app
        self._expected = b"Bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if hmac.compare_digest(_header(scope, b"authorization"), self._expected):
            await self._app(scope, receive, send)
        else:
            await answer(Unauthorized())(scope, receive, send)


class TargetGuard:
    """Refuses a target that programs may parse differently (``mesh.lib.targets``)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            checked_target(target_of(scope))
        except AppError as exc:
            await answer(exc)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class SignatureGuard:
    """Lets a request pass only with the server's signature, except for ``/health``.

    Agents run as the sandbox's own user, so they could send anything that the link can send.
    """

    def __init__(
        self, app: ASGIApp, verifier: Verifier, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._app, self._verifier, self._clock = app, verifier, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in OPEN:
            try:
                receive = await self._verified(scope, receive)
            except AppError as exc:
                await answer(exc)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _verified(self, scope: Scope, receive: Receive) -> Receive:
        """Return a ``receive`` that replays the body, which was read to verify the signature; or
        the given one for a body that is not signed.

        Raises:
            RequestRefused, TooManyRequests, BodyTooLarge: the request may not pass.
        """
        header = _header(scope, HEADER.encode()).decode("latin-1")
        if not self._verifier.may_pass(header):
            raise NotSignedByServer
        is_streamed = scope["type"] == "http" and self._verifier.is_streamed(header)
        body: bytes | None = b""
        if is_streamed:
            body = None  # nobody reads it before the dev server does
        elif scope["type"] == "http":
            body = await read_body(receive, BODY_LIMIT)
        self._verifier.verify(
            header,
            method=scope.get("method", "GET"),
            target=target_of(scope),
            body=body,
            now=self._clock(),
        )
        return receive if body is None or scope["type"] != "http" else _again(body, receive)


def _header(scope: Scope, name: bytes) -> bytes:
    value: bytes = next((v for k, v in scope["headers"] if k == name), b"")
    return value


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives ``body`` once and then defers to the original."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give


def answer(error: AppError) -> JSONResponse:
    """Return the response for a refusal."""
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers())


async def read_json(request: Request, limit: int = BODY_LIMIT) -> Any:
    """Return the body as parsed JSON.

    Raises:
        BodyTooLarge: raised before more than ``limit`` bytes are in memory.
        BadJson: the body is not JSON.
    """
    body = await read_body(request.receive, limit)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadJson from exc
