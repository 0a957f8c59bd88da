"""The server's signature on requests to a sandbox."""

from __future__ import annotations

import secrets
import time

import httpx

from links.transport import is_streamed
from links.wire.server_signature import HEADER, PREFIX, sign
from mesh import keys


def sign_request(request: httpx.Request, *, handle: str, prefix: str = PREFIX) -> httpx.Request:
    """Sign ``request`` for the sandbox ``handle``, and return it.

    ``prefix`` precedes the sandbox's own paths on the wire. A signature is accepted once: a
    request must be signed again before it is sent again.
    """
    sent: bytes = request.extensions.get("target", request.url.raw_path)
    target = sent.decode("ascii")
    if target.startswith(f"{prefix}/"):  # the path as the sandbox sees it
        target = PREFIX + target.removeprefix(prefix)
    body = None if is_streamed(request) else request.content
    request.headers[HEADER] = _signature(request.method, target, body, handle=handle)
    return request


def handshake(target: str, *, handle: str) -> tuple[str, str]:
    """Return the header that signs a WebSocket handshake for ``target``, the sandbox's own path."""
    return HEADER, _signature("GET", target, b"", handle=handle)


def _signature(method: str, target: str, body: bytes | None, *, handle: str) -> str:
    return sign(
        keys.signing_key(),
        handle=handle,
        method=method,
        target=target,
        body=body,
        now=time.time(),
        nonce=secrets.token_hex(16),
    )
