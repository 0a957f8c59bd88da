"""The one place that believes, or refuses to believe, what proxies say of a client.

Behind it ``scope["client"]`` and ``scope["scheme"]`` are true, for HTTP and for WebSockets, and
the headers are gone, so that nothing else can be tempted to read them.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from mesh.lib.asgi import App, Receive, Send
from mesh.lib.errors import AppError
from mesh.lib.proxies import Proxies, limit_key

logger = logging.getLogger(__name__)

_FOR: Final = b"x-forwarded-for"
_PROTO: Final = b"x-forwarded-proto"
_SPOKEN: Final = frozenset(
    {_FOR, _PROTO, b"forwarded", b"x-real-ip", b"x-client-ip", b"x-forwarded"}
)


class UnknownProxy(AppError):
    code = "unknown_proxy"
    text = "This server does not know the proxy that the request came through."
    hint = "Whoever runs the server names the proxy in MESH_PROXIES; its log says the address."


class Proxied:
    """``app`` behind the trusted ``proxies``.

    ``needs_tls``: the server's own address is https. A request that an unnamed proxy calls
    https is then refused, for a redirect to https would come back the same way for ever.
    """

    def __init__(self, app: App, proxies: Proxies, *, needs_tls: bool = False) -> None:
        self._app, self._proxies, self._needs_tls = app, proxies, needs_tls
        self._has_warned = False

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        told = [(name, value) for name, value in scope["headers"] if _is_spoken(name)]
        peer, port = scope.get("client") or ("", 0)
        if told:
            kept = [pair for pair in scope["headers"] if not _is_spoken(pair[0])]
            scope = {**scope, "headers": kept}
        if not self._proxies.trusts(peer):
            self._warn(peer, told)
            if self._needs_tls and scope["scheme"] == "http" and (_PROTO, b"https") in told:
                await _refuse(send)
                return
        elif told:
            client = self._proxies.client(peer, _values(told, _FOR))
            scope["client"] = (client, port if client == peer else 0) if client else None
            scope["scheme"] = _scheme(scope, _values(told, _PROTO))
        await self._app(scope, receive, send)

    def _warn(self, peer: str, told: list[tuple[bytes, bytes]]) -> None:
        """Say once that a proxy is perhaps not named: a client may send the header, too."""
        if self._has_warned or not any(name in (_FOR, _PROTO) for name, _ in told):
            return
        self._has_warned = True
        logger.warning(
            "A request from %s carried X-Forwarded-… headers, but MESH_PROXIES does not name that"
            " address: they are ignored, and limits count all clients of a proxy as one."
            " If it is your proxy, set MESH_PROXIES=%s.",
            peer or "a unix socket",
            peer or "unix",
        )


def address_of(request: Any) -> str:
    """Return what limits count the caller of a Django request as."""
    return limit_key(str(request.META.get("REMOTE_ADDR") or ""))


def _is_spoken(name: bytes) -> bool:
    return name in _SPOKEN or name.startswith(b"x-forwarded-")


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def _scheme(scope: Any, lines: list[str]) -> str:
    """Return the scheme by which the client called the outermost proxy.

    Several proxies may each add their word: only if all say TLS was it TLS all the way.
    """
    words = {word.strip().lower() for line in lines for word in line.split(",")}
    if not words:
        given: str = scope["scheme"]
        return given
    plain = "ws" if scope["type"] == "websocket" else "http"
    return f"{plain}s" if words <= {"https", "wss"} else plain


async def _refuse(send: Send) -> None:
    body = json.dumps(UnknownProxy().body()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": UnknownProxy.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
