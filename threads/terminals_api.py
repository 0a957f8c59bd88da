"""``…/threads/<id>/sandbox/terminals``: shells of the thread's owner in its sandbox.

What is typed and shown goes over a socket of its own (``terminal_socket.py``, ADR 37).
"""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

import json
import logging
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from mesh import database_pool
from mesh.api import signed_in
from mesh.credentials import find_terminal_users
from mesh.lib.errors import AppError
from mesh.lib.ids import new_id
from mesh.models import User
from sandboxes import providers
from sandboxes.providers.base import LinkOffline, Place, SandboxDown, StreamCut
from sandboxes.proxy import DaemonUnreachable, NoRunner, forward
from sandboxes.services import note_used
from threads.errors import NotBegun
from threads.models import Thread
from threads.requests import Input, checked, thread_of
from threads.services.terminals import record_terminal, refuse_terminal, settle_terminals
from threads.targets import place_of

logger = logging.getLogger(__name__)


class TerminalsOff(AppError):
    code = "terminals_off"
    text = "Terminals are not allowed to you in this organization."
    hint = "An owner or admin says in the settings, under Members, who may have them."
    status = 403


def allowed_place(viewer: User, thread: Thread) -> Place:
    """Return where the thread's sandbox is, for a terminal of its owner.

    Raises:
        TerminalsOff: the organization lets the viewer have none.
        NotBegun: the thread has no sandbox yet.
    """
    pair = (viewer.pk, thread.organization_id)
    if not find_terminal_users([pair]):
        raise TerminalsOff
    if not thread.harness_id:
        raise NotBegun
    return place_of(thread)


async def settle(place: Place) -> None:
    """Ask the sandbox which terminals have ended, and record that; not if it can't be asked."""
    try:
        provider = providers.provider_for(place.kind)
        reply = await provider.request(place, "GET", "terminals")
    except AppError:
        return
    if reply.is_success:
        await database_pool.writes.run(settle_terminals, place.handle, _listed(reply.content))


def _listed(body: bytes) -> list[Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return []
    listed = told.get("terminals") if isinstance(told, dict) else None
    return listed if isinstance(listed, list) else []


class TerminalsApi(APIView):
    """``…/sandbox/terminals``: those that are open, or ended a while ago."""

    class Opening(Input):
        rows = serializers.IntegerField(min_value=1, max_value=500, default=24)
        columns = serializers.IntegerField(min_value=2, max_value=1000, default=80)

    class Terminal(serializers.Serializer[Any]):
        id = serializers.UUIDField()
        shell = serializers.CharField()
        job = serializers.CharField(help_text="The program in front; empty: the shell waits.")
        startedAt = serializers.IntegerField(help_text="Milliseconds since 1970.")
        endedAt = serializers.IntegerField(allow_null=True)
        exitCode = serializers.IntegerField(allow_null=True)
        isClosed = serializers.BooleanField(help_text="By a person, not by the shell itself.")

    class Listed(serializers.Serializer[Any]):
        terminals = serializers.ListField(child=serializers.DictField())

    @extend_schema(responses=Listed, operation_id="threads_terminals")
    def get(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """List the terminals of the thread's sandbox."""
        viewer, thread = signed_in(request), thread_of(request, org, thread_id)
        place = allowed_place(viewer, thread)
        reply = async_to_sync(forward)(place, "GET", "terminals", None, gone_on_404=False)
        if reply.status_code == 200:
            settle_terminals(place.handle, _listed(reply.content))
        return reply

    @extend_schema(
        request=Opening,
        responses={
            200: Terminal,
            403: OpenApiResponse(description="`terminals_off`"),
            429: OpenApiResponse(description="`too_many_terminals`"),
        },
        operation_id="threads_terminal_open",
    )
    def post(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Open a terminal; starts the sandbox if it does not run. It is recorded who did."""
        viewer, thread = signed_in(request), thread_of(request, org, thread_id)
        place = allowed_place(viewer, thread)
        size = checked(self.Opening, request)
        terminal_id = new_id()
        record_terminal(viewer=viewer, thread=thread, handle=place.handle, terminal_id=terminal_id)
        try:
            reply = async_to_sync(_opened)(place, {"id": str(terminal_id), **size})
        except AppError:
            refuse_terminal(terminal_id)
            raise
        if reply.status_code != 200:
            refuse_terminal(terminal_id)
        return reply


class TerminalApi(APIView):
    """``…/sandbox/terminals/<id>``: one of them."""

    class Closed(serializers.Serializer[Any]):
        ok = serializers.BooleanField()

    @extend_schema(
        responses={
            200: Closed,
            409: OpenApiResponse(description="`job_running`: a program runs in it"),
        },
        operation_id="threads_terminal_close",
    )
    def delete(
        self, request: Request, org: str, thread_id: UUID, terminal_id: UUID
    ) -> HttpResponseBase:
        """End a terminal with all that it started; `?force=1` also while a program runs in it."""
        viewer, thread = signed_in(request), thread_of(request, org, thread_id)
        place = allowed_place(viewer, thread)
        force = "?force=1" if request.query_params.get("force") == "1" else ""
        route = f"terminals/{terminal_id}{force}"
        reply = async_to_sync(forward)(place, "DELETE", route, None, gone_on_404=False)
        async_to_sync(settle)(place)
        return reply


async def _opened(place: Place, body: dict[str, Any]) -> HttpResponse:
    provider = providers.provider_for(place.kind)
    try:
        await provider.ensure(place)
    except LinkOffline as exc:
        raise NoRunner from exc
    except (SandboxDown, StreamCut) as exc:
        raise DaemonUnreachable(f"Daemon unreachable: {exc}") from exc
    await database_pool.writes.run(note_used, place)
    return await forward(place, "POST", "terminals", body, gone_on_404=False)
