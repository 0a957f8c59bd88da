"""The gateway to an agent's MCP servers, for its program on a person's machine.

The program gets our address and a token of its thread. The servers' own tokens stay here and are
read again for each request, so a token that is renewed in the middle of a turn applies
immediately; ours is valid only while an agent of the thread works, and only here (ADR 18).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import AsyncExitStack
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from django.conf import settings
from django.db.models import F, Q
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.csrf import csrf_exempt

from agents.core.mcp import ANSWER_LIMIT, McpServer
from agents.selectors import list_mcp_servers
from mesh import database_pool, foreign_content
from mesh.connection_checks import Right, until_lost
from mesh.egress import guarded_client
from mesh.http_client import MIB, Limits
from mesh.lib.addresses import parse_address
from mesh.lib.errors import AppError, MethodNotAllowed, Unauthorized
from mesh.lib.roles import Permission, roles_with
from mesh.readers import Stream
from mesh.selectors import NotFound
from mesh.tokens import bearer
from threads.core import executors
from threads.mcp_waiting import beginning, is_at_hand, told_if_slow
from threads.models import Run, Thread
from threads.run import state as run_state
from threads.services import mcp_silence

# Headers to pass on, of a request and of a response: the protocol's, none of the connection's.
ASKED: Final = (
    *("accept", "content-type", "last-event-id"),
    *("mcp-session-id", "mcp-protocol-version"),
    *("mcp-method", "mcp-name"),  # of 2026-07-28, as those with the prefix
)
ASKED_PREFIX: Final = "mcp-param-"
MOST_PARAMS: Final = 100  # of the latter in one request
ANSWERED: Final = ("mcp-session-id", "mcp-protocol-version")
_PATH: Final = re.compile(
    r"/api/[^/]+/decopilot/threads/(?P<thread>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/mcp/[^/]+"
)
WITHIN: Final = httpx.Timeout(ANSWER_LIMIT, read=600.0)  # seconds; a tool may take long

# Events are passed on unread: one with a large picture in it does no harm here.
LIMITS: Final = Limits(event=16 * MIB, pieces=100_000)
# Names that mean the asking machine, or its private network.
ITS_OWN: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class McpClosed(AppError):
    code = "mcp_closed"
    text = "No run of this thread is active, so its MCP servers can't be used."
    hint = "They can be used again with the next message."
    status = 403


class McpUnreachable(AppError):
    code = "mcp_unreachable"
    text = "The MCP server did not answer."
    hint = "Check its address in the agent's settings."
    status = 502


class McpSilent(AppError):
    code = "mcp_silent"
    text = "The MCP server does not answer."
    hint = "It is asked again in a few minutes, or with “Try again” in the agent's settings."
    status = 504


def server_input(server: McpServer, run: Run) -> dict[str, Any]:
    """Return a server as the program of ``run`` gets it: with our address and token instead of
    its own, if it has a token to protect and the gateway serves it."""
    is_on_machine = run.executor == executors.LINK
    if run.executor == executors.SERVER and server.is_silent(timezone.now()):
        return {**server.as_input(), "isSilent": True}
    if not (settings.MESH_URL and is_on_machine and is_stood_in_for(server)):
        return server.as_input()
    path = reverse("mcp", args=[run.thread.organization.slug, run.thread_id, server.name])
    headers = {"Authorization": f"Bearer {token_of(run.thread_id)}"}
    return {"name": server.name, "url": f"{settings.MESH_URL}{path}", "headers": headers}


def is_elsewhere(url: str) -> bool:
    """Say whether an address means the same everywhere, not only on one machine or network."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    is_name = "." in host and parse_address(host) is None and not host.endswith(ITS_OWN)
    return parts.scheme == "https" and is_name


def is_stood_in_for(server: McpServer) -> bool:
    """Say whether programs reach the server through us: it has a token to protect, and is public.

    The gateway serves no others: its token is readable by the agent, and this server reaches
    networks that the agent's machine does not.
    """
    return bool(server.headers) and is_elsewhere(server.url)


def token_of(thread_id: UUID) -> str:
    """Return the token of a thread: always the same, so that no program is restarted for it."""
    return f"mcp_{salted_hmac('threads.mcp', str(thread_id), algorithm='sha256').hexdigest()}"


def has_token_of_thread(scope: Any) -> bool:
    """Say whether an HTTP request to the gateway has the token of the thread in its path."""
    found = _PATH.fullmatch(scope["path"])
    header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    return found is not None and constant_time_compare(
        bearer(header.decode("latin-1")), token_of(UUID(found["thread"]))
    )


@csrf_exempt
async def ask(request: HttpRequest, org: str, thread_id: UUID, name: str) -> HttpResponseBase:
    """Pass a request on to an MCP server with its own token, and stream its response back.

    There is no GET: the protocol does not require a server to have a stream besides its responses.
    """
    try:
        if request.method not in ("POST", "DELETE"):
            raise MethodNotAllowed
        token = bearer(request.headers.get("Authorization", ""))
        server = await database_pool.reads.run(_find, token, org, thread_id, name)
        return await _passed_on(server, request, thread_id)
    except AppError as exc:
        return JsonResponse(exc.body(), status=exc.status)


