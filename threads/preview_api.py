"""``…/threads/<id>/sandbox/``: the preview of a thread's own sandbox, and its setup.

The sandbox is the thread's pinned one, even if vmMap names another for the branch.
"""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mesh import database_pool
from mesh.connection_checks import until_lost
from mesh.foreign_content import refuse_to_show
from mesh.lib.errors import AppError
from mesh.readers import Stream
from sandboxes.core.vm_routes import STEPS
from sandboxes.preview.tickets import Grant
from sandboxes.proxy import SSE, UnknownStep, events_of, forward, preview_offer, sealed_sign_in
from threads.requests import reader_of_begun, thread_of
from threads.targets import begun_place


class PreviewApi(APIView):
    """``…/sandbox/preview``: a link that opens the preview, once."""

    class Offer(serializers.Serializer[Any]):
        origin = serializers.URLField()
        url = serializers.URLField(help_text="Good once, and for `expiresIn` seconds.")
        expiresIn = serializers.IntegerField()

    @extend_schema(request=None, responses=Offer, operation_id="threads_preview")
    def post(self, request: Request, org: str, thread_id: UUID) -> Response:
        """Offer the preview. Opening it sets the project up and starts its server."""
        thread = thread_of(request, org, thread_id)
        place = begun_place(thread)
        grant = Grant(
            handle=place.handle,
            user_id=thread.owner_id,
            agent_id=str(thread.agent_id),
            branch=thread.branch,
            kind=place.kind,
            link_id=str(place.link_id or ""),
            sign_in=sealed_sign_in(request),
        )
        return Response(preview_offer(grant, host=request.get_host()))


class StepApi(APIView):
    """``…/sandbox/setup/<step>``: clone, install or start again."""

    class Enqueued(serializers.Serializer[Any]):
        enqueued = serializers.ChoiceField(list(STEPS))

    @extend_schema(request=None, responses=Enqueued, operation_id="threads_setup")
    def post(self, request: Request, org: str, thread_id: UUID, step: str) -> HttpResponseBase:
        """Run this step and those after it; a running server is stopped first."""
        place = begun_place(thread_of(request, org, thread_id))
        if step not in STEPS:
            raise UnknownStep
        return async_to_sync(forward)(place, "POST", f"setup/{step}", {})


class PortApi(APIView):
    """``…/sandbox/port``: which of the project's own ports the preview shows."""

    class Choice(serializers.Serializer[Any]):
        port = serializers.IntegerField(
            min_value=1, max_value=65535, allow_null=True, help_text="`null`: the likeliest."
        )

    @extend_schema(request=Choice, responses=Choice, operation_id="threads_preview_port")
    def post(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Keep the choice. A port that the configuration names goes first while it answers."""
        place = begun_place(thread_of(request, org, thread_id))
        choice = self.Choice(data=request.data)
        choice.is_valid(raise_exception=True)
        body = {"port": choice.validated_data["port"]}
        return async_to_sync(forward)(place, "POST", "port", body, gone_on_404=False)


class SettingsApi(APIView):
    """``…/sandbox/settings``: what the project's mesh.toml says of its dev server."""

    class Settings(serializers.Serializer[Any]):
        port = serializers.IntegerField(allow_null=True)
        dev = serializers.CharField(allow_null=True, help_text="The command, as one line.")
        revision = serializers.CharField()

    class Change(serializers.Serializer[Any]):
        port = serializers.IntegerField(min_value=1, max_value=65535, required=False)
        dev = serializers.CharField(max_length=2000, required=False)
        revision = serializers.CharField(max_length=100, help_text="Of the settings that you saw.")

    @extend_schema(responses=Settings, operation_id="threads_dev_settings")
    def get(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Return the settings, and the revision of the file."""
        place = begun_place(thread_of(request, org, thread_id))
        return async_to_sync(forward)(place, "GET", "settings", None, gone_on_404=False)

    @extend_schema(request=Change, responses=Settings, operation_id="threads_change_dev_settings")
    def post(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Write the keys into the file, keep all else in it, and start the server again."""
        place = begun_place(thread_of(request, org, thread_id))
        change = self.Change(data=request.data)
        change.is_valid(raise_exception=True)
        body = dict(change.validated_data)
        return async_to_sync(forward)(place, "POST", "settings", body, gone_on_404=False)


async def follow_sandbox(request: HttpRequest, org: str, thread_id: UUID) -> HttpResponseBase:
    """``GET …/sandbox/events``: phases, logs and tasks of the thread's sandbox, live."""
    try:
        refuse_to_show(request.headers)
        viewer, place = await database_pool.reads.run(reader_of_begun, request, org, thread_id)
    except AppError as exc:
        return JsonResponse(exc.body(), status=exc.status)
    events = until_lost(events_of(place), viewer.signed_in, viewer.reads(thread_id))
    return Stream(events, headers=SSE)
