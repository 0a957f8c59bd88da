"""A limit on request bodies that is kept before they are read.

Django collects a whole body, on disk where it is large, before any view sees the request: a
limit in the view comes after the gigabytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.http import JsonResponse

from mesh.lib.errors import AppError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[Any]]


class BodyTooLarge(AppError):
    code = "body_too_large"
    text = "The body is larger than 10 MB."
    hint = "Send a shorter message or smaller files."
    status = 413


def limited(app: App, limit: int) -> App:
    """Return ``app`` behind a border that answers 413 to bodies of more than ``limit`` bytes."""

    async def bordered(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        if _announced(scope) > limit:
            await _refuse(send)
            return
        has_answered = False
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise BodyTooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        try:
            await app(scope, counted, noted)
        except BodyTooLarge:
            if has_answered:
                raise
            await _refuse(send)

    return bordered


def _announced(scope: Any) -> int:
    """Return how long the body says it is; 0 where it does not say so."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _refuse(send: Send) -> None:
    answer = JsonResponse(BodyTooLarge().body(), status=BodyTooLarge.status)
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.items()]
    # The rest of the body is not read: the connection can't be used again.
    headers += [(b"content-length", b"%d" % len(answer.content)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.content})
