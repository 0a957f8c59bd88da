"""One connection to a preview's origin: what it asks for, and how it is answered.

Knows nothing of sandboxes or of who is let in; ``app.py`` decides that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from links.sockets import refuse
from links.upload import Body, unless_left
from mesh.lib.asgi import Receive, Scope, Send
from mesh.lib.errors import error_body
from mesh.lib.targets import target_from
from sandboxes.core.headers import Pairs
from sandboxes.preview import pages

logger = logging.getLogger(__name__)

AGAIN: Final = "Open the preview from Mesh again."
NOT_SIGNED_IN: Final = 4401  # the code with which a WebSocket is closed
# Headers of every answer that is not the app's.
_OWN: Final = (
    ("cache-control", "no-store"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
)


class PreviewRequest:
    """An HTTP request or a WebSocket, as ASGI hands it over, with ways to answer it.

    ``frame_ancestors`` says who may frame the answers, as CSP words it.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, frame_ancestors: str) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.frame_ancestors = frame_ancestors
        self._is_streaming = False

    @property
    def is_socket(self) -> bool:
        return bool(self.scope["type"] == "websocket")

    @property
    def target(self) -> str:
        """Path and query, exactly as they were sent."""
        return target_from(self.scope["raw_path"], self.scope["query_string"])

    @property
    def host(self) -> str:
        return header_of(self.scope, b"host")

    @property
    def origin(self) -> str:
        """The Origin header: the site whose page asks, or "" if no page does."""
        return header_of(self.scope, b"origin")

    @property
    def scheme(self) -> str:
        """``http`` or ``https``, of a WebSocket too."""
        scheme: str = self.scope.get("scheme", "http")
        return {"ws": "http", "wss": "https"}.get(scheme, scheme)

    async def body(self, limit: int) -> bytes | None:
        """Return the body; ``None`` when it is larger than ``limit`` bytes.

        Raises:
            CancelledError: the client hung up before the body was complete.
        """
        parts, size = [], 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise asyncio.CancelledError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                return None
            if not message.get("more_body"):
                return b"".join(parts)

    async def answer(self, status: int, headers: Pairs, body: bytes) -> None:
        """Send a whole answer of our own."""
        raw = _encoded([*headers, *_OWN])
        if status != HTTPStatus.NO_CONTENT:
            raw.append((b"content-length", b"%d" % len(body)))
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    async def html(self, status: int, body: bytes, *more: tuple[str, str], policy: str) -> None:
        """Answer with a page of our own, which Mesh alone may frame."""
        headers = [
            ("content-type", "text/html; charset=utf-8"),
            ("content-security-policy", f"{policy}; frame-ancestors {self.frame_ancestors}"),
            *more,
        ]
        await self.answer(status, headers, body)

    async def refuse(self, status: int, code: str, text: str, *, hint: str = AGAIN) -> None:
        """Refuse a WebSocket by its status, a browser with a page, a program with an error."""
        if self.is_socket:
            await self.receive()
            await refuse(self.scope, self.send, status)
        elif self._wants_page():
            await self._page(status, HTTPStatus(status).phrase, text)
        else:
            await self._tell(status, code, text, hint)

    async def waiting(self, code: str, title: str, text: str, seconds: int) -> None:
        """Answer 503: a page reloads after ``seconds``, a program is told when to ask again."""
        if self.is_socket:
            await self.refuse(503, code, text)
        elif self._wants_page():
            await self._page(503, title, text, reload_after=seconds)
        else:
            hint = f"Ask again in {seconds} s."
            await self._tell(503, code, text or title, hint, ("retry-after", str(seconds)))

    async def stream(
        self, status: int, headers: Pairs, pieces: AsyncIterator[bytes], *, body: Body = b""
    ) -> None:
        """Send the app's answer as it comes, until it ends or the client hangs up.

        ``body`` is the request's, of which an upload may still be on its way.

        Raises:
            CancelledError: the app's answer broke off. The server then cuts the connection, so
                that what was sent does not look whole.
        """
        self._is_streaming = True
        start = {"type": "http.response.start", "status": status, "headers": _encoded(headers)}
        await self.send(start)
        try:
            await unless_left(self.receive, body, self._send_all(pieces))
        except Exception as error:
            logger.info("An answer of a preview broke off: %r", error)
            raise asyncio.CancelledError from error

    async def cut(self) -> None:
        """End a connection whose person may not see the preview any more.

        Raises:
            CancelledError: an answer is being streamed, which must not look whole.
        """
        if self.is_socket:
            with contextlib.suppress(Exception):  # it may be closed, or not accepted yet
                await self.send({"type": "websocket.close", "code": NOT_SIGNED_IN})
        elif self._is_streaming:
            raise asyncio.CancelledError
        else:
            await self.refuse(401, "unauthorized", "Open this preview from Mesh.")

    async def _page(self, status: int, title: str, text: str, *, reload_after: int = 0) -> None:
        again = [("retry-after", str(reload_after))] if reload_after else []
        body = pages.page(title, text, reload_after=reload_after)
        await self.html(status, body, *again, policy=pages.POLICY)

    async def _tell(
        self, status: int, code: str, text: str, hint: str, *headers: tuple[str, str]
    ) -> None:
        """Answer a program: in the one form of errors, or as text if it reads that alone."""
        accept = self._accept()
        if b"text/plain" in accept and b"json" not in accept and b"*/*" not in accept:
            kind, body = "text/plain; charset=utf-8", f"{text} {hint}\n"
        else:
            kind, body = "application/json", json.dumps(error_body(code, text, hint))
        await self.answer(status, [("content-type", kind), *headers], body.encode())

    async def _send_all(self, pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            await self.send({"type": "http.response.body", "body": piece, "more_body": True})
        await self.send({"type": "http.response.body", "body": b""})

    def _wants_page(self) -> bool:
        return b"text/html" in self._accept()

    def _accept(self) -> bytes:
        accept: bytes = dict(self.scope["headers"]).get(b"accept", b"")
        return accept


def header_of(scope: Scope, name: bytes) -> str:
    """Return the first header of that name (in lower case), or ""."""
    value: bytes = next((v for k, v in scope["headers"] if k == name), b"")
    return value.decode("latin-1")


def _encoded(headers: Pairs) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
