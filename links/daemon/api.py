"""The few plain HTTP requests of a laptop to its server."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit

from links.daemon.client import LOOPBACK
from links.daemon.errors import SignedOut, TooOld
from links.wire.errors import BadMessage
from links.wire.messages import Registered, Registration

TIMEOUT: Final = 10.0


class RegistrationFailed(Exception):
    """The server can't be reached, or refuses for now; trying again may help."""


async def register(server: str, registration: Registration, *, token: str) -> Registered:
    """Return the link's new secret.

    Raises:
        SignedOut, TooOld: trying again does not help.
        RegistrationFailed: it may.
    """
    status, body = await _send(
        f"{server}/api/links",
        method="POST",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        body=json.dumps(registration.as_json()).encode(),
    )
    value = _json(body)
    if status == 200:
        try:
            return Registered.parse(value)
        except BadMessage as exc:
            raise RegistrationFailed(str(exc)) from exc
    error = value.get("error") if isinstance(value, dict) else None
    error = error if isinstance(error, dict) else {}
    if status == 401:
        raise SignedOut
    if status == 426:
        hint = str(error.get("installHint", ""))
        raise TooOld(f"Protocol too old (link v{registration.protocol_version}). {hint}")
    raise RegistrationFailed(f"Registration failed: HTTP {status} {error.get('message', '')}")


async def deregister(server: str, registered: Registered) -> None:
    """Tell the server that this machine stops; it finds out by itself where this fails.

    Raises:
        RegistrationFailed: it could not be told.
    """
    headers = {"X-Mesh-User-Sub": registered.user_sub, "X-Link-Secret": registered.link_secret}
    await _send(f"{server}/api/links/me", method="DELETE", headers=headers, timeout=3)


async def _send(url: str, **request: Any) -> tuple[int, bytes]:
    try:
        return await asyncio.to_thread(_send_plain, url, **request)
    except (OSError, ValueError) as exc:  # URLError is an OSError; a bad URL is the other
        raise RegistrationFailed(f"The server can't be reached: {exc}") from exc


def _send_plain(
    url: str,
    *,
    method: str,
    headers: dict[str, str],
    body: bytes | None = None,
    timeout: float = TIMEOUT,
) -> tuple[int, bytes]:
    handlers: list[Any] = [_NoRedirect]
    if urlsplit(url).hostname in LOOPBACK:
        handlers.append(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            return answer.status, answer.read(1024 * 1024)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read(1024 * 1024)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token and the secret go to the named server only."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
