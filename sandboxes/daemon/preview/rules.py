"""Which headers pass between a browser and a dev server, and the script put into pages. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from links.wire.headers import PROOFS

Headers = list[tuple[bytes, bytes]]

_NOT_IN: Final = {
    *(b"accept-encoding", b"authorization", b"transfer-encoding", b"content-length"),
    *(name.encode() for name in PROOFS),
    *(b"host", b"connection", b"keep-alive", b"upgrade", b"te", b"trailer", b"proxy-authorization"),
}
_NOT_OUT: Final = {
    *(b"x-frame-options", b"content-security-policy", b"content-security-policy-report-only"),
    *(b"content-encoding", b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"),
}
_OWN_HOSTS: Final = {"localhost", "127.0.0.1", "::1", "0.0.0.0"}  # noqa: S104  # as they print it
_HEAD = re.compile(rb"<head(?:\s[^>]*)?>", re.IGNORECASE)
HELD: Final = 64 * 1024  # bytes of a page that are searched for its <head>
# Hot reload connects to the dev server's own address, which a browser elsewhere can't reach: such a
# WebSocket goes to the page's own host instead. The script does nothing else and reads no message.
SCRIPT: Final = b"""<script>(()=>{const N=window.WebSocket;if(!N)return;
const own=["localhost","127.0.0.1","[::1]","0.0.0.0",location.hostname];
window.WebSocket=class extends N{constructor(u,...p){try{const t=new URL(u,location.href);
if(own.includes(t.hostname)){t.host=location.host;
t.protocol=location.protocol==="https:"?"wss:":"ws:";u=t.href}}catch{}super(u,...p)}}})()</script>"""


def inbound(headers: Iterable[tuple[bytes, bytes]], port: int) -> Headers:
    """Return the headers that the dev server gets.

    A page's own Origin becomes the dev server's, which it may compare with its Host; a foreign one
    stays, so that the server can still refuse it.
    """
    given = [(name.lower(), value) for name, value in headers]
    values = dict(given)
    hosts = {values.get(b"x-forwarded-host", b""), values.get(b"host", b"")} - {b""}
    kept = []
    for name, value in given:
        if name in _NOT_IN:
            continue
        if name == b"origin" and _host_of(value) in hosts:
            value = b"http://localhost:%d" % port
        kept.append((name, value))
    return kept


def outbound(headers: Iterable[tuple[bytes, bytes]], port: int, *, is_changed: bool) -> Headers:
    """Return the headers that the browser gets; without a length if the body is changed."""
    kept = []
    for name, value in headers:
        name = name.lower()
        if name in _NOT_OUT or (is_changed and name in (b"content-length", b"etag")):
            continue
        if name == b"location":
            value = _here(value, port)
        kept.append((name, value))
    return kept


def is_html(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether the response is an HTML page."""
    return any(n.lower() == b"content-type" and b"text/html" in v.lower() for n, v in headers)


def wants_page(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether the client asks for HTML; programs that accept anything do not count."""
    return any(n.lower() == b"accept" and b"text/html" in v.lower() for n, v in headers)


class Inserter:
    """Puts the script after the first ``<head>`` of a page that arrives in pieces."""

    def __init__(self, script: bytes = SCRIPT) -> None:
        self._script = script
        self._held = b""
        self._is_done = False

    def feed(self, piece: bytes) -> bytes:
        """Return the bytes that can be passed on now."""
        if self._is_done:
            return piece
        self._held += piece
        if found := _HEAD.search(self._held):
            return self._release(found.end())
        return self._release(None) if len(self._held) > HELD else b""

    def end(self) -> bytes:
        """Return the remaining bytes; a page without a head stays as it is."""
        return b"" if self._is_done else self._release(None)

    def _release(self, at: int | None) -> bytes:
        held, self._held, self._is_done = self._held, b"", True
        return held if at is None else held[:at] + self._script + held[at:]


def waiting_page(title: str, said: str, *, again_in: int) -> bytes:
    """Return a page that reloads itself; its texts are escaped."""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f'<meta http-equiv=refresh content="{again_in}">'
        '<meta name=viewport content="width=device-width">'
        "<meta name=color-scheme content='light dark'>"
        f"<title>{html.escape(title)}</title>"
        "<style>body{font:16px/1.5 system-ui,sans-serif;display:grid;place-items:center;"
        "min-height:90vh;margin:0}main{max-width:36rem;padding:1rem}"
        "p{opacity:.75;overflow-wrap:anywhere}</style>"
        f"<main><h1>{html.escape(title)}</h1><p>{html.escape(said)}</p></main></html>"
    ).encode()


def _host_of(origin: bytes) -> bytes:
    try:
        return urlsplit(origin.decode("latin-1")).netloc.encode("latin-1")
    except ValueError:
        return b""


def _here(location: bytes, port: int) -> bytes:
    """Return an address of the dev server itself as a path, any other unchanged."""
    try:
        parts = urlsplit(location.decode("latin-1"))
        own = parts.hostname in _OWN_HOSTS and parts.port == port
    except ValueError:
        return location
    if not own:
        return location
    query = f"?{parts.query}" if parts.query else ""
    # One slash only: two would name another host.
    return f"/{parts.path.lstrip('/')}{query}".encode("latin-1")
