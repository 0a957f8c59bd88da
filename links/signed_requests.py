"""Signed requests in an ASGI application: reading, verifying, answering, cancelling.

Used at both ends: by the laptop's control plane, and between server processes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

from links.wire import signing
from links.wire.errors import BadSignature, MissingHeaders, RequestRefused
from links.wire.nonces import Nonces
from mesh.lib.asgi import Receive, Scope, Send
from mesh.lib.errors import BodyTooLarge

# In a listener's scope: how many bytes of a body are read if the head is not proven. A tunnel's
# scope has none: only the server is at its other end.
UNPROVEN: Final = "mesh.unproven"


class Verifier:
    """Verifies requests against a secret, which may change, and remembers their nonces."""

    def __init__(
        self, secret: Callable[[], str], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._nonces = Nonces()

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of a verified request.

        If strangers may connect (``UNPROVEN`` is in the scope), the head alone decides how much of
        the body is read.

        Raises:
            BodyTooLarge: it exceeds what may be signed, or what is read before verification.
            MissingHeaders, RequestRefused, TooManyRequests: as ``verify``.
            CancelledError: the client has disconnected.
        """
        if not self._is_proven(scope):
            body = await read_body(receive, scope.get(UNPROVEN, signing.MAX_BODY))
            self.verify(scope, body)
            return body
        # Before the body, which may take minutes; its nonce counts as used meanwhile.
        headers = _headers(scope)
        signing.admit(headers, now=self._clock(), nonces=self._nonces)
        body = await read_body(receive, signing.MAX_BODY)
        signing.check_digest(headers, body)
        return body

    def admits_streamed(self, scope: Scope, *, may_stream: Callable[[str], bool]) -> bool:
        """Return whether the request's body is not signed, and so is passed on as it arrives.

        Its head was then verified: that it is genuine, timely and new, and that ``may_stream``
        accepts its target.

        Raises:
            MissingHeaders, RequestRefused, TooManyRequests: as ``verify``.
        """
        headers, target = _headers(scope), target_of(scope)
        if not signing.is_streamed(headers):
            return False
        method = scope["method"]
        signing.prove_head(self._require_secret(), method=method, target=target, headers=headers)
        if not may_stream(target):
            raise BadSignature
        signing.admit(headers, now=self._clock(), nonces=self._nonces)
        return True

    def verify(self, scope: Scope, body: bytes) -> None:
        """Check that the request is genuine, timely and new.

        Raises:
            MissingHeaders: also while there is no secret.
            RequestRefused, TooManyRequests: see ``signing.verify``.
        """
        signing.verify(
            self._require_secret(),
            method=scope.get("method", "GET"),  # a WebSocket's scope has none
            target=target_of(scope),
            headers=_headers(scope),
            body=body,
            now=self._clock(),
            nonces=self._nonces,
        )

    def _is_proven(self, scope: Scope) -> bool:
        try:
            return signing.prove_head(
                self._require_secret(),
                method=scope.get("method", "GET"),
                target=target_of(scope),
                headers=_headers(scope),
            )
        except RequestRefused:
            return False

    def _require_secret(self) -> str:
        secret = self._secret()
        if not secret:
            raise MissingHeaders("This machine is not registered yet.")
        return secret


def _headers(scope: Scope) -> dict[str, str]:
    return {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}


def target_of(scope: Scope) -> str:
    """Return path and raw query exactly as they were sent, because these are signed."""
    # Some servers include the query in the raw path of a WebSocket.
    path: str = scope["raw_path"].decode("latin-1").partition("?")[0]
    query: str = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the request's body.

    Raises:
        BodyTooLarge: it exceeds ``limit`` bytes; the rest is not read.
        CancelledError: the client has disconnected.
    """
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise BodyTooLarge.over(limit)
        if not message.get("more_body"):
            return b"".join(chunks)


async def send_json(
    send: Send,
    status: int,
    value: dict[str, Any] | None,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Answer with ``value``, or with an empty body if it is ``None``."""
    body = b"" if value is None else json.dumps(value).encode()
    sent = list(headers)
    if value is not None:
        sent += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})


async def until_disconnect(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Run ``work``, and cancel it when the client disconnects, all that ``receive`` may report."""
    working = asyncio.ensure_future(work)
    gone = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not working.done():
            working.cancel()
    with suppress(asyncio.CancelledError):
        await working


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
