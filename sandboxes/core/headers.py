"""Which headers pass between a browser and an app in a preview."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from links.wire.headers import PROOFS

Pairs = list[tuple[str, str]]

COOKIE: Final = "mesh_preview"
HOST_COOKIE: Final = f"__Host-{COOKIE}"  # only the host itself can set it, and only over TLS
# Apps never get Mesh's cookies, and can't set one of a similar name.
_OURS: Final = re.compile(r"(?:__(?:Host|Secure)-)?mesh_[a-z]+", re.IGNORECASE)
# Hop-by-hop headers, or headers that each hop sets itself.
_OF_HOP: Final = {
    *("connection", "content-length", "host", "keep-alive", "te", "trailer", "upgrade"),
    *("transfer-encoding", "proxy-authorization", "proxy-connection"),
    *("sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-key"),
    *("sec-websocket-protocol", "sec-websocket-version"),
}
# Browsers do not send these, and other clients don't need them for a preview.
_OF_MESH: Final = {"authorization", *PROOFS}
_NOT_OUT: Final = {
    *("connection", "keep-alive", "transfer-encoding", "upgrade", "server", "alt-svc"),
    *("x-frame-options", "content-security-policy", "content-security-policy-report-only"),
    *("strict-transport-security", "clear-site-data", "service-worker-allowed"),
    "cross-origin-resource-policy",
    # Instructions to a proxy to send a file of its own, or to fetch another address, instead.
    *("x-sendfile", "x-lighttpd-send-file", "x-litespeed-location", "x-reproxy-url"),
}
_OF_SITE: Final = ("samesite", "secure", "partitioned")
_PARTITIONED: Final = " SameSite=None; Secure; Partitioned"
# Only the app's own pages read its responses, and they need no CORS. The second prefix is for
# instructions to nginx; the one not to buffer a stream is harmless.
_NOT_OUT_PREFIXES: Final = ("access-control-", "x-accel-")
_HARMLESS: Final = "x-accel-buffering"


def inbound(headers: Iterable[tuple[bytes, bytes]], *, host: str, scheme: str) -> Pairs:
    """Return the headers that the app gets: the browser's without Mesh's own."""
    kept: Pairs = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name in _OF_HOP or name in _OF_MESH or name.startswith("x-forwarded-"):
            continue
        if name == "cookie":
            value = without_ours(value)
            if not value:
                continue
        kept.append((name, value))
    return [*kept, ("x-forwarded-host", host), ("x-forwarded-proto", scheme)]


def outbound(
    headers: Iterable[tuple[str, str]], *, frame_ancestors: str, is_partitioned: bool = False
) -> Pairs:
    """Return the headers that the browser gets: the app's, and the rules that only Mesh and the
    app itself may frame it and no page of another origin may load or read it.

    Cookies are limited to the preview's own host, even if the app names another domain, and with
    ``is_partitioned`` to the site that shows it (see ``of_this_host``).
    """
    kept: Pairs = []
    for name, value in headers:
        lower = name.lower()
        is_held_back = lower in _NOT_OUT or lower.startswith(_NOT_OUT_PREFIXES)
        if is_held_back and lower != _HARMLESS:
            continue
        if lower == "set-cookie":
            cookie = of_this_host(value, is_partitioned=is_partitioned)
            if cookie:
                kept.append((lower, cookie))
            continue
        kept.append((lower, value))
    policy = ("content-security-policy", f"frame-ancestors 'self' {frame_ancestors}")
    return [*kept, ("cross-origin-resource-policy", "same-origin"), policy]


def without_ours(cookies: str) -> str:
    """Return a Cookie header without Mesh's own."""
    pairs = [pair.strip() for pair in cookies.split(";")]
    return "; ".join(pair for pair in pairs if pair and not _is_ours(pair))


def find_cookie(headers: Iterable[tuple[bytes, bytes]], name: str) -> str:
    """Return the value of a cookie, or ""."""
    for key, value in headers:
        if key.lower() == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                given, _, text = pair.strip().partition("=")
                if given == name:
                    return text
    return ""


def of_this_host(set_cookie: str, *, is_partitioned: bool = False) -> str:
    """Return a Set-Cookie header for this host alone; "" for one named like Mesh's.

    ``is_partitioned``: the frame is of another site than Mesh's page, as below ``localhost``. There
    browsers accept no cookie but a partitioned one, so forms and sign-ins of the app would fail.
    Mesh itself refuses the requests from which SameSite would protect it.
    """
    first, *attributes = set_cookie.split(";")
    if _is_ours(first):
        return ""
    dropped = {"domain", *(_OF_SITE if is_partitioned else ())}
    kept = [one for one in attributes if one.partition("=")[0].strip().lower() not in dropped]
    return ";".join([first, *kept, *([_PARTITIONED] if is_partitioned else [])])


def _is_ours(pair: str) -> bool:
    return _OURS.fullmatch(pair.partition("=")[0].strip()) is not None
