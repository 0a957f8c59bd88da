"""The JSON API of attached files: storing a file, and reading it."""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mesh import foreign_content
from mesh.api import signed_in
from mesh.selectors import get_membership
from threads import selectors, services
from threads.core.attachments import IMAGE_LIMIT, TEXT
from threads.errors import FileTooLarge

HEADERS: Final = {
    **foreign_content.HEADERS,
    "Cache-Control": "private, max-age=31536000, immutable",
}


class Bytes(BaseParser):
    """Takes a body as it is, whatever its declared type."""

    media_type = "*/*"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Any = None
    ) -> dict[str, bytes]:
        data: bytes = stream.read(IMAGE_LIMIT + 1)
        if len(data) > IMAGE_LIMIT:
            raise FileTooLarge
        return {"body": data}


class AsItIs(BaseContentNegotiation):
    """Ignores ``Accept``: an ``<img>`` accepts pictures only."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class FilesApi(APIView):
    """``…/files``: store a file for a message."""

    parser_classes = [Bytes]
    content_negotiation_class = AsItIs

    class Kept(serializers.Serializer[Any]):
        id = serializers.UUIDField()
        size = serializers.IntegerField(help_text="In bytes, as it is stored.")
        note = serializers.CharField(
            help_text="How the stored picture differs from what was sent: scaled down, converted."
            " Empty if it doesn't."
        )
        part = serializers.DictField(help_text="Put it into the message's parts.")

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY},
        parameters=[OpenApiParameter("name", str, description="The file's name.")],
        responses={
            201: Kept,
            413: OpenApiResponse(
                description="`file_too_large`; `picture_too_large`: too many pixels."
            ),
            415: OpenApiResponse(description="`file_unsupported`: neither picture nor text."),
            422: OpenApiResponse(description="`picture_damaged`: it can't be decoded whole."),
        },
        operation_id="files_create",
    )
    def post(self, request: Request, org: str) -> Response:
        """Store the body, a picture or a text. An unsent file is removed after a day.

        A picture is read whole, and stored as PNG or JPEG in a size that every model accepts.
        """
        user = signed_in(request)
        organization = get_membership(viewer=user, slug=org).organization
        # An empty body is not parsed.
        data = request.data.get("body", b"") if isinstance(request.data, dict) else b""
        name = request.query_params.get("name", "")
        kept = services.keep_file(owner=user, organization=organization, name=name, data=data)
        row = kept.row
        shown = {"id": row.pk, "size": row.size, "note": kept.note, "part": kept.part}
        return Response(shown, status=201)


class FileApi(APIView):
    """``…/files/<id>``: one file."""

    content_negotiation_class = AsItIs

    @extend_schema(
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
        operation_id="files_get",
    )
    def get(self, request: Request, org: str, file_id: UUID) -> HttpResponse:
        """The file's bytes, for people who may read its thread."""
        file = selectors.get_file(viewer=signed_in(request), org_slug=org, file_id=file_id)
        kind = f"{TEXT}; charset=utf-8" if file.media_type == TEXT else file.media_type
        answer = HttpResponse(bytes(file.data), content_type=kind, headers=HEADERS)
        if disposition := content_disposition_header(False, file.name):
            answer.headers["Content-Disposition"] = disposition
        return answer

    @extend_schema(responses={204: None}, operation_id="files_delete")
    def delete(self, request: Request, org: str, file_id: UUID) -> Response:
        """Remove a file that was not sent. Safe to repeat."""
        user = signed_in(request)
        organization = get_membership(viewer=user, slug=org).organization
        services.drop_file(owner=user, organization=organization, file_id=file_id)
        return Response(status=204)
