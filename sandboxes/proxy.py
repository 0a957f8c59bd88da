"""``/api/<org>/vm/<vmId>/<branch>/*``: forwards requests to the viewer's sandbox of an agent.

The kind that is recorded in vmMap decides the provider. ``vmId`` is an agent.
"""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import quote

import httpx
from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import Agent
from agents.selectors import get_agent
from links.api import Tool
from links.wire.headers import REFUSAL
from mesh import database_pool, foreign_content
from mesh.api import signed_in
from mesh.connection_checks import Right, RightLost, until_lost, while_held
from mesh.credentials import Credential, credential_of, find_good, find_starters
from mesh.foreign_content import refuse_to_show
from mesh.lib.errors import AppError, MethodNotAllowed, Unauthorized
from mesh.models import User
from mesh.readers import Stream
from mesh.selectors import NotFound, get_starting_membership
from mesh.tokens import bearer, find_persons_sign_in
from sandboxes import providers
from sandboxes.api import AgentUnknown
from sandboxes.core.preview import origin_of
from sandboxes.core.vm_routes import FETCHED, VmRequest, is_step, parse_rest
from sandboxes.preview.tickets import TICKET_LIVES, Grant, make_ticket
from sandboxes.providers.base import LinkOffline, Place, SandboxDown, StreamCut
from sandboxes.resolution import find_sandbox

LONG: Final = 150.0  # seconds: a task of two minutes, and its response
READY_WITHIN: Final = 60.0  # seconds to wait for a sandbox that is starting
POLL_EVERY: Final = 0.5
KEEPALIVE: Final = 15.0
SSE: Final = {
    **foreign_content.HEADERS,
    "Content-Type": foreign_content.EVENTS,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "Content-Encoding": "identity",
}


class IncompleteAddress(AppError):
    code = "invalid_input"
    text = "vmId and branch are required"
    hint = "Use /api/<org>/vm/<agent>/<branch>/<route>."


class NoSuchRoute(AppError):
    code = "not_found"
    text = "The sandbox has no such route here."
    hint = "See /api/schema/ for the available routes."
    status = 404


class UnknownStep(AppError):
    code = "invalid_input"
    text = "step must be one of: clone, install, start"
    hint = "Use setup/clone, setup/install or setup/start."


class NoRunner(AppError):
    code = "no_sandbox_runner"
    text = "No sandbox runner configured"
    hint = "Start deco_link on your machine, or ask the operator to enable a kind of sandbox."
    status = 503


class DaemonUnreachable(AppError):
    code = "daemon_unreachable"
    text = "Daemon unreachable"
    hint = "It is restarted when it is used; try again in a moment."
    status = 502


class HandleGone(AppError):
    code = "handle_gone"
    text = "Sandbox handle is gone. The sandbox needs to be re-provisioned."
    hint = "Start it again with VM_START."
    status = 410


class PathNotFetched(AppError):
    code = "invalid_input"
    text = "path must be /.decofile or /live/_meta"
    hint = "Fetch other files from the preview's own origin."


@extend_schema(exclude=True)  # bodies and responses are the sandbox's own
class VmApi(Tool):
    """Every route except the events, which ``follow_events`` serves."""

    def get(self, request: Request, org: str, vm_id: str, rest: str) -> HttpResponseBase:
        return self._serve(request, org, vm_id, rest)

    def post(self, request: Request, org: str, vm_id: str, rest: str) -> HttpResponseBase:
        return self._serve(request, org, vm_id, rest)

    def put(self, request: Request, org: str, vm_id: str, rest: str) -> HttpResponseBase:
        return self._serve(request, org, vm_id, rest)

    def _serve(self, request: Request, org: str, vm_id: str, rest: str) -> HttpResponseBase:
        viewer = signed_in(request)
        refuse_to_show(request.headers)
        agent, target = _find(viewer, org, vm_id, rest)
        rule = target.rule
        if rule is None:
            raise NoSuchRoute
        if request.method not in rule.methods:
            raise MethodNotAllowed
        if target.route.startswith("setup/") and not is_step(target.route):
            raise UnknownStep
        place = place_of(viewer=viewer, agent=agent, branch=target.branch)
        if target.route == "preview":
            return Response(_ticket(request, viewer, agent, target.branch, place))
        if target.route == "preview-fetch":
            return async_to_sync(_fetch)(place, request.query_params.get("path", ""))
        body = request.data if request.method != "GET" else None
        method = request.method or "GET"
        # A script's name may be any text; quoting makes it one segment of the address.
        answer = forward(place, method, quote(target.route), body, gone_on_404=rule.gone_on_404)
        rights = _rights(_credential(request), agent)
        try:
            return async_to_sync(while_held)(answer, *rights)  # a task may take minutes
        except RightLost as exc:
            raise Unauthorized("Unauthorized") from exc


