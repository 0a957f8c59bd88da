"""``…/threads/<id>/sandbox/files``: the files of a thread's own sandbox, for the work panel.

Thin: the sandbox itself decides what a path means, and answers in its own words
(``docs/sandbox.md``). Looking is GET, which viewers may; it starts a sandbox that has ended, unless
a viewer looks, who starts nothing.
"""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import httpx
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.views import APIView

from mesh import database_pool, foreign_content
from mesh.connection_checks import until_lost
from mesh.lib.errors import AppError
from mesh.lib.quoted_names import unquote
from mesh.lib.roles import Permission, may
from mesh.readers import Stream
from mesh.selectors import get_membership
from sandboxes import providers
from sandboxes.providers.base import LinkOffline, Place, SandboxDown, StreamCut
from sandboxes.proxy import DaemonUnreachable, NoRunner, forward
from sandboxes.services.records import note_used
from threads.errors import UploadTooLarge
from threads.files_api import AsItIs
from threads.requests import Input, checked, checked_query, reader_of_begun, thread_of
from threads.targets import begun_place

UPLOAD_LIMIT: Final = 20 * 1024 * 1024  # bytes, as the sandbox's
_PATH: Final = 8000  # characters


class Query(Input):
    """Which folder or file."""

    path = serializers.CharField(
        default="", allow_blank=True, trim_whitespace=False, max_length=_PATH
    )


class Flag(serializers.BooleanField):
    """A switch, off unless it is sent."""

    def __init__(self, help_text: str) -> None:
        super().__init__(default=False, help_text=help_text)


class Looking(APIView):
    """Asks the sandbox something that changes nothing."""

    class Looked(serializers.Serializer[Any]):
        """See the sandbox's routes in docs/sandbox.md."""

    def look(
        self, request: Request, org: str, thread_id: UUID, route: str, kind: type[Input] | None
    ) -> HttpResponseBase:
        """Return the sandbox's answer to the query, of that ``kind``; start the sandbox if it has
        ended and the caller may."""
        thread = thread_of(request, org, thread_id)
        body = checked_query(kind, request) if kind else None
        role = get_membership(viewer=thread.owner, slug=org).role
        place = begun_place(thread)
        return async_to_sync(_looked)(place, route, body, may_start=may(role, Permission.START))


