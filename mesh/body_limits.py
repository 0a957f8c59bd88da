"""Limits on request bodies, enforced before they are read.

Django collects a whole body, on disk if it is large, before any view sees the request, and parsing
it may take thirty times its size in memory, which Python does not give back. So a limit in the
view comes too late, and so does authentication. A request without a valid token or session may
send little.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from django.http import JsonResponse

from mesh.lib.asgi import App, Message, Receive, Send
from mesh.lib.errors import BodyTooLarge

UNPROVEN: Final = 64 * 1024  # bytes: the longest form or registration is a tenth of it
SMALL: Final = "/api/links"  # nothing below it needs more, authenticated or not

IsKnown = Callable[[Any], Awaitable[bool]]


class BodyUnproven(BodyTooLarge):
    text = "The body is larger than 64 KiB, the limit for requests that are not signed in."
    hint = "Sign in, or send a valid token: Authorization: Bearer …"


class LinkBodyTooLarge(BodyTooLarge):
    text = "The body is larger than 64 KiB."
    hint = "A registration or heartbeat is far shorter."


def limited(app: App, limit: int, *, is_known: IsKnown, unproven: int = UNPROVEN) -> App:
    """Return ``app``, answering 413 to bodies of more than ``limit`` bytes.

    More than ``unproven`` bytes are read only if ``is_known`` returns that the connection's
    scope carries a valid token or session.
    """

    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body_limit = _BodyLimit(scope, limit=limit, unproven=unproven, is_known=is_known)
        has_answered = False

        async def counted() -> Message:
            message = await receive()
            await body_limit.pass_on(len(message.get("body", b"")))
            return message

        async def noted(message: Message) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        try:
            await body_limit.look_at(_announced(scope))
            await app(scope, counted, noted)
        except BodyTooLarge as exc:
            if has_answered:
                raise
            await _refuse(send, exc)

    return serve


class _BodyLimit:
    """Counts one request's body and decides whether more of it may be read."""

    def __init__(self, scope: Any, *, limit: int, unproven: int, is_known: IsKnown) -> None:
        self._scope, self._is_known = scope, is_known
        self._limit, self._unproven = limit, unproven
        self._size = 0
        self._is_proven = False

    async def pass_on(self, size: int) -> None:
        """Count ``size`` further bytes.

        Raises:
            BodyTooLarge: they may not be read.
        """
        self._size += size
        await self.look_at(self._size)

    async def look_at(self, size: int) -> None:
        if size > self._limit:
            raise BodyTooLarge.over(self._limit)
        if size <= self._unproven or self._is_proven:
            return
        if _is_below(self._scope["path"], SMALL):
            raise LinkBodyTooLarge
        if not await self._is_known(self._scope):
            raise BodyUnproven
        self._is_proven = True


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _announced(scope: Any) -> int:
    """Return the body's declared length; 0 if it declares none."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _refuse(send: Send, why: BodyTooLarge) -> None:
    answer = JsonResponse(why.body(), status=why.status)
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.items()]
    # The rest of the body is not read: the connection can't be used again.
    headers += [(b"content-length", b"%d" % len(answer.content)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.content})
