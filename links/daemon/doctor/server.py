"""The doctor's look at the way to the server, each step on top of the one before."""

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
from links.wire.signing import MAX_DRIFT
from mesh.version import VERSION

WITHIN: Final = 6.0  # seconds for one step
WORTH_SAYING: Final = 5.0  # seconds that two clocks are apart
EXPIRES_SOON: Final = 14 * 86400.0
NOT_BUFFERED: Final = 3.0  # seconds in which the first event of an open stream has to come


async def examine(server: str, tokens: TokenSource) -> AsyncIterator[Finding]:
    """Yield what is found on the way to ``server``, and stop where nothing further can be."""
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
    if behind_proxy:  # which looks the name up itself
        yield Finding("ok", "DNS", "left to the proxy")
    else:
        yield await look_up(host, port)
    if is_plain:
        yield judge_plain(host)
    elif not behind_proxy:
        yield await check_tls(host, port)


async def look_up(host: str, port: int) -> Finding:
    """Say what ``host`` is called in numbers."""
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
    """Say what it means that the address begins with http://."""
    if host in LOOPBACK:
        return Finding("ok", "TLS", "not needed: the server is on this machine")
    fix = "Use the server's https:// address; ask its operator for one."
    return Finding("warn", "TLS", "http://: others on the way can read your sign-in", fix)


async def check_tls(host: str, port: int) -> Finding:
    """Say whether an encrypted connection to the right server can be had."""
    try:
        async with asyncio.timeout(WITHIN):
            context = ssl.create_default_context()
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLCertVerificationError as exc:
        fix = "Where a company inspects TLS, set SSL_CERT_FILE to its certificate (PEM)."
        return Finding("fail", "TLS", http.why(exc), fix)
    except (OSError, TimeoutError) as exc:
        fix = "Check address and port, and that the server runs; a firewall may be in between."
        return Finding("fail", "TLS", f"{host}:{port}: {http.why(exc)}", fix)
    try:
        return judge_certificate(writer.get_extra_info("ssl_object"), now=time.time())
    finally:
        writer.close()


def judge_certificate(connection: Any, *, now: float) -> Finding:
    """Say what of the accepted certificate is worth knowing."""
    ends = ssl.cert_time_to_seconds(connection.getpeercert()["notAfter"])
    days = int((ends - now) // 86400)
    text = f"{connection.version()}, the certificate is good for {days} days"
    if ends - now < EXPIRES_SOON:
        return Finding("warn", "TLS", text, "Tell the server's operator to renew it.")
    return Finding("ok", "TLS", text)


def judge_server(answer: http.Answer) -> Finding:
    """Say whether it is a Mesh that answers, and a healthy one."""
    value = answer.value if isinstance(answer.value, dict) else {}
    if "version" not in value or "database" not in value:
        text = f"what answers there is no Mesh (HTTP {answer.status})"
        return Finding("fail", "server", text, "Check the address; a sign-in page of a network?")
    if answer.status != 200:
        text = f"Mesh {value['version']} is there, its database is not"
        return Finding(
            "fail", "server", text, "Tell the server's operator; it comes back by itself."
        )
    return Finding("ok", "server", f"Mesh {value['version']}")


def judge_clock(ahead: float) -> Finding:
    """Say whether signed requests, which are dated, will be accepted."""
    off = abs(ahead)
    which = "behind" if ahead > 0 else "ahead of"
    text = f"this machine's is {off:.0f} s {which} the server's"
    fix = "Set the clock by the network: " + (
        "sudo sntp -sS time.apple.com" if sys.platform == "darwin" else "timedatectl set-ntp true"
    )
    if off > MAX_DRIFT:
        return Finding("fail", "clock", text, fix)
    if off > WORTH_SAYING:
        return Finding("warn", "clock", text, fix)
    return Finding("ok", "clock", "agrees with the server's")


async def _versions(server: str) -> Finding:
    try:
        answer = await asyncio.to_thread(http.get, f"{server}/dist/")
    except http.NoAnswer as exc:
        return Finding("warn", "versions", f"the server did not tell its own: {exc}")
    return judge_versions(answer.value)


def judge_versions(offer: Any) -> Finding:
    """Say whether this program fits the server, from what ``/dist/`` says."""
    ours = f"deco_link {VERSION}, Python {sys.version.split()[0]}"
    offer = offer if isinstance(offer, dict) else {}
    spoken = offer.get("protocol")
    least = spoken.get("minimum") if isinstance(spoken, dict) else None
    update = f"Update: {offer.get('pip') or 'ask the server for its own deco_link'}"
    if isinstance(least, int) and least > protocol.CURRENT:
        text = f"{ours}: protocol {protocol.CURRENT}, the server needs {least}"
        return Finding("fail", "versions", text, update)
    theirs = offer.get("version")
    if theirs is None:
        return Finding("warn", "versions", f"{ours}; the server offers none to compare")
    if theirs != VERSION:
        return Finding("warn", "versions", f"{ours}, the server's is {theirs}", update)
    return Finding("ok", "versions", f"{ours}, the same as the server's")


async def _as_this_machine(server: str, tokens: TokenSource) -> AsyncIterator[Finding]:
    """Yield what is found with this machine's sign-in, for as long as it opens anything."""
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
    """Say whether the server accepts this machine's token."""
    try:
        answer = await asyncio.to_thread(http.get, f"{server}/api/links/me", token=token)
    except http.NoAnswer as exc:
        return Finding("fail", "sign-in", str(exc), "Try again; the server answered before.")
    if answer.status == 200:
        value = answer.value if isinstance(answer.value, dict) else {}
        online = f", {value.get('hostname', 'a machine')} is online"
        return Finding("ok", "sign-in", "accepted" + (online if "hostname" in value else ""))
    text = f"HTTP {answer.status} {http.said(answer.value)}".strip()
    if answer.status in (401, 403):
        fix = f"Sign in again: {own_command('logout', server)}, then {own_command(server)}"
        return Finding("fail", "sign-in", text, fix)
    return Finding("fail", "sign-in", text, "Tell the server's operator.")


async def check_websocket(server: str, token: str) -> Finding:
    """Open the tunnel's WebSocket and wait for the server's greeting; the link is not touched."""
    fix = "A proxy or firewall on the way must let WebSockets (Upgrade: websocket) through."
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
    """Say whether an event arrives while its stream is still open, or is held back."""
    return await asyncio.to_thread(_first_event, f"{server}/api/links/stream", token)


def _first_event(url: str, token: str) -> Finding:
    fix = "A proxy on the way holds answers back; switch its buffering off for /api/."
    try:
        with http.opened(url, token=token, timeout=NOT_BUFFERED) as response:
            if response.status != 200:
                text = f"could not be tried: HTTP {response.status}"
                return Finding("warn", "streams", text, "Update the server.")
            line = response.readline(1000)
    except (http.NoAnswer, OSError):
        return Finding("warn", "streams", "events don't arrive while a stream is open", fix)
    if not line.startswith(b"data:"):
        return Finding("warn", "streams", "something on the way changes them", fix)
    return Finding("ok", "streams", "events arrive at once")
