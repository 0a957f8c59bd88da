"""Which headers pass between a browser and a dev server, and the script put into pages. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from links.wire.errors import CLOCK
from links.wire.headers import PROOFS
from mesh.lib.unpacking import BadPacking, Unpacker, packing_of

Headers = list[tuple[bytes, bytes]]

_NOT_IN: Final = {
    *(b"authorization", b"transfer-encoding", b"content-length"),
    *(name.encode() for name in PROOFS),
    *(b"host", b"connection", b"keep-alive", b"upgrade", b"te", b"trailer", b"proxy-authorization"),
}
# What tells of proxies. A dev server compares it with Host and Origin (Next, Rails), and would
# refuse a form that names two addresses; so all of them say that its own address is visited.
_OF_PROXIES: Final = {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip"}
_NOT_OUT: Final = {
    *(b"x-frame-options", b"content-security-policy", b"content-security-policy-report-only"),
    *(b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"),
    CLOCK.encode(),  # ours alone may tell this machine's time
}
# Of an answer whose body gets a script: they describe the body as it was.
_OF_BODY: Final = {b"content-length", b"content-encoding", b"etag", b"content-md5", b"digest"}
# An address of the dev server itself, up to its path, in each header that names addresses.
_OWN: Final = (
    rb"(?i:(https?):)?//(?i:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])"
    rb"(?::(\d{1,5}))?(?=[/?#>;,\"'\s]|\Z)/*"
)
_NAMES_ADDRESS: Final = {
    b"location": re.compile(rb"\A(\s*)" + _OWN),
    b"content-location": re.compile(rb"\A(\s*)" + _OWN),
    b"refresh": re.compile(rb"(\burl\s*=\s*[\"']?)" + _OWN, re.IGNORECASE),
    b"link": re.compile(rb"(<\s*)" + _OWN),
}
_REFERER: Final = re.compile(rb"\A[a-z]+://[^/?#]*", re.IGNORECASE)
_USUAL_PORTS: Final = {b"http": 80, b"https": 443}
_BODILESS: Final = frozenset({204, 205, 304})
_PARTIAL: Final = 206
_HEAD = re.compile(rb"<head(?:\s[^>]*)?>", re.IGNORECASE)
HELD: Final = 64 * 1024  # bytes of a page that are searched for its <head>
# Hot reload connects to the dev server's own address, which a browser elsewhere can't reach: such a
# WebSocket goes to the page's own host instead. In a frame below ``localhost``, which is a site of
# its own, browsers keep no cookie of a script but a partitioned one. The script does nothing else
# and reads no message.
SCRIPT: Final = b"""<script>(()=>{const N=window.WebSocket;
const own=["localhost","127.0.0.1","[::1]","0.0.0.0",location.hostname];
if(N)window.WebSocket=class extends N{constructor(u,...p){try{const t=new URL(u,location.href);
if(own.includes(t.hostname)){t.host=location.host;
t.protocol=location.protocol==="https:"?"wss:":"ws:";u=t.href}}catch{}super(u,...p)}};
const c=Object.getOwnPropertyDescriptor(Document.prototype,"cookie");
if(c&&self!==top&&location.hostname.endsWith(".localhost"))Object.defineProperty(document,"cookie",
{configurable:true,get(){return c.get.call(document)},set(v){c.set.call(document,
String(v).replace(/;\\s*(?:samesite|domain)\\s*=[^;]*|;\\s*(?:secure|partitioned)\\s*(?=;|$)/gi,"")
+"; SameSite=None; Secure; Partitioned")}})})()</script>"""


def inbound(headers: Iterable[tuple[bytes, bytes]], own: bytes) -> Headers:
    """Return the headers that the dev server gets: those of a visit to its own origin ``own``.

    The preview's address, in Origin and Referer, becomes the dev server's; a foreign one stays, so
    that the server can still refuse it. Where a page is wanted, it is asked for uncompressed.
    """
    given = [(name.lower(), value) for name, value in headers]
    values = dict(given)
    hosts = {values.get(b"x-forwarded-host", b""), values.get(b"host", b"")} - {b""}
    is_page = wants_page(given)
    kept = []
    for name, value in given:
        if name in _NOT_IN or name in _OF_PROXIES or name.startswith(b"x-forwarded-"):
            continue
        if name == b"origin" and _host_of(value) in hosts:
            value = own
        elif name == b"referer" and _host_of(value) in hosts:
            value = own + _REFERER.sub(b"", value, count=1)
        elif name == b"accept-encoding" and is_page:
            value = b"identity"  # it gets our script
        kept.append((name, value))
    return kept


def outbound(headers: Iterable[tuple[bytes, bytes]], port: int, *, is_changed: bool) -> Headers:
    """Return the headers that the browser gets; without those of the body if it is changed.

    Addresses of the dev server itself become paths.
    """
    kept = []
    for name, value in headers:
        name = name.lower()
        if name in _NOT_OUT or (is_changed and name in _OF_BODY):
            continue
        kept.append((name, _here(name, value, port)))
    return kept


def gets_script(method: str, status: int, headers: Headers) -> bool:
    """Return whether the answer is a whole page, into which the script can be put."""
    has_page = method != "HEAD" and status not in _BODILESS and status != _PARTIAL
    return has_page and is_html(headers)


def unpacker_of(headers: Headers) -> Unpacker | None:
    """Return what decompresses a body with these headers; ``None`` if we have nothing for it."""
    named = [v.decode("latin-1") for n, v in headers if n.lower() == b"content-encoding"]
    try:
        return Unpacker(packing_of(named))
    except BadPacking:
        return None


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


def waiting_page(title: str, said: str, *, again_in: int = 0) -> bytes:
    """Return a page of our own, which reloads itself ``again_in`` seconds later, if that is set.

    Its texts are escaped.
    """
    refresh = f'<meta http-equiv=refresh content="{again_in}">' if again_in else ""
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8>{refresh}"
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


def _here(name: bytes, value: bytes, port: int) -> bytes:
    """Return a header's value with addresses of the dev server itself as paths."""
    if (pattern := _NAMES_ADDRESS.get(name)) is None:
        return value

    def path(found: re.Match[bytes]) -> bytes:
        before, scheme, at = found[1], (found[2] or b"http").lower(), found[3]
        is_own = int(at or _USUAL_PORTS[scheme]) == port
        # One slash only: two would name another host.
        return before + b"/" if is_own else found[0]

    return pattern.sub(path, value)
