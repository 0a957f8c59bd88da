"""What every endpoint of the JSON API does with a request: find the thread, check the body."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.request import Request

from mesh.api import signed_in
from sandboxes.providers.base import Place
from threads import selectors
from threads.models import Thread
from threads.reading.viewers import Viewer, viewer_of
from threads.targets import begun_place


class Input(serializers.Serializer[Any]):
    """A body; its fields are the contract."""


class PageQuery(Input):
    """Which page of a list."""

    page = serializers.CharField(
        default="",
        allow_blank=True,
        help_text="`older` or `newer` of a response. Left out: the newest.",
    )


class Paged(serializers.Serializer[Any]):
    """The cursors of the adjacent pages."""

    older = serializers.CharField(
        allow_null=True, help_text="Send it as `page` for the older page; null at the beginning."
    )
    newer = serializers.CharField(
        allow_null=True, help_text="Send it as `page` for the newer page; null at the end."
    )


WHEN = ("now", "next")  # turn, or message
LEVELS = ("auto", "readonly", "plan")


class PartsField(serializers.ListField):
    """The parts of a UI message: objects, each with its type."""

    child = serializers.DictField()

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = super().to_internal_value(data)
        if not all(isinstance(part.get("type"), str) for part in parts):
            raise serializers.ValidationError("Each part needs a type.")
        return parts


def thread_of(request: Request, org: str, thread_id: UUID) -> Thread:
    """Return the caller's thread.

    Raises:
        Unauthorized: nobody is signed in.
        NotFound: there is none, or it is not the caller's.
    """
    return selectors.get_thread(viewer=signed_in(request), org_slug=org, thread_id=thread_id)


def reader_of_begun(request: HttpRequest, org: str, thread_id: UUID) -> tuple[Viewer, Place]:
    """Return the caller, for a plain view that answers for long, and where the caller's thread
    has its sandbox.

    Raises:
        Unauthorized, NotFound: as ``thread_of``.
        NotBegun: it has none yet.
    """
    viewer = viewer_of(request)
    thread = selectors.get_thread(viewer=viewer.user, org_slug=org, thread_id=thread_id)
    return viewer, begun_place(thread)


def checked(kind: type[Input], request: Request) -> dict[str, Any]:
    """Return the body's fields, validated by ``kind``.

    Raises:
        ValidationError: the body is not valid.
    """
    return _checked(kind(data=request.data))


def checked_query(kind: type[Input], request: Request) -> dict[str, Any]:
    """Return the query parameters, validated by ``kind``.

    Raises:
        ValidationError: a parameter is not valid.
    """
    return _checked(kind(data=request.query_params))


def _checked(serializer: Input) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values
