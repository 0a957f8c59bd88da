"""The few plain HTTP requests of a laptop to its server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from links.daemon import web
from links.daemon.errors import SignedOut, TooOld
from links.wire.errors import BadMessage
from links.wire.messages import Registered, Registration


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
    value = web.parse_json(body)
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
        return await asyncio.to_thread(web.send, url, **request)
    except web.Unreachable as exc:
        raise RegistrationFailed(str(exc)) from exc
