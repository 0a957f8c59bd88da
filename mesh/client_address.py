"""The one place that decides whether to trust what proxies say about a client.

After it, ``scope["client"]`` and ``scope["scheme"]`` are right, for HTTP and for WebSockets, and
the headers are removed, so that no other code can read them.
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
_FORWARDED: Final = frozenset(
    {_FOR, _PROTO, b"forwarded", b"x-real-ip", b"x-client-ip", b"x-forwarded"}
)


class UnknownProxy(AppError):
    code = "unknown_proxy"
    text = "This server does not trust the proxy that the request came through."
    hint = "The server's operator must name the proxy in MESH_PROXIES; the log shows its address."


class Proxied:
    """``app`` behind the trusted ``proxies``.

    ``needs_tls``: the server's own address is https. A request that an untrusted proxy calls
    https is then refused, because a redirect to https would come back the same way and loop.
    """

    def __init__(self, app: App, proxies: Proxies, *, needs_tls: bool = False) -> None:
        self._app, self._proxies, self._needs_tls = app, proxies, needs_tls
        self._has_warned = False

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        forwarded = [(name, value) for name, value in scope["headers"] if _is_forwarded(name)]
        peer, port = scope.get("client") or ("", 0)
        if forwarded:
            kept = [pair for pair in scope["headers"] if not _is_forwarded(pair[0])]
            scope = {**scope, "headers": kept}
        if not self._proxies.trusts(peer):
            self._warn(peer, forwarded)
            if self._needs_tls and scope["scheme"] == "http" and (_PROTO, b"https") in forwarded:
                await _refuse(send)
                return
        elif forwarded:
            client = self._proxies.client(peer, _values(forwarded, _FOR))
            scope["client"] = (client, port if client == peer else 0) if client else None
            scope["scheme"] = _scheme(scope, _values(forwarded, _PROTO))
        await self._app(scope, receive, send)

    def _warn(self, peer: str, forwarded: list[tuple[bytes, bytes]]) -> None:
        """Warn once that a proxy may be missing from MESH_PROXIES; a client can send these, too."""
        if self._has_warned or not any(name in (_FOR, _PROTO) for name, _ in forwarded):
            return
        self._has_warned = True
        logger.warning(
            "request from %s: ignoring its X-Forwarded-… headers, because MESH_PROXIES does not"
            " name that address; rate limits count all clients of a proxy as one."
            " If it is your proxy, set MESH_PROXIES=%s",
            peer or "a unix socket",
            peer or "unix",
        )


def address_of(request: Any) -> str:
    """Return the key under which rate limits count the caller of a Django request."""
    return limit_key(str(request.META.get("REMOTE_ADDR") or ""))


def _is_forwarded(name: bytes) -> bool:
    return name in _FORWARDED or name.startswith(b"x-forwarded-")


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def _scheme(scope: Any, lines: list[str]) -> str:
    """Return the scheme by which the client called the outermost proxy.

    Each of several proxies may add a value: only if all of them say TLS was it TLS all the way.
    """
    schemes = {word.strip().lower() for line in lines for word in line.split(",")}
    if not schemes:
        direct: str = scope["scheme"]
        return direct
    plain = "ws" if scope["type"] == "websocket" else "http"
    return f"{plain}s" if schemes <= {"https", "wss"} else plain


async def _refuse(send: Send) -> None:
    body = json.dumps(UnknownProxy().body()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": UnknownProxy.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
