"""The JSON API of deleted threads: listing and restoring them."""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mesh.api import signed_in
from mesh.selectors import get_membership
from threads import selectors, services
from threads.api import ThreadShown
from threads.services.deletion import keep_deleted


class DeletedThreadsApi(APIView):
    """``…/threads/deleted``: the caller's deleted threads that can still be restored."""

    class DeletedList(serializers.Serializer[Any]):
        class DeletedThread(serializers.Serializer[Any]):
            id = serializers.UUIDField()
            title = serializers.CharField()
            deletedAt = serializers.DateTimeField()
            removedAt = serializers.DateTimeField(help_text="When it is removed permanently.")

        threads = DeletedThread(many=True)

    @extend_schema(responses=DeletedList, operation_id="threads_list_deleted")
    def get(self, request: Request, org: str) -> Response:
        """The deleted threads that can still be restored, the newest first."""
        user = signed_in(request)
        organization = get_membership(viewer=user, slug=org).organization
        keep = keep_deleted()
        found = selectors.list_deleted(
            viewer=user, organization=organization, since=timezone.now() - keep
        )
        shown = [
            {
                "id": str(thread.pk),
                "title": str(thread),
                "deletedAt": at.isoformat(),
                "removedAt": (at + keep).isoformat(),
            }
            for thread in found
            if (at := thread.deleted_at) is not None
        ]
        return Response({"threads": shown})


class RestoreApi(APIView):
    """``…/threads/<id>/restore``: undo a deletion."""

    open_to_viewers = True

    @extend_schema(
        request=None,
        responses={200: ThreadShown, 410: OpenApiResponse(description="`thread_purged`: too late")},
        operation_id="threads_restore",
    )
    def post(self, request: Request, org: str, thread_id: UUID) -> Response:
        """Restore a deleted thread with all its content. Safe to repeat.

        Runs that were stopped when it was deleted stay stopped.
        """
        user = signed_in(request)
        organization = get_membership(viewer=user, slug=org).organization
        services.restore_thread(owner=user, organization=organization, thread_id=thread_id)
        thread = selectors.get_thread(viewer=user, org_slug=org, thread_id=thread_id)
        return Response(selectors.thread_summary(thread))
