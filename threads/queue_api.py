"""The JSON API of waiting messages."""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mesh.api import signed_in
from threads import selectors, services
from threads.requests import Input, PartsField, checked, thread_of


class Waiting(serializers.Serializer[Any]):
    """A waiting message, and the run that will answer it."""

    runId = serializers.UUIDField(source="pk")
    messageId = serializers.CharField(source="prompt.client_id")
    parts = serializers.ListField(source="prompt.parts", child=serializers.DictField())
    tier = serializers.CharField()
    mode = serializers.CharField()
    approvalLevel = serializers.CharField(source="approval_level")
    createdAt = serializers.DateTimeField(source="created_at")


REFUSALS = {
    403: OpenApiResponse(description="`not_the_author`"),
    404: OpenApiResponse(description="`not_found`: unknown, or not the caller's."),
    409: OpenApiResponse(description="`already_dispatched`: it waits no longer."),
}


class QueueApi(APIView):
    """``…/threads/<id>/queue``: the waiting messages."""

    class Queue(serializers.Serializer[Any]):
        queue = Waiting(many=True)

    @extend_schema(responses=Queue, operation_id="queue_list")
    def get(self, request: Request, org: str, thread_id: UUID) -> Response:
        """The waiting messages, the next one first."""
        waiting = selectors.list_queue(thread=thread_of(request, org, thread_id))
        return Response({"queue": Waiting(waiting, many=True).data})


class SteerApi(APIView):
    """``…/threads/<id>/queue/<run>/steer``: hand it over now."""

    @extend_schema(
        request=None,
        responses={
            202: Waiting,
            **REFUSALS,
            409: OpenApiResponse(
                description="`already_dispatched`, `cannot_steer` (the agent takes no messages"
                " while it works) or `nothing_runs`"
            ),
        },
        operation_id="queue_steer",
    )
    def post(self, request: Request, org: str, thread_id: UUID, run_id: UUID) -> Response:
        """Give it to the agent while it works. Safe to repeat.

        The stream reports the outcome: `data-steer` in the answer, or, if the agent could not
        take it, `data-steering` with `refused`, and the message goes out in its turn.
        """
        thread = thread_of(request, org, thread_id)
        run = services.steer_queued(thread=thread, run_id=run_id, by=signed_in(request))
        return Response(Waiting(run).data, status=202)


class SendAgainApi(APIView):
    """``…/threads/<id>/queue/<run>/send``: send a message that was never sent."""

    class Again(Input):
        whenOffline = serializers.ChoiceField(["refuse", "queue"], default="refuse")

    @extend_schema(
        request=Again,
        responses={
            202: Waiting,
            **REFUSALS,
            409: OpenApiResponse(
                description="`already_dispatched`: it waits, or was sent; `link_offline`"
            ),
        },
        operation_id="queue_send",
    )
    def post(self, request: Request, org: str, thread_id: UUID, run_id: UUID) -> Response:
        """Send it after all, behind the waiting messages. Safe to repeat.

        It becomes a new message with the same parts, and the old one disappears.
        """
        thread = thread_of(request, org, thread_id)
        when_offline = checked(self.Again, request)["whenOffline"]
        run = services.send_unsent(
            thread=thread,
            run_id=run_id,
            by=signed_in(request),
            queue_when_offline=when_offline == "queue",
        )
        return Response(Waiting(run).data, status=202)


class QueuedApi(APIView):
    """``…/threads/<id>/queue/<run>``: one waiting message."""

    class QueuedChange(Input):
        parts = PartsField(required=False, allow_empty=False)
        before = serializers.UUIDField(
            required=False,
            allow_null=True,
            help_text="The run to move it before; null: behind all others.",
        )

    @extend_schema(
        request=QueuedChange, responses={200: Waiting, **REFUSALS}, operation_id="queue_change"
    )
    def patch(self, request: Request, org: str, thread_id: UUID, run_id: UUID) -> Response:
        """Change its parts, its position in the queue, or both. Safe to repeat."""
        thread, by = thread_of(request, org, thread_id), signed_in(request)
        given = checked(self.QueuedChange, request)
        if not given:
            raise serializers.ValidationError({"parts": ["Send parts, before, or both."]})
        change = services.QueueChange(
            parts=given.get("parts", []), moves="before" in given, before=given.get("before")
        )
        run = services.change_queued(thread=thread, run_id=run_id, change=change, by=by)
        return Response(Waiting(run).data)

    @extend_schema(responses={204: None, **REFUSALS}, operation_id="queue_withdraw")
    def delete(self, request: Request, org: str, thread_id: UUID, run_id: UUID) -> Response:
        """Withdraw it: it is never sent, and disappears from the thread. Safe to repeat.

        So is one that Stop or a lost machine has kept from being sent.
        """
        thread = thread_of(request, org, thread_id)
        services.withdraw_queued(thread=thread, run_id=run_id, by=signed_in(request))
        return Response(status=204)
