"""What stands before every route: the token, and the limit of a request's body."""

from __future__ import annotations

import hmac
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from links.proven import target_of
from mesh.lib.errors import AppError
from mesh.lib.targets import checked_target

BODY_LIMIT = 25 * 1024 * 1024


class Unauthorized(AppError):
    code = "unauthorized"
    text = "The sandbox's token is missing or wrong."
    hint = "Ask through the link program, which knows the token."
    status = 401


class BodyTooLarge(AppError):
    code = "body_too_large"
    text = "The body is larger than 25 MiB."
    hint = "Send less at once."
    status = 413


class BadJson(AppError):
    code = "bad_json"
    text = "The body is not JSON."
    hint = "Send a JSON object."


class TokenGuard:
    """Lets a request pass only with the sandbox's token, whatever its path."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        if not token:
            raise ValueError("an empty token would let everybody in")
        self._app = app
        self.rotate(token)

    def rotate(self, token: str) -> None:
        """Let only requests with ``token`` pass from now on."""
        self._expected = b"Bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given: bytes = next((v for k, v in scope["headers"] if k == b"authorization"), b"")
        if hmac.compare_digest(given, self._expected):
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


def answer(error: AppError) -> JSONResponse:
    """Return the one form of every refusal."""
    return JSONResponse(error.body(), status_code=error.status)


async def read_json(request: Request, limit: int = BODY_LIMIT) -> Any:
    """Return the body as parsed JSON.

    Raises:
        BodyTooLarge: noticed before more than ``limit`` bytes are held.
        BadJson: it is none.
    """
    size, parts = 0, []
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise BodyTooLarge
        parts.append(part)
    try:
        return json.loads(b"".join(parts))
    except (ValueError, RecursionError) as exc:
        raise BadJson from exc