async def follow_events(
    request: HttpRequest, org: str, vm_id: str = "", branch: str = ""
) -> HttpResponseBase:
    """``GET …/events`` and ``/vm-events?virtualMcpId=&branch=``: streams a sandbox's events.

    An unreachable machine is reported as an event, because EventSource hides the status.
    """
    vm_id = vm_id or request.GET.get("virtualMcpId", "")
    branch = branch or request.GET.get("branch", "")
    try:
        refuse_to_show(request.headers)
        viewer, credential = await database_pool.reads.run(_viewer, request)
        if not vm_id or not branch:
            raise IncompleteAddress
        agent = await database_pool.reads.run(_agent, viewer, org, vm_id)
        place = await database_pool.reads.run(
            place_of, viewer=viewer, agent=agent, branch=branch, must_be_online=False
        )
    except AppError as exc:
        return JsonResponse(exc.body(), status=exc.status)
    return Stream(until_lost(events_of(place), *_rights(credential, agent)), headers=SSE)


async def events_of(place: Place) -> AsyncGenerator[bytes, None]:
    """Yield the sandbox's events unchanged, after a ``phase`` event that says that it is ready.

    If it can't be reached, a ``phase`` or ``gone`` event says so.
    """
    waited = 0.0
    while True:
        try:
            provider = providers.provider_for(place.kind)
            async with provider.open(
                place, "GET", "events", headers=[("accept", "text/event-stream")]
            ) as reply:
                if reply.status_code == 200:
                    yield _event("phase", {"kind": "ready"})
                    async with aclosing(_kept_alive(reply)) as pieces:
                        async for piece in pieces:
                            yield piece
                    return
                status = reply.status_code
        except LinkOffline as exc:
            yield _event("phase", _failed("unknown", str(exc)))
            return
        except (SandboxDown, StreamCut):
            status = 502
        except AppError as exc:
            yield _event("phase", _failed("unknown", str(exc)))
            return
        if status not in (404, 502, 503) or waited >= READY_WITHIN:
            yield _event("gone", {})
            return
        if waited == 0:
            yield _event("phase", {"kind": "claiming"})
        # It may be starting: a message, or VM_START, starts it.
        await asyncio.sleep(POLL_EVERY)
        waited += POLL_EVERY


async def _kept_alive(reply: httpx.Response) -> AsyncGenerator[bytes, None]:
    pieces = reply.aiter_raw()
    upcoming = asyncio.ensure_future(anext(pieces, None))
    try:
        while True:
            done, _ = await asyncio.wait({upcoming}, timeout=KEEPALIVE)
            if not done:
                yield b"event: keepalive\ndata: {}\n\n"
                continue
            piece = upcoming.result()
            if piece is None:
                return
            yield piece
            upcoming = asyncio.ensure_future(anext(pieces, None))
    except httpx.TransportError:
        return  # EventSource reconnects automatically
    finally:
        upcoming.cancel()


def place_of(*, viewer: User, agent: Agent, branch: str, must_be_online: bool = True) -> Place:
    """Return the place of the viewer's sandbox of a branch: as recorded, else the default.

    Raises:
        NoRunner: nothing can run it, or its machine is offline and ``must_be_online`` is true.
    """
    found = find_sandbox(viewer=viewer, agent=agent, branch=branch)
    if found.place.kind not in providers.offered_kinds() or (must_be_online and found.is_away):
        raise NoRunner
    return found.place


