"""Where an answer ends is never in doubt, whoever made it.

A proxy sends the requests of many people over one connection, and takes what comes on it for their
answers, one after the other. What an application, a laptop or a sandbox adds behind the end of its
answer would be the answer to somebody else's request. So an answer has the length that it told, or
none where HTTP knows none, and it is over as soon as that has been sent.
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

# 1xx is no answer: a proxy passes it on, and waits for the answer behind it.
STATUSES: Final = range(200, 600)
_BODILESS: Final = (204, 304)
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")


class BadAnswer(AppError):
    code = "bad_answer"
    text = "The answer could not be passed on: it is not HTTP."
    hint = "Look at the program that made it."
    status = 502


def framed(app: App) -> App:
    """Return ``app``, of whose answers no more is sent than one answer.

    An answer that is not HTTP becomes a 502.
    """

    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        answer = _Answer(send, method=scope["method"])
        try:
            await app(scope, receive, answer.send)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not answer.has_begun or (task is not None and task.cancelling()):
                raise
            # It was broken off: the server finds it unfinished, and closes the connection.
        except Exception:
            # The server would close the connection, on which the next request may have come.
            if not answer.is_over:
                raise
            logger.exception("An application failed behind the end of its answer.")

    return serve


class _Answer:
    """One answer; what comes behind its end is dropped."""

    def __init__(self, send: Send, *, method: str) -> None:
        self._send, self._method = send, method
        self._left: int | None = None  # bytes of the body; None: it ends when it is said to
        self.has_begun = self.is_over = False

    async def send(self, message: Message) -> None:
        if self.is_over:
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
            logger.info("An answer is not HTTP: %s", exc)
            await self._refuse(exc)
            return
        await self._send({**message, "headers": headers})
        if self._method == "HEAD" or status in _BODILESS:
            self._left = 0
        if self._left == 0:
            await self._pass({"type": "http.response.body", "body": b""})

    async def _send_piece(self, message: Message, room: int) -> None:
        body = message.get("body", b"")[:room]
        self._left = room - len(body)
        is_last = not message.get("more_body")
        await self._pass({**message, "body": body, "more_body": self._left > 0})
        # Shorter than it was told: left unfinished, so that the server breaks it off.
        self.is_over = self.is_over or is_last

    async def _pass(self, message: Message) -> None:
        self.is_over = not message.get("more_body")
        await self._send(message)

    async def _refuse(self, exc: BadAnswer) -> None:
        self.is_over = True
        body = json.dumps(exc.body()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        start = {"type": "http.response.start", "status": exc.status, "headers": headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def checked(status: int, headers: Iterable[tuple[bytes, bytes]]) -> tuple[Raw, int | None]:
    """Return the headers to send and the length of the body; ``None`` where they tell none.

    Raises:
        BadAnswer: the status is none of an answer, or a header can't be sent.
    """
    if status not in STATUSES:
        raise BadAnswer(f"The status {status} is none of an answer.")
    kept: Raw = []
    lengths: set[bytes] = set()
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadAnswer("A header holds a character that no header may hold.")
        match name.lower():
            case b"content-length":
                lengths.add(value.strip())
            case b"transfer-encoding":
                pass  # the server's own
            case _:
                kept.append((name, value))
    if not lengths:
        return kept, None
    told = lengths.pop()
    if lengths or not _LENGTH.fullmatch(told):
        raise BadAnswer("The length of the body is in doubt.")
    if status in _BODILESS:
        return kept, 0
    return [*kept, (b"content-length", told)], int(told)
