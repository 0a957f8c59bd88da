"""The origin check of the browser's socket: only pages of this very origin may open it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from mesh.lib.asgi import App
from mesh.lib.origins import is_same


def same_origin_only(app: App) -> App:
    """Return ``app`` behind a check of ``Origin``: a socket needs it as a form needs a CSRF token.

    The port counts too: a preview of an agent's work on another port of this machine gets the
    person's cookie sent along, and must not get the socket.
    """

    async def checked(scope: Any, receive: Any, send: Any) -> None:
        if is_same_origin(scope):
            await app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 4403})

    return checked


def is_same_origin(scope: Any) -> bool:
    """Say whether ``Origin`` is that of the public address, or without one the request's own."""
    origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if len(origins) != 1 or len(hosts) != 1:
        return False
    if settings.MESH_URL:
        public = urlsplit(settings.MESH_URL)
        return is_same(origins[0], scheme=public.scheme, host=public.netloc)
    scheme = "https" if scope.get("scheme") == "wss" else "http"
    allowed = validate_host(split_domain_port(hosts[0])[0], settings.ALLOWED_HOSTS)
    return allowed and is_same(origins[0], scheme=scheme, host=hosts[0])
