"""The server's signature on requests to a sandbox."""

from __future__ import annotations

import secrets
from typing import Final

import httpx

from links.machine_clocks import MachineClock, clock_of
from links.transport import is_streamed
from links.wire.server_signature import HEADER, PREFIX, sign
from mesh import keys
from sandboxes.providers.base import Place

_OURS: Final = MachineClock()  # of a machine about which nothing is known


def sign_request(
    request: httpx.Request, *, handle: str, prefix: str = PREFIX, clock: MachineClock = _OURS
) -> httpx.Request:
    """Sign ``request`` for the sandbox ``handle``, whose machine has ``clock``, and return it.

    ``prefix`` precedes the sandbox's own paths on the wire. A signature is accepted once: a
    request must be signed again before it is sent again.
    """
    sent: bytes = request.extensions.get("target", request.url.raw_path)
    target = sent.decode("ascii")
    if target.startswith(f"{prefix}/"):  # the path as the sandbox sees it
        target = PREFIX + target.removeprefix(prefix)
    body = None if is_streamed(request) else request.content
    request.headers[HEADER] = _signature(request.method, target, body, handle, clock)
    return request


def handshake(target: str, *, handle: str, clock: MachineClock = _OURS) -> tuple[str, str]:
    """Return the header that signs a WebSocket handshake for ``target``, the sandbox's own path."""
    return HEADER, _signature("GET", target, b"", handle, clock)


def clock_at(place: Place) -> MachineClock:
    """Return what is known of the clock by which the sandbox of ``place`` checks signatures."""
    return clock_of(place.link_id or place.handle)


def _signature(
    method: str, target: str, body: bytes | None, handle: str, clock: MachineClock
) -> str:
    return sign(
        keys.signing_key(),
        handle=handle,
        method=method,
        target=target,
        body=body,
        now=clock.now(),
        nonce=secrets.token_hex(16),
    )
