"""The doctor's checks of the way to the server; each step builds on the one before."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus, WebSocketException

from links.daemon.client import dial
from links.daemon.config import own_command
from links.daemon.doctor import http
from links.daemon.doctor.finding import Finding
from links.daemon.errors import Stop
from links.daemon.tokens import RenewalFailed, TokenSource
from links.wire import version as protocol
from links.wire.addresses import LOOPBACK
from mesh.version import VERSION

WITHIN: Final = 6.0  # seconds for one step
WORTH_REPORTING: Final = 5.0  # seconds between the two clocks
EXPIRES_SOON: Final = 14 * 86400.0
NOT_BUFFERED: Final = 3.0  # seconds within which the first event of an open stream must arrive


async def examine(server: str, tokens: TokenSource) -> AsyncIterator[Finding]:
    """Yield the findings on the way to ``server``; stop at a failure that blocks the rest."""
    proxy = http.proxy_of(server)
    yield Finding("ok", "proxy", f"through {proxy}" if proxy else "none")
    async for step in _reach(server, behind_proxy=bool(proxy)):
        yield step
        if step.state == "fail":
            return
    try:
        answer = await asyncio.to_thread(http.get, f"{server}/healthz")
    except http.NoAnswer as exc:
        fix = "Check the address and the network" + (", and the proxy." if proxy else ".")
        yield Finding("fail", "server", f"{server}: {exc}", fix)
        return
    yield judge_server(answer)
    if answer.clock_ahead is not None:
        yield judge_clock(answer.clock_ahead)
    yield await _versions(server)
    async for step in _as_this_machine(server, tokens):
        yield step


async def _reach(server: str, *, behind_proxy: bool) -> AsyncIterator[Finding]:
    parts = urlsplit(server)
    host, is_plain = parts.hostname or "", parts.scheme == "http"
    port = parts.port or (80 if is_plain else 443)
    if behind_proxy:  # which resolves the name itself
        yield Finding("ok", "DNS", "resolved by the proxy")
    else:
        yield await look_up(host, port)
    if is_plain:
        yield judge_plain(host)
    elif not behind_proxy:
        yield await check_tls(host, port)


async def look_up(host: str, port: int) -> Finding:
    """Resolve ``host``, and report its addresses."""
    try:
        async with asyncio.timeout(WITHIN):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as exc:
        fix = "Check the spelling of the address, and the network or VPN."
        return Finding("fail", "DNS", f"{host}: {http.why(exc)}", fix)
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    return Finding("ok", "DNS", f"{host} is {', '.join(addresses)}")


def judge_plain(host: str) -> Finding:
    """Report what an address with http:// means."""
    if host in LOOPBACK:
        return Finding("ok", "TLS", "not needed: the server is on this machine")
    fix = "Use the server's https:// address; ask its operator for one."
    return Finding("warn", "TLS", "http://: others on the network can read your sign-in", fix)


async def check_tls(host: str, port: int) -> Finding:
    """Report whether an encrypted connection to the right server can be opened."""
    try:
        async with asyncio.timeout(WITHIN):
            context = ssl.create_default_context()
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLCertVerificationError as exc:
        fix = "Where a company inspects TLS, set SSL_CERT_FILE to its certificate (PEM)."
        return Finding("fail", "TLS", http.why(exc), fix)
    except (OSError, TimeoutError) as exc:
        fix = "Check the address and port, and that the server runs; a firewall may block it."
        return Finding("fail", "TLS", f"{host}:{port}: {http.why(exc)}", fix)
    try:
        return judge_certificate(writer.get_extra_info("ssl_object"), now=time.time())
    finally:
        writer.close()


