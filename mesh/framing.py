"""Makes sure that every response ends where it says, whatever program wrote it.

A proxy sends many people's requests over one connection and matches the responses to them in
order. Bytes that an application, a laptop or a sandbox adds after the end of its response would be
taken for the response to somebody else's request. So a response has exactly the length that it
declared, or no body where HTTP allows none, and nothing more is sent after that.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterable
from typing import Any, Final

from mesh.lib.asgi import App, Message, Receive, Send
from mesh.lib.errors import AppError

logger = logging.getLogger(__name__)

Raw = list[tuple[bytes, bytes]]

# In a request's scope: its response is a stream of events, which ends only with its connection.
IS_STREAM: Final = "mesh.is_stream"

# 1xx is not final: a proxy passes it on, and waits for the response that follows.
STATUSES: Final = range(200, 600)
_BODILESS: Final = (204, 304)
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")


class BadAnswer(AppError):
    code = "bad_answer"
    text = "The response could not be passed on because it is not valid HTTP."
    hint = "Check the program that sent it."
    status = 502


def framed(app: App) -> App:
    """Return ``app``, with nothing sent after the end of each of its responses.

    A response that is not valid HTTP becomes a 502.
    """

    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        answer = _Response(send, scope)
        try:
            await app(scope, receive, answer.send)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not answer.has_begun or (task is not None and task.cancelling()):
                raise
            # Cut short: the server sees an unfinished response and closes the connection.
        except Exception:
            # The server would close the connection, where the next request may already wait.
            if not answer.is_complete:
                raise
            logger.exception("%r: failed after its response had been sent", scope["path"])

    return serve


class _Response:
    """One response; anything after its end is dropped. Says in the scope if it is a stream."""

    def __init__(self, send: Send, scope: Any) -> None:
        self._send, self._scope = send, scope
        self._left: int | None = None  # bytes of the body; None: until the application ends it
        self.has_begun = self.is_complete = False

    async def send(self, message: Message) -> None:
        if self.is_complete:
            return
        if message["type"] == "http.response.start":
            await self._start(message)
        elif message["type"] == "http.response.body" and self._left is not None:
            await self._send_piece(message, self._left)
        else:
            await self._send(message)

    async def _start(self, message: Message) -> None:
        self.has_begun = True
        status = message["status"]
        try:
            headers, self._left = checked(status, message.get("headers", ()))
        except BadAnswer as exc:
            logger.info("response is not valid HTTP; sending a 502 instead: %s", exc)
            await self._refuse(exc)
            return
        self._scope[IS_STREAM] = any(
            name.lower() == b"content-type" and value.startswith(b"text/event-stream")
            for name, value in headers
        )
        await self._send({**message, "headers": headers})
        if self._scope["method"] == "HEAD" or status in _BODILESS:
            self._left = 0
        if self._left == 0:
            await self._pass({"type": "http.response.body", "body": b""})

    async def _send_piece(self, message: Message, room: int) -> None:
        body = message.get("body", b"")[:room]
        self._left = room - len(body)
        is_last = not message.get("more_body")
        await self._pass({**message, "body": body, "more_body": self._left > 0})
        # Shorter than declared: left unfinished, so that the server closes the connection.
        self.is_complete = self.is_complete or is_last

    async def _pass(self, message: Message) -> None:
        self.is_complete = not message.get("more_body")
        await self._send(message)

    async def _refuse(self, exc: BadAnswer) -> None:
        self.is_complete = True
        body = json.dumps(exc.body()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        start = {"type": "http.response.start", "status": exc.status, "headers": headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def checked(status: int, headers: Iterable[tuple[bytes, bytes]]) -> tuple[Raw, int | None]:
    """Return the headers to send and the length of the body; ``None`` if they declare none.

    Raises:
        BadAnswer: the status is not that of a final response, or a header can't be sent.
    """
    if status not in STATUSES:
        raise BadAnswer(f"{status} is not the status of a final response.")
    kept: Raw = []
    lengths: set[bytes] = set()
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadAnswer("A header contains a character that headers may not contain.")
        match name.lower():
            case b"content-length":
                lengths.add(value.strip())
            case b"transfer-encoding":
                pass  # the server's own
            case _:
                kept.append((name, value))
    if not lengths:
        return kept, None
    declared = lengths.pop()
    if lengths or not _LENGTH.fullmatch(declared):
        raise BadAnswer("The length of the body is ambiguous.")
    if status in _BODILESS:
        return kept, 0
    return [*kept, (b"content-length", declared)], int(declared)
