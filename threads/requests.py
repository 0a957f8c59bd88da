"""What every address of the JSON API does with a request: whose thread, and is the body right."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request

from mesh.api import signed_in
from threads import selectors
from threads.models import Thread


class Input(serializers.Serializer[Any]):
    """A body; its fields are the contract."""


class PageQuery(Input):
    """Which page of a list."""

    page = serializers.CharField(
        default="",
        allow_blank=True,
        help_text="`older` or `newer` of an answer. Left out: the newest.",
    )


class Paged(serializers.Serializer[Any]):
    """The pages beside this one."""

    older = serializers.CharField(
        allow_null=True, help_text="Send it as `page` for the page before; null at the beginning."
    )
    newer = serializers.CharField(
        allow_null=True, help_text="Send it as `page` for the page behind; null at the end."
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


def checked(kind: type[Input], request: Request) -> dict[str, Any]:
    """Return the body as ``kind`` reads it.

    Raises:
        ValidationError: it is not as it should be.
    """
    return _checked(kind(data=request.data))


def checked_query(kind: type[Input], request: Request) -> dict[str, Any]:
    """Return what stands behind the address's question mark as ``kind`` reads it.

    Raises:
        ValidationError: it is not as it should be.
    """
    return _checked(kind(data=request.query_params))


def _checked(given: Input) -> dict[str, Any]:
    given.is_valid(raise_exception=True)
    values: dict[str, Any] = given.validated_data
    return values