def judge_certificate(connection: Any, *, now: float) -> Finding:
    """Report when the accepted certificate expires."""
    ends = ssl.cert_time_to_seconds(connection.getpeercert()["notAfter"])
    days = int((ends - now) // 86400)
    text = f"{connection.version()}, the certificate is valid for {days} days"
    if ends - now < EXPIRES_SOON:
        return Finding("warn", "TLS", text, "Tell the server's operator to renew it.")
    return Finding("ok", "TLS", text)


def judge_server(answer: http.Answer) -> Finding:
    """Report whether a Mesh answers, and whether it is healthy."""
    value = answer.value if isinstance(answer.value, dict) else {}
    if "version" not in value or "database" not in value:
        text = f"the answer is not from a Mesh server (HTTP {answer.status})"
        return Finding(
            "fail",
            "server",
            text,
            "Check the address; a network's sign-in page may answer instead.",
        )
    if answer.status != 200:
        text = f"Mesh {value['version']} answers, but its database is unavailable"
        return Finding(
            "fail", "server", text, "Tell the server's operator; the link reconnects on its own."
        )
    return Finding("ok", "server", f"Mesh {value['version']}")


def judge_clock(ahead: float) -> Finding:
    """Report whether this machine's clock agrees with the server's, which signs by this one."""
    off = abs(ahead)
    which = "behind" if ahead > 0 else "ahead of"
    text = f"this machine's clock is {off:.0f} s {which} the server's"
    fix = "Set the clock from the network: " + (
        "sudo sntp -sS time.apple.com" if sys.platform == "darwin" else "timedatectl set-ntp true"
    )
    if off > WORTH_REPORTING:
        return Finding("warn", "clock", text, fix)
    return Finding("ok", "clock", "agrees with the server's")


async def _versions(server: str) -> Finding:
    try:
        answer = await asyncio.to_thread(http.get, f"{server}/dist/")
    except http.NoAnswer as exc:
        return Finding("warn", "versions", f"the server did not report its version: {exc}")
    return judge_versions(answer.value)


def judge_versions(offer: Any) -> Finding:
    """Report whether this program's version fits the server, from ``/dist/``."""
    ours = f"deco_link {VERSION}, Python {sys.version.split()[0]}"
    offer = offer if isinstance(offer, dict) else {}
    supported = offer.get("protocol")
    least = supported.get("minimum") if isinstance(supported, dict) else None
    update = f"Update: {offer.get('pip') or 'ask the server for its own deco_link'}"
    if isinstance(least, int) and least > protocol.CURRENT:
        text = f"{ours}: protocol {protocol.CURRENT}, the server needs {least}"
        return Finding("fail", "versions", text, update)
    theirs = offer.get("version")
    if theirs is None:
        return Finding("warn", "versions", f"{ours}; the server does not report its version")
    if theirs != VERSION:
        return Finding("warn", "versions", f"{ours}, the server's is {theirs}", update)
    return Finding("ok", "versions", f"{ours}, the same as the server's")


async def _as_this_machine(server: str, tokens: TokenSource) -> AsyncIterator[Finding]:
    """Yield the findings that need this machine's sign-in."""
    try:
        token = await tokens.token()
    except Stop as exc:
        yield Finding("fail", "sign-in", str(exc), exc.hint)
        return
    except RenewalFailed as exc:
        yield Finding("fail", "sign-in", str(exc), "Try again when the server is back.")
        return
    signed_in = await check_sign_in(server, token)
    yield signed_in
    if signed_in.state != "fail":
        yield await check_websocket(server, token)
        yield await check_streams(server, token)


async def check_sign_in(server: str, token: str) -> Finding:
    """Report whether the server accepts this machine's token."""
    try:
        answer = await asyncio.to_thread(http.get, f"{server}/api/links/me", token=token)
    except http.NoAnswer as exc:
        return Finding("fail", "sign-in", str(exc), "Try again; the server answered a moment ago.")
    if answer.status == 200:
        value = answer.value if isinstance(answer.value, dict) else {}
        online = f", {value.get('hostname', 'a machine')} is online"
        return Finding("ok", "sign-in", "accepted" + (online if "hostname" in value else ""))
    text = f"HTTP {answer.status} {http.error_sentence(answer.value)}".strip()
    if answer.status in (401, 403):
        fix = f"Sign in again: {own_command('logout', server)}, then {own_command(server)}"
        return Finding("fail", "sign-in", text, fix)
    return Finding("fail", "sign-in", text, "Tell the server's operator.")


async def check_websocket(server: str, token: str) -> Finding:
    """Open a WebSocket for a tunnel and wait for the server's greeting, beside the link's own."""
    fix = "Let WebSockets (Upgrade: websocket) through each proxy and firewall on the way."
    try:
        async with asyncio.timeout(WITHIN):
            connection = await dial(server, token=token)
            try:
                await connection.first_message()
            finally:
                connection.transport.abort()
    except InvalidStatus as exc:
        return Finding("fail", "WebSocket", f"refused: HTTP {exc.response.status_code}", fix)
    except (OSError, TimeoutError, WebSocketException) as exc:
        return Finding("fail", "WebSocket", http.why(exc), fix)
    return Finding("ok", "WebSocket", "opens, and frames arrive")


async def check_streams(server: str, token: str) -> Finding:
    """Report whether an event arrives while its stream is open, or is buffered on the way."""
    return await asyncio.to_thread(_first_event, f"{server}/api/links/stream", token)


def _first_event(url: str, token: str) -> Finding:
    fix = "A proxy on the way buffers answers; turn its buffering off for /api/."
    try:
        with http.opened(url, token=token, timeout=NOT_BUFFERED) as response:
            if response.status != 200:
                text = f"could not be checked: HTTP {response.status}"
                return Finding("warn", "streams", text, "Update the server.")
            line = response.readline(1000)
    except (http.NoAnswer, OSError):
        return Finding("warn", "streams", "events don't arrive while a stream is open", fix)
    if not line.startswith(b"data:"):
        return Finding("warn", "streams", "something on the way modifies them", fix)
    return Finding("ok", "streams", "events arrive immediately")
