"""What stands before every route: the server's signature, a container's token, the body's limit."""

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
    """Lets a request pass only with the sandbox's token, whatever its path.

    For a container, whose port others of its network reach.
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


class Normal:
    """Lets a request pass whose address all programs read alike (``mesh.lib.targets``)."""

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
    """Lets a request pass only with the server's signature, except one for its health.

    The agents in it are of its own user: whatever it could be told by its link, they could, too.
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
        """Return a ``receive`` that gives the body, which was read to verify it.

        Raises:
            RequestRefused, TooManyRequests, BodyTooLarge: it may not pass.
        """
        header = _header(scope, HEADER.encode()).decode("latin-1")
        if not self._verifier.may_pass(header):
            raise NotSignedByServer
        body = await read_body(receive, BODY_LIMIT) if scope["type"] == "http" else b""
        self._verifier.verify(
            header,
            method=scope.get("method", "GET"),
            target=target_of(scope),
            body=body,
            now=self._clock(),
        )
        return _again(body, receive) if scope["type"] == "http" else receive


def _header(scope: Scope, name: bytes) -> bytes:
    value: bytes = next((v for k, v in scope["headers"] if k == name), b"")
    return value


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives ``body`` once, and then what ``receive`` gives."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give


def answer(error: AppError) -> JSONResponse:
    """Return the one form of every refusal."""
    return JSONResponse(error.body(), status_code=error.status)


async def read_json(request: Request, limit: int = BODY_LIMIT) -> Any:
    """Return the body as parsed JSON.

    Raises:
        BodyTooLarge: noticed before more than ``limit`` bytes are held.
        BadJson: it is none.
    """
    body = await read_body(request.receive, limit)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadJson from exc
