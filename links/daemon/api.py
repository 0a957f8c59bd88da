"""The plain HTTP requests that a laptop sends to its server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from links.daemon import web
from links.daemon.errors import SignedOut, TooOld
from links.wire.errors import BadMessage
from links.wire.headers import LINK_SECRET, LINK_TOKEN, SERVER_KEY, USER_SUB
from links.wire.messages import MachineStatus, Registered, Registration


class RegistrationFailed(Exception):
    """The server is unreachable or refuses for now; a retry may succeed."""


class IdentityInUse(RegistrationFailed):
    """Another machine with this one's identity is online."""


class TokenOfAnother(RegistrationFailed):
    """The token is bound to another machine's id."""


class NotRegistered(Exception):
    """The link's secret is no longer valid: register again."""


async def register(server: str, registration: Registration, *, token: str) -> Registered:
    """Return the link's new secret.

    Raises:
        SignedOut, TooOld: a retry will not succeed.
        IdentityInUse: once the other machine counts as offline, a retry will succeed.
        TokenOfAnother: a retry needs another token.
        RegistrationFailed: a retry may succeed.
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
        raise TooOld(
            f"Protocol too old (link v{registration.protocol_version}).",
            command=str(error.get("installHint", "")),
        )
    if error.get("code") == "machine_in_use":
        raise IdentityInUse(str(error.get("message", "")))
    if error.get("code") == "wrong_machine":
        raise TokenOfAnother(str(error.get("message", "")))
    raise RegistrationFailed(f"Registration failed: HTTP {status} {error.get('message', '')}")


async def find_command(server: str) -> str:
    """Return the command that starts the server's own deco_link, if it offers one."""
    try:
        status, body = await _send(f"{server}/dist/", method="GET", headers={}, timeout=5)
    except RegistrationFailed:
        return ""
    offer = web.parse_json(body)
    if status != 200 or not isinstance(offer, dict):
        return ""
    return str(offer.get("uv") or offer.get("uvx") or "")  # an older server says "uvx"


async def heartbeat(
    server: str, registered: Registered, *, token: str, status: MachineStatus | None
) -> None:
    """Report that a machine without a tunnel is alive, with its ``status`` if that changed.

    Raises:
        NotRegistered: the server does not know the link, or not by this secret.
        RegistrationFailed: the server did not accept it.
    """
    body = json.dumps(status.as_json()).encode() if status else b""
    headers = {**_proof(registered), LINK_TOKEN: token, "Content-Type": "application/json"}
    answered, _ = await _send(
        f"{server}/api/links/heartbeat", method="POST", headers=headers, body=body, timeout=5
    )
    if answered in (401, 404, 410):
        raise NotRegistered("The server no longer knows this machine.")
    if answered != 204:
        raise RegistrationFailed(f"The heartbeat was refused: HTTP {answered}.")


async def deregister(server: str, registered: Registered) -> None:
    """Tell the server that this machine stops; if this fails, its deadline marks it offline.

    Raises:
        RegistrationFailed: the server could not be reached.
    """
    await _send(f"{server}/api/links/me", method="DELETE", headers=_proof(registered), timeout=3)


def _proof(registered: Registered) -> dict[str, str]:
    return {
        USER_SUB: registered.user_sub,
        LINK_SECRET: registered.link_secret,
        SERVER_KEY: registered.server_key,
    }


async def _send(url: str, **request: Any) -> tuple[int, bytes]:
    try:
        return await asyncio.to_thread(web.send, url, **request)
    except web.Unreachable as exc:
        raise RegistrationFailed(str(exc)) from exc
