"""``/ws/terminals/<org>/<thread>/<terminal>``: a page's socket to a terminal.

The messages pass unchanged to the sandbox and back (``sandboxes/daemon/terminals/wire.py``). Who
may have the terminal is checked when the socket is opened, and every few seconds while it is open.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qs
from uuid import UUID

from mesh import database_pool
from mesh.connection_checks import Right, RightLost, while_held
from mesh.credentials import credential_of, find_terminal_users
from mesh.lib.asgi import Message, Receive, Scope, Send, allow_messages
from mesh.lib.errors import AppError, NotFound, Unauthorized
from mesh.models import User
from sandboxes import providers
from sandboxes.providers.base import Place
from threads import selectors
from threads.reading.viewers import Viewer
from threads.terminals_api import TerminalsOff, allowed_place, settle

PREFIX: Final = "/ws/terminals/"
MOST_INPUT: Final = 256 * 1024  # bytes of one message of the page
NOT_SIGNED_IN, NOT_ALLOWED, UNKNOWN, AWAY = 4401, 4403, 4404, 4502
_PATH = re.compile(rf"{PREFIX}([-\w]+)/([0-9a-f-]{{36}})/([0-9a-f-]{{36}})", re.ASCII)


async def serve_terminal(scope: Scope, receive: Receive, send: Send) -> None:
    """Connect the socket of a signed-in page to its terminal."""
    told = _Told(send)
    try:
        viewer, place, terminal_id, rights = await _find(scope)
    except AppError as exc:
        await receive()
        await told.refuse(exc)
        return
    after = parse_qs(scope["query_string"].decode("latin-1")).get("after", ["0"])[0]
    number = after if after.isascii() and after.isdecimal() and len(after) < 19 else "0"
    allow_messages(scope, MOST_INPUT)
    try:
        provider = providers.provider_for(place.kind)
        path = f"terminals/{terminal_id}/socket?after={number}"
        joining = provider.join(place, path, scope=scope, receive=receive, send=told.send)
        await while_held(joining, *rights)
    except RightLost as exc:
        is_out = viewer.signed_in in exc.lost
        await told.refuse(Unauthorized() if is_out else TerminalsOff())
    except AppError as exc:
        await told.refuse(exc)
    finally:
        await settle(place)


class _Told:
    """What was said to the page: a socket can be refused in words only once it is accepted."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_accepted = self._is_over = False

    async def send(self, message: Message) -> None:
        self._is_accepted |= message["type"] == "websocket.accept"
        self._is_over |= message["type"] in ("websocket.close", "websocket.http.response.start")
        await self._send(message)

    async def refuse(self, why: AppError) -> None:
        """Say why there is no terminal, and close the socket."""
        code = {401: NOT_SIGNED_IN, 403: NOT_ALLOWED, 404: UNKNOWN}.get(why.status, AWAY)
        if self._is_over:
            return
        with suppress(RuntimeError, OSError):  # the page may have left
            if not self._is_accepted:
                await self.send({"type": "websocket.accept"})
            text = json.dumps({"type": "refused", **why.body()})
            await self.send({"type": "websocket.send", "text": text})
            await self.send({"type": "websocket.close", "code": code})


async def _find(scope: Scope) -> tuple[Viewer, Place, UUID, list[Right]]:
    """Return who asks, the sandbox, the terminal's id, and the rights that the socket needs."""
    user = scope.get("user")
    if not isinstance(user, User) or not user.is_active:
        raise Unauthorized
    found = _PATH.fullmatch(scope["path"])
    try:
        org, thread_id, terminal_id = found.groups() if found else ("", "", "")
        ids = UUID(thread_id), UUID(terminal_id)
    except ValueError as exc:
        raise NotFound from exc
    viewer = Viewer(user, credential_of(user, sign_in=None, session=scope.get("session")))
    place, organization = await database_pool.reads.run(_place, user, org, ids[0])
    rights = [
        viewer.signed_in,
        viewer.reads(ids[0]),
        Right(find_terminal_users, (user.pk, organization)),
    ]
    return viewer, place, ids[1], rights


def _place(user: User, org: str, thread_id: UUID) -> tuple[Place, Any]:
    thread = selectors.get_thread(viewer=user, org_slug=org, thread_id=thread_id)
    return allowed_place(user, thread), thread.organization_id
