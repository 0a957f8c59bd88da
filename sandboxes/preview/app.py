"""The ASGI application of every preview's origin: HTTP and WebSocket through to the sandbox.

Whoever comes needs the cookie that a ticket became (``tickets.py``). The app in the sandbox
sees none of Mesh's cookies, and its own stay with its host. A browser enters by a page beside
the preview, where the app's service worker sees nothing (ADR 21).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from links.sockets import MAX_MESSAGE
from links.upload import Body, Upload, UploadBroken, declared_length, unless_left
from links.wire.headers import REFUSAL
from links.wire.streamed import WHOLE
from mesh import database_pool
from mesh.connection_checks import RightLost, while_held
from mesh.lib.asgi import Receive, Scope, Send, allow_messages
from mesh.lib.errors import AppError
from mesh.lib.targets import checked_target
from sandboxes.core.headers import Pairs, find_cookie, inbound, outbound
from sandboxes.core.preview import Origin, handle_of_host, is_entry, origin_of
from sandboxes.preview import pages
from sandboxes.preview.request import PreviewRequest, header_of
from sandboxes.preview.tickets import (
    COOKIE_LIVES,
    Grant,
    find_place,
    is_signed_in,
    read_cookie,
    rights_of,
    use_ticket,
)
from sandboxes.providers import provider_for
from sandboxes.providers.base import LinkOffline, Place, SandboxDown, SandboxProvider, StreamCut
from sandboxes.services import serve_project

logger = logging.getLogger(__name__)

ENTER: Final = "/.mesh/enter"
BODY_LIMIT: Final = 25 * 1024 * 1024  # of a body that programs of an older version read whole
TICKET_LIMIT: Final = 4 * 1024  # bytes
REMEMBERED: Final = 10.0  # seconds for which a failure is told again,
LOOKED_UP: Final = 3.0  # and a look-up of who may see what is good
MOST_REMEMBERED: Final = 1_000
SOON, LATER = 2, 5  # seconds until a page looks again


@dataclass(slots=True)
class Previews:
    """Serves all previews. ``frame_ancestors``: who may frame them, as CSP says it.

    ``mesh_url`` is the server's public address, or empty.
    """

    frame_ancestors: Callable[[], str]
    mesh_url: Callable[[], str] = lambda: ""
    provider_for: Callable[[str], SandboxProvider] = provider_for
    clock: Callable[[], float] = time.monotonic
    _places: dict[Grant, tuple[float, Place | None]] = field(default_factory=dict)
    _starting: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _failures: dict[str, tuple[float, AppError]] = field(default_factory=dict)

    async def serve(self, scope: Scope, receive: Receive, send: Send, *, handle: str) -> None:
        """Serve one connection to the origin of ``handle``; "" is the origin of none."""
        request = PreviewRequest(scope, receive, send, frame_ancestors=self.frame_ancestors())
        try:
            # Before anything else: behind this the address leads by the sandbox's own routes.
            checked_target(request.target)
        except AppError as exc:
            await request.refuse(exc.status, exc.code, str(exc), hint=exc.hint)
            return
        named, host, mesh_url = scope["path"].removeprefix("/"), request.host, self.mesh_url()
        if is_entry(host, handle=named, mesh_url=mesh_url) and scope["type"] == "http":
            await self._show_entry(request, origin_of(named, mesh_url=mesh_url, host=host))
            return
        origin = origin_of(handle, mesh_url=mesh_url, host=host)
        if not handle:
            await request.refuse(404, "not_found", "There is no such preview.")
        elif scope["path"] == ENTER and scope["type"] == "http":
            await self._enter(request, origin, handle)
        elif not _is_let_in(request, origin):
            await request.refuse(403, "foreign_origin", "Another site may only lead here.")
        else:
            await self._pass(request, origin, handle)

    async def _show_entry(self, request: PreviewRequest, origin: Origin) -> None:
        if request.scope["method"] not in ("GET", "HEAD"):
            await request.refuse(405, "method_not_allowed", "There is only a page here.")
            return
        policy = pages.entry_policy(origin.own)
        await request.html(200, pages.entry_page(origin.own), policy=policy)

    async def _enter(self, request: PreviewRequest, origin: Origin, handle: str) -> None:
        """Take a ticket, as text, from the entry's page or from a program; set the cookie."""
        scope = request.scope
        if scope["method"] != "POST":
            await request.refuse(405, "method_not_allowed", "A preview is opened from Mesh.")
            return
        if request.origin not in ("", origin.entry):
            await request.refuse(403, "foreign_origin", "Another site may not enter here.")
            return
        readable = [
            ("access-control-allow-origin", origin.entry),
            ("access-control-allow-credentials", "true"),
            ("vary", "origin"),
        ]
        body = await request.body(TICKET_LIMIT)
        try:
            # It writes a row: not in the event loop.
            cookie = await database_pool.writes.run(
                use_ticket, (body or b"").decode("latin-1"), handle=handle
            )
        except AppError as exc:
            told = json.dumps(exc.body()).encode()
            headers = [("content-type", "application/json"), *readable]
            await request.answer(exc.status, headers, told)
            return
        grant = read_cookie(cookie, handle=handle)
        place = await self._place(grant) if grant else None
        if place is not None:
            self._start(place)  # it may have no dev server yet: the first page waits for it
        set_cookie = origin.set_cookie(cookie, lives=COOKIE_LIVES)
        await request.answer(204, [("set-cookie", set_cookie), *readable], b"")

    async def _pass(self, request: PreviewRequest, origin: Origin, handle: str) -> None:
        scope = request.scope
        grant = read_cookie(find_cookie(scope["headers"], origin.cookie_name), handle=handle)
        if grant is None:
            await request.refuse(401, "unauthorized", "Open this preview from Mesh.")
            return
        place = await self._place(grant)
        if place is None and not await database_pool.rights.run(is_signed_in, grant):
            await request.refuse(401, "unauthorized", "Open this preview from Mesh.")
            return
        if place is None:
            await request.refuse(404, "unknown_handle", "There is no such sandbox any more.")
            return
        try:
            provider = self.provider_for(place.kind)
            if request.is_socket:
                serving = self._join(request, provider, place)
            else:
                serving = self._carry(request, provider, place, origin)
            await while_held(serving, *rights_of(grant))
        except RightLost:
            await request.cut()
        except UploadBroken as exc:
            raise asyncio.CancelledError from exc  # there is nobody to answer
        except (SandboxDown, StreamCut) as exc:
            await self._tell_of_start(request, place, exc)
        except LinkOffline as exc:
            await request.waiting(exc.code, "Your machine is not connected", exc.hint, LATER)
        except AppError as exc:
            await request.refuse(exc.status, exc.code, str(exc))

    async def _join(self, request: PreviewRequest, provider: SandboxProvider, place: Place) -> None:
        allow_messages(request.scope, MAX_MESSAGE)  # as on the rest of the way
        await provider.join(
            place,
            _target(request),
            scope=request.scope,
            receive=request.receive,
            send=request.send,
            headers=_inbound(request),
        )

    async def _carry(
        self, request: PreviewRequest, provider: SandboxProvider, place: Place, origin: Origin
    ) -> None:
        body = await self._body(request, provider, place)
        if body is None:
            text = "The body is larger than 25 MiB, and Mesh on that machine is too old for more."
            await request.refuse(413, "body_too_large", text, hint="Update Mesh on the machine.")
            return
        exchange = self._exchange(request, provider, place, origin, body)
        # Nobody may wait for a long poll whose page is gone.
        await unless_left(request.receive, body, exchange)

    async def _body(
        self, request: PreviewRequest, provider: SandboxProvider, place: Place
    ) -> Body | None:
        """Return the body, a long one as it arrives; ``None``: too long to be read whole."""
        length, is_chunked = declared_length(request.scope)
        is_long = is_chunked or (length is not None and length > WHOLE)
        if is_long and await provider.streams_bodies(place):
            return Upload(request.receive, length)
        return await request.body(BODY_LIMIT)

    async def _exchange(
        self,
        request: PreviewRequest,
        provider: SandboxProvider,
        place: Place,
        origin: Origin,
        body: Body,
    ) -> None:
        method, headers = request.scope["method"], _inbound(request)
        async with provider.open(
            place, method, _target(request), headers=headers, body=body
        ) as reply:
            if _is_of_the_way(reply.status_code, reply.headers):
                raise SandboxDown
            # Byte for byte: httpx reads UTF-8 in them, which could not be written as it came.
            told = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in reply.headers.raw]
            out = outbound(
                told,
                frame_ancestors=request.frame_ancestors,
                is_partitioned=origin.is_of_another_site,
            )
            await request.stream(reply.status_code, out, reply.aiter_raw(), body=body)

    async def _place(self, grant: Grant) -> Place | None:
        """Return the granted sandbox's place, looked up every few seconds."""
        now = self.clock()
        found = self._places.get(grant)
        if found is not None and found[0] > now:
            return found[1]
        if len(self._places) >= MOST_REMEMBERED:
            self._places.clear()
        place = await database_pool.reads.run(find_place, grant)
        self._places[grant] = (now + LOOKED_UP, place)
        return place

    async def _tell_of_start(self, request: PreviewRequest, place: Place, why: AppError) -> None:
        """Have the sandbox started, and say so; or for a while, that this has failed."""
        until, failure = self._failures.get(place.handle, (0.0, None))
        if failure is not None and until > self.clock():
            text = f"{failure} {failure.hint}".strip()
            await request.waiting(failure.code, "Your preview could not be started", text, LATER)
            return
        self._start(place)
        await request.waiting("sandbox_starting", "Starting your preview…", str(why), SOON)

    def _start(self, place: Place) -> None:
        """Have the sandbox started, once at a time; the page looks again by itself."""
        if place.handle in self._starting:
            return
        task = asyncio.create_task(self._ensure(place))
        self._starting[place.handle] = task
        task.add_done_callback(lambda _: self._starting.pop(place.handle, None))

    async def _ensure(self, place: Place) -> None:
        self._failures.pop(place.handle, None)
        try:
            await serve_project(self.provider_for(place.kind), place)
        except (SandboxDown, StreamCut, LinkOffline) as exc:  # may pass by itself
            logger.info("The sandbox of a preview (%s) did not start: %s", place.handle, exc)
        except AppError as exc:
            logger.warning("The sandbox of a preview (%s) did not start: %s", place.handle, exc)
            if len(self._failures) >= MOST_REMEMBERED:
                self._failures.clear()
            self._failures[place.handle] = (self.clock() + REMEMBERED, exc)


def preview_of(scope: Scope, *, mesh_url: str) -> str | None:
    """Return the handle whose origin a connection is for; ``None``: it is for Mesh itself."""
    return handle_of_host(header_of(scope, b"host"), mesh_url=mesh_url)


def _target(request: PreviewRequest) -> str:
    """Return what was asked for, below the sandbox's preview."""
    return f"preview{request.target}"


def _inbound(request: PreviewRequest) -> Pairs:
    return inbound(request.scope["headers"], host=request.host, scheme=request.scheme)


def _is_of_the_way(status: int, headers: Any) -> bool:
    """Say whether an answer is the link's or the sandbox's own, not the app's."""
    return status in (404, 502) and REFUSAL in headers


def _is_let_in(request: PreviewRequest, origin: Origin) -> bool:
    if request.is_socket:
        return origin.is_own(request.origin)
    told = {k.decode(): v.decode("latin-1") for k, v in request.scope["headers"]}
    return origin.lets_ask(request.scope["method"], told)