class FolderApi(Looking):
    """``…/sandbox/files``: one folder."""

    @extend_schema(parameters=[Query], responses=Looking.Looked, operation_id="threads_files_list")
    def get(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """The entries of the folder at `path`; without one, of the working folder."""
        return self.look(request, org, thread_id, "files/list", Query)


class MarksApi(Looking):
    """``…/sandbox/files/marks``: which files differ from the last commit."""

    @extend_schema(responses=Looking.Looked, operation_id="threads_files_marks")
    def get(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """The changed files, as `/git/status` of the sandbox has them."""
        return self.look(request, org, thread_id, "git/status", None)


class TextApi(Looking):
    """``…/sandbox/files/text``: one file, as a page shows it."""

    @extend_schema(parameters=[Query], responses=Looking.Looked, operation_id="threads_files_text")
    def get(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """A text with its version, a picture, or that it is neither."""
        return self.look(request, org, thread_id, "files/text", Query)


class FindApi(Looking):
    """``…/sandbox/files/find``: files by name."""

    class Query(Input):
        text = serializers.CharField(max_length=500, help_text="Words; all must be in the path.")
        hidden = Flag("Also names that begin with a dot, and what git ignores.")

    @extend_schema(parameters=[Query], responses=Looking.Looked, operation_id="threads_files_find")
    def get(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Paths of files, at most 500."""
        return self.look(request, org, thread_id, "files/find", self.Query)


class SearchApi(Looking):
    """``…/sandbox/files/search``: lines by what they say."""

    class Query(Input):
        text = serializers.CharField(max_length=500, trim_whitespace=False)
        matchCase = Flag("Whether the case of letters counts.")
        isPattern = Flag("Whether `text` is a regular expression.")

    @extend_schema(
        parameters=[Query], responses=Looking.Looked, operation_id="threads_files_search"
    )
    def get(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Lines with their files and numbers, at most 2000."""
        return self.look(request, org, thread_id, "files/search", self.Query)


class Changing(APIView):
    """Has the sandbox change files."""

    class Done(serializers.Serializer[Any]):
        ok = serializers.BooleanField()

    def change(
        self, request: Request, org: str, thread_id: UUID, route: str, kind: type[Input]
    ) -> HttpResponseBase:
        place = begun_place(thread_of(request, org, thread_id))
        return async_to_sync(forward)(
            place, "POST", route, checked(kind, request), gone_on_404=False
        )


class PathBody(Input):
    path = serializers.CharField(trim_whitespace=False, max_length=_PATH)


class SaveApi(Changing):
    """``…/sandbox/files/save``: a text that a person edited."""

    class FileToSave(PathBody):
        content = serializers.CharField(allow_blank=True, trim_whitespace=False)
        version = serializers.CharField(
            default="",
            allow_blank=True,
            max_length=100,
            help_text="That of the file when it was read; empty for a new file.",
        )

    @extend_schema(
        request=FileToSave,
        responses={
            200: Changing.Done,
            409: OpenApiResponse(
                description="`changed_meanwhile`: nothing was written; `already_exists`"
            ),
        },
        operation_id="threads_files_save",
    )
    def post(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Write the file, unless it is no longer of that version."""
        return self.change(request, org, thread_id, "files/save", self.FileToSave)


class MakeFolderApi(Changing):
    """``…/sandbox/files/mkdir``: a new folder."""

    @extend_schema(request=PathBody, responses=Changing.Done, operation_id="threads_files_mkdir")
    def post(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Make the folder and those above it. Safe to repeat."""
        return self.change(request, org, thread_id, "files/mkdir", PathBody)


class RenameApi(Changing):
    """``…/sandbox/files/rename``: another path."""

    class FileToRename(Input):
        to = serializers.CharField(trim_whitespace=False, max_length=_PATH)

        def get_fields(self) -> Any:
            fields = super().get_fields()
            fields["from"] = serializers.CharField(trim_whitespace=False, max_length=_PATH)
            return fields

    @extend_schema(
        request=FileToRename, responses=Changing.Done, operation_id="threads_files_rename"
    )
    def post(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Move a file or folder; it replaces nothing."""
        return self.change(request, org, thread_id, "files/rename", self.FileToRename)


class DeleteApi(Changing):
    """``…/sandbox/files/delete``: away, and to be had back."""

    class Gone(Changing.Done):
        undo = serializers.CharField(help_text="For `restore`, for seven days.")

    @extend_schema(request=PathBody, responses=Gone, operation_id="threads_files_delete")
    def post(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Delete a file, a link or a folder."""
        return self.change(request, org, thread_id, "files/delete", PathBody)


class RestoreFileApi(Changing):
    """``…/sandbox/files/restore``: what was deleted."""

    class FileToRestore(Input):
        undo = serializers.CharField(max_length=100)

    @extend_schema(
        request=FileToRestore, responses=Changing.Done, operation_id="threads_files_restore"
    )
    def post(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Put it back, unless something else is in its place."""
        return self.change(request, org, thread_id, "files/restore", self.FileToRestore)


class Upload(BaseParser):
    """Takes a body as it is, whatever its declared type."""

    media_type = "*/*"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Any = None
    ) -> dict[str, bytes]:
        data: bytes = stream.read(UPLOAD_LIMIT + 1)
        if len(data) > UPLOAD_LIMIT:
            raise UploadTooLarge
        return {"body": data}


class UploadApi(APIView):
    """``…/sandbox/files/upload``: a file of the person's."""

    parser_classes = [Upload]
    content_negotiation_class = AsItIs

    class Query(PathBody):
        replace = Flag("Whether a file that is there may be replaced; it is kept as a deleted one.")

    @extend_schema(
        parameters=[Query],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={
            200: Changing.Done,
            409: OpenApiResponse(description="`already_exists`"),
            413: OpenApiResponse(description="`file_too_large`: more than 20 MiB"),
        },
        operation_id="threads_files_upload",
    )
    def put(self, request: Request, org: str, thread_id: UUID) -> HttpResponseBase:
        """Store the body at `path`."""
        place = begun_place(thread_of(request, org, thread_id))
        query = checked_query(self.Query, request)
        # An empty body is not parsed.
        data = request.data.get("body", b"") if isinstance(request.data, dict) else b""
        asked = urlencode({"path": query["path"], "replace": "1" if query["replace"] else ""})
        return async_to_sync(_upload)(place, f"files/bytes?{asked}", data)


async def download(request: HttpRequest, org: str, thread_id: UUID) -> HttpResponseBase:
    """``GET …/sandbox/files/download?path=``: a file's bytes, of any length, for saving."""
    path = request.GET.get("path", "")
    stack = AsyncExitStack()
    try:
        viewer, place = await database_pool.reads.run(reader_of_begun, request, org, thread_id)
        reply = await _opened(stack, place, path)
    except AppError as exc:
        await stack.aclose()
        return JsonResponse(exc.body(), status=exc.status)
    if reply.status_code != 200:
        body = await reply.aread()
        await stack.aclose()
        return HttpResponse(
            body,
            status=reply.status_code,
            content_type=foreign_content.JSON,
            headers=foreign_content.HEADERS,
        )
    pieces = until_lost(_pieces(stack, reply), viewer.signed_in, viewer.reads(thread_id))
    headers = {
        **foreign_content.HEADERS,
        "Content-Type": foreign_content.BYTES,
        "Content-Encoding": "identity",
        "Cache-Control": "no-store",
        # Never shown: a page of the project's would be one of Mesh's.
        "Content-Disposition": content_disposition_header(True, _file_name(path)) or "attachment",
    }
    if length := reply.headers.get("content-length"):
        headers["Content-Length"] = length
    return Stream(pieces, headers=headers)


def _file_name(path: str) -> str:
    """Return the last part of a path as a browser can name a file."""
    try:
        name = unquote(path)
    except ValueError:
        name = path
    return name.rstrip("/").rpartition("/")[2].encode(errors="replace").decode() or "file"


async def _opened(stack: AsyncExitStack, place: Place, path: str) -> httpx.Response:
    provider = providers.provider_for(place.kind)
    try:
        opened = provider.open(place, "GET", f"files/bytes?{urlencode({'path': path})}")
        reply: httpx.Response = await stack.enter_async_context(opened)
    except LinkOffline as exc:
        raise NoRunner from exc
    except (SandboxDown, StreamCut) as exc:
        raise DaemonUnreachable(f"Daemon unreachable: {exc}") from exc
    return reply


async def _pieces(stack: AsyncExitStack, reply: httpx.Response) -> AsyncGenerator[bytes, None]:
    async with stack:
        async for piece in reply.aiter_raw():
            yield piece


async def _upload(place: Place, route: str, data: bytes) -> HttpResponse:
    provider = providers.provider_for(place.kind)
    try:
        async with provider.open(place, "PUT", route, body=data) as reply:
            body = await reply.aread()
    except LinkOffline as exc:
        raise NoRunner from exc
    except (SandboxDown, StreamCut) as exc:
        raise DaemonUnreachable(f"Daemon unreachable: {exc}") from exc
    return HttpResponse(
        body,
        status=reply.status_code,
        content_type=foreign_content.JSON,
        headers={**foreign_content.HEADERS, "Cache-Control": "no-store"},
    )


async def _looked(place: Place, route: str, body: Any, *, may_start: bool) -> HttpResponse:
    """Return the answer to a question that is safe to repeat."""
    method = "GET" if body is None else "POST"
    try:
        return await forward(place, method, route, body, gone_on_404=False)
    except DaemonUnreachable:
        if not may_start:
            raise
    provider = providers.provider_for(place.kind)
    try:
        await provider.ensure(place)
    except LinkOffline as exc:
        raise NoRunner from exc
    await database_pool.writes.run(note_used, place)
    return await forward(place, method, route, body, gone_on_404=False)


# Below ``…/sandbox/files``.
ROUTES: Final = (
    ("", FolderApi.as_view()),
    ("/marks", MarksApi.as_view()),
    ("/text", TextApi.as_view()),
    ("/find", FindApi.as_view()),
    ("/search", SearchApi.as_view()),
    ("/save", SaveApi.as_view()),
    ("/mkdir", MakeFolderApi.as_view()),
    ("/rename", RenameApi.as_view()),
    ("/delete", DeleteApi.as_view()),
    ("/restore", RestoreFileApi.as_view()),
    ("/upload", UploadApi.as_view()),
    ("/download", download),
)