async def forward(
    place: Place, method: str, route: str, body: Any, *, gone_on_404: bool = True
) -> HttpResponse:
    """Forward a request; return the response's status, and its body as data
    (``mesh.foreign_content``).

    Raises:
        NoRunner: its machine is not connected.
        DaemonUnreachable: it is not running, or the connection broke.
        HandleGone: it answered 404 and ``gone_on_404`` is true.
    """
    provider = providers.provider_for(place.kind)
    try:
        reply = await provider.request(place, method, route, json=body, limit=LONG)
    except LinkOffline as exc:
        raise NoRunner from exc
    except (SandboxDown, StreamCut) as exc:
        raise DaemonUnreachable(f"Daemon unreachable: {exc}") from exc
    if reply.status_code == 502 and REFUSAL in reply.headers:
        raise DaemonUnreachable("Daemon unreachable: it is not running")
    if reply.status_code == 404 and gone_on_404:
        raise HandleGone
    return _as_data(reply)


async def _fetch(place: Place, path: str) -> HttpResponse:
    """Return one of the two files of an app that a page may read, as data of any type."""
    if path not in FETCHED:
        raise PathNotFetched
    try:
        provider = providers.provider_for(place.kind)
        reply = await provider.request(place, "GET", f"preview{path}", limit=LONG)
    except (LinkOffline, SandboxDown, StreamCut) as exc:
        raise DaemonUnreachable(f"Daemon unreachable: {exc}") from exc
    return _as_data(reply)


def _as_data(reply: httpx.Response) -> HttpResponse:
    """Return the status and body of a sandbox's response, without any of its headers."""
    return HttpResponse(
        reply.content,
        status=reply.status_code,
        content_type=foreign_content.data_type(reply.headers.get("content-type", "")),
        headers={**foreign_content.HEADERS, "Cache-Control": "no-store"},
    )


def _ticket(
    request: Request, viewer: User, agent: Agent, branch: str, place: Place
) -> dict[str, Any]:
    grant = Grant(
        handle=place.handle,
        user_id=viewer.pk,
        agent_id=str(agent.pk),
        branch=branch,
        kind=place.kind,
        link_id=str(place.link_id or ""),
        sign_in=sealed_sign_in(request),
    )
    return preview_offer(grant, host=request.get_host())


def preview_offer(grant: Grant, *, host: str) -> dict[str, Any]:
    """Return the origin of a preview and the address that opens it, once.

    ``host`` is the Host of the request; the preview of a local Mesh has its port.
    """
    origin = origin_of(grant.handle, mesh_url=settings.MESH_URL, host=host)
    return {
        "origin": origin.own,
        # After "#", a ticket appears in no log.
        "url": f"{origin.entry}/{grant.handle}#ticket={make_ticket(grant)}",
        "expiresIn": TICKET_LIVES,
    }


def _find(viewer: User, org: str, vm_id: str, rest: str) -> tuple[Agent, VmRequest]:
    target = parse_rest(rest)
    if target is None:
        raise IncompleteAddress
    return _agent(viewer, org, vm_id), target


def _agent(viewer: User, org: str, vm_id: str) -> Agent:
    organization = get_starting_membership(viewer=viewer, slug=org).organization
    try:
        return get_agent(organization=organization, name=vm_id)
    except NotFound as exc:
        raise AgentUnknown from exc


def sealed_sign_in(request: Request) -> str:
    """Return the viewer's sealed sign-in, for a ``Grant`` that ends with it."""
    return _credential(request).sealed()


def _credential(request: Request) -> Credential:
    return credential_of(signed_in(request), sign_in=request.auth, session=request.session)


def _rights(credential: Credential, agent: Agent) -> tuple[Right, Right]:
    """Return the rights that a connection to a sandbox of ``agent`` needs."""
    member = (credential.user_id, agent.organization_id)
    return Right(find_good, credential), Right(find_starters, member)


def _viewer(request: HttpRequest) -> tuple[User, Credential]:
    token = bearer(request.headers.get("Authorization", ""))
    found = find_persons_sign_in(token) if token else None
    user = (found.user if found else None) if token else request.user
    if not isinstance(user, User) or not user.is_active:
        raise Unauthorized("Unauthorized")
    return user, credential_of(user, sign_in=found, session=request.session)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _failed(reason: str, message: str) -> dict[str, Any]:
    return {"kind": "failed", "reason": reason, "message": message}
