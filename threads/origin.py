"""Who may open a browser's socket: pages of this very origin, and nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


def same_origin_only(app: ASGIApp) -> ASGIApp:
    """Return ``app`` behind a check of ``Origin``, which a socket needs as a form needs CSRF.

    The port counts too: a preview of an agent's work on another port of this machine gets the
    person's cookie sent along, and must not get the socket.
    """

    async def checked(scope: Any, receive: Any, send: Any) -> None:
        if is_same_origin(scope["headers"]):
            await app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 4403})

    return checked


def is_same_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    """Say whether the ``Origin`` is the ``Host``'s, or one that the settings trust."""
    found = {name: value.decode("latin-1") for name, value in headers}
    origin, host = found.get(b"origin", ""), found.get(b"host", "")
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    allowed = validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
    return bool(host) and allowed and urlsplit(origin).netloc.lower() == host.lower()
