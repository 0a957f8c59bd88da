"""``…/threads/<id>/sandbox/take-along``: the person's own folder, and the thread's copy of it."""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from sandboxes.proxy import forward
from threads.requests import thread_of
from threads.targets import begun_place


class TakeAlongApi(APIView):
    """``…/sandbox/take-along``: have the thread's worktree get the person's uncommitted changes."""

    class Taken(serializers.Serializer[Any]):
        taken = serializers.ListField(child=serializers.CharField(), help_text="Paths of files.")

    @extend_schema(
        request=None,
        responses={
            200: Taken,
            409: OpenApiResponse(
                description="`nothing_to_take`; `changes_conflict` with `files`: nothing was"
                " changed; `not_ready`: the thread works in no worktree of a folder"
            ),
            413: OpenApiResponse(description="`too_much_to_take`"),
        },
        operation_id="threads_take_along",
    )
    def post(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Copy them from the person's folder, which is only read. Safe to repeat."""
        place = begun_place(thread_of(request, org, thread_id))
        return async_to_sync(forward)(place, "POST", "git/take-along", {})
