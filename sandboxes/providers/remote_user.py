"""Sandboxes on a person's own machine, reached through its link."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import httpx

from agents.repositories import check_clone_url
from links.calls import client_for
from links.proxy import proxy_websocket
from links.sockets import refuse
from links.wire import streamed
from mesh.lib.asgi import Receive, Scope, Send
from mesh.lib.targets import checked_target
from sandboxes.providers.base import (
    DispatchRefused,
    LinkOffline,
    Pairs,
    Place,
    SandboxDown,
)
from sandboxes.providers.sandbox_client import (
    START_LIMIT,
    Endpoint,
    HttpProvider,
    refusal,
    says,
    spec_of,
)
from sandboxes.providers.signature import clock_at, handshake


class UnknownHandle(SandboxDown):
    """The machine has no folder for that handle."""


UNSAVED: Final = "unsaved_work"  # a machine's refusal to remove a folder
ClientFor = Callable[[UUID], Awaitable[httpx.AsyncClient]]


class RemoteUserProvider(HttpProvider):
    """``remote-user``: one process on the laptop, behind signed requests through the tunnel."""

    def __init__(self, client_for: ClientFor = client_for) -> None:
        self._client_for = client_for

    async def ensure(self, place: Place) -> None:
        if place.repo and not place.folder:
            check_clone_url(place.repo["cloneUrl"])
        body = {"handle": place.handle, **spec_of(place)}
        await self._ask_link(place, "POST", "/api/sandboxes", body, limit=START_LIMIT)

    async def stop(self, place: Place, *, force: bool = False) -> None:
        query = "?force=1" if force else ""
        await self._ask_link(
            place, "DELETE", f"/api/sandboxes/{place.handle}{query}", limit=START_LIMIT
        )

    async def discard(self, place: Place) -> None:
        """Let the machine put the folder aside; it can be restored for seven days.

        If unsaved work would be lost, the folder stays, but without the journal of its runs, which
        contains the messages of deleted threads.
        """
        path = f"/api/sandboxes/{place.handle}"
        try:
            await self._ask_link(place, "DELETE", f"{path}?remove=1", limit=START_LIMIT)
        except DispatchRefused as exc:
            if exc.code != UNSAVED:
                raise
            await self._ask_link(place, "DELETE", f"{path}?journal=1", limit=START_LIMIT)
        except UnknownHandle:
            return

    async def endpoint(self, place: Place) -> Endpoint:
        return Endpoint(await self._client(place), f"/_sandbox/{place.handle}")

    async def join(
        self,
        place: Place,
        path: str,
        *,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Pairs = (),
    ) -> None:
        if place.link_id is None:
            await receive()
            await refuse(scope, send, 502)
            return
        await proxy_websocket(
            scope,
            receive,
            send,
            link_id=place.link_id,
            target=checked_target(f"/_sandbox/{place.handle}/{path}"),
            headers=[
                *headers,
                handshake(f"/_sandbox/{path}", handle=place.handle, clock=clock_at(place)),
            ],
        )

    async def streams_bodies(self, place: Place) -> bool:
        # The sandbox, its link and the process that holds the link may each be of another version.
        reply = await self.request(place, "GET", "health")
        is_able = reply.is_success and says(reply.content, "streamsBodies")
        return is_able and streamed.HEADER in reply.headers

    async def _client(self, place: Place) -> httpx.AsyncClient:
        if place.link_id is None:  # the machine was removed
            raise LinkOffline
        return await self._client_for(place.link_id)

    async def _ask_link(
        self, place: Place, method: str, path: str, body: object = None, *, limit: float
    ) -> None:
        """Send a request to the link program itself; return if the response is a success."""
        client = await self._client(place)
        try:
            reply = await client.request(method, checked_target(path), json=body, timeout=limit)
        except httpx.TransportError as exc:
            raise self._broken(exc) from exc
        if reply.status_code == 404 and method == "DELETE":
            raise UnknownHandle
        if not reply.is_success:
            raise refusal(reply.status_code, reply.content)
