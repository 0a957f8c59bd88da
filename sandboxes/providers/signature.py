"""The server's signature on what it asks of a sandbox, whichever way leads there."""

from __future__ import annotations

import secrets
import time

import httpx

from links.wire.server_signature import HEADER, PREFIX, sign
from mesh import keys


def sign_request(request: httpx.Request, *, handle: str, prefix: str = PREFIX) -> httpx.Request:
    """Put the signature for the sandbox ``handle`` on ``request``, and return it.

    ``prefix`` stands before the sandbox's own paths on the way there. A signature is taken
    once: a request that is sent again is signed again.
    """
    sent: bytes = request.extensions.get("target", request.url.raw_path)
    target = sent.decode("ascii")
    if target.startswith(f"{prefix}/"):  # as the sandbox sees it
        target = PREFIX + target.removeprefix(prefix)
    request.headers[HEADER] = _signature(request.method, target, request.content, handle=handle)
    return request


def handshake(target: str, *, handle: str) -> tuple[str, str]:
    """Return the header under which the sandbox takes a WebSocket to ``target``, its own path."""
    return HEADER, _signature("GET", target, b"", handle=handle)


def _signature(method: str, target: str, body: bytes, *, handle: str) -> str:
    return sign(
        keys.signing_key(),
        handle=handle,
        method=method,
        target=target,
        body=body,
        now=time.time(),
        nonce=secrets.token_hex(16),
    )