def _find(token: str, org: str, thread_id: UUID, name: str) -> McpServer:
    """Return the server, with its secrets.

    Raises:
        Unauthorized: the token is not the thread's.
        McpClosed: no run of the thread is active on a machine, or its owner has left.
        NotFound: its agent has no such server, or the gateway does not serve it.
    """
    if not constant_time_compare(token, token_of(thread_id)):
        raise Unauthorized
    if not find_open({thread_id}):
        raise McpClosed
    threads = Thread.objects.select_related("agent")
    thread = threads.filter(pk=thread_id, organization__slug=org).first()
    if thread is None:
        raise McpClosed
    for server in list_mcp_servers(agent=thread.agent):
        if server.name == name and is_stood_in_for(server):
            return server
    raise NotFound("The agent has no such MCP server.")


def find_open(thread_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the threads whose tokens are valid: a run is active on a machine, or the
    agent works there in the background, and the owner may still start something. One query."""
    threads = Thread.objects.filter(pk__among=thread_ids, deleted_at=None, owner__is_active=True)
    threads = threads.filter(
        organization__memberships__user=F("owner"),
        organization__memberships__role__in=roles_with(Permission.START),
    )
    is_active = Q(runs__state__in=run_state.ACTIVE, runs__executor=executors.LINK)
    running = threads.filter(is_active | Q(background__executor=executors.LINK))
    return set(running.values_list("pk", flat=True))


async def _passed_on(server: McpServer, request: HttpRequest, thread_id: UUID) -> HttpResponseBase:
    if not is_at_hand(request):
        return await _asked(server, request, thread_id)
    # With a session, the server has answered lately.
    if server.is_silent(timezone.now()) and "mcp-session-id" not in request.headers:
        await database_pool.writes.run(mcp_silence.tell_silent, thread_id=thread_id, server=server)
        raise McpSilent
    try:
        async with asyncio.timeout(ANSWER_LIMIT), told_if_slow(server.name, thread_id):
            return await _asked(server, request, thread_id)
    except TimeoutError as exc:
        await database_pool.writes.run(mcp_silence.note_silent, thread_id=thread_id, server=server)
        raise McpSilent from exc


async def _asked(server: McpServer, request: HttpRequest, thread_id: UUID) -> HttpResponseBase:
    """Return the server's response once it has begun."""
    client = guarded_client(
        allowed=settings.MESH_PRIVATE_HOSTS,
        plain=not server.headers,
        limits=LIMITS,
        timeout=WITHIN,
    )
    headers = _passed_headers(request)
    asked = client.build_request(
        request.method or "POST",
        server.url,
        content=request.body,
        headers={**headers, **server.headers},
    )
    async with AsyncExitStack() as opened:  # closed also if the client disconnects meanwhile
        opened.push_async_callback(client.aclose)
        try:
            answer = await client.send(asked, stream=True)
        except httpx.HTTPError as exc:
            raise McpUnreachable from exc
        opened.push_async_callback(answer.aclose)
        if answer.is_redirect:  # it would lead the program past us, with our token
            raise McpUnreachable("The MCP server has moved.")
        kind = answer.headers.get("content-type", "")
        is_events = kind.partition(";")[0].strip().lower() == foreign_content.EVENTS
        pieces = answer.aiter_bytes()
        try:
            begun = await beginning(pieces, is_events=is_events) if is_at_hand(request) else b""
        except httpx.HTTPError as exc:
            raise McpUnreachable from exc
        opened.pop_all()  # ``_pieces`` closes them
    passed = {key: value for key in ANSWERED if (value := answer.headers.get(key))}
    passed["Content-Type"] = (
        foreign_content.EVENTS if is_events else foreign_content.data_type(kind)
    )
    own = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Stream(
        until_lost(_pieces(begun, pieces, answer, client), Right(find_open, thread_id)),
        status=answer.status_code,
        headers={**passed, **foreign_content.HEADERS, **own},
    )


def _passed_headers(request: HttpRequest) -> dict[str, str]:
    """Return the protocol's headers of a request."""
    found = {key: value for key in ASKED if (value := request.headers.get(key))}
    params = [key for key in request.headers if key.lower().startswith(ASKED_PREFIX)]
    return found | {key: request.headers[key] for key in params[:MOST_PARAMS]}


async def _pieces(
    begun: bytes,
    pieces: AsyncIterator[bytes],
    answer: httpx.Response,
    client: httpx.AsyncClient,
) -> AsyncGenerator[bytes, None]:
    try:
        if begun:
            yield begun
        async for piece in pieces:
            yield piece
    finally:
        await answer.aclose()
        await client.aclose()
