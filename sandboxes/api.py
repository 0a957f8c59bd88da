"""``/api/<org>/tools/``: start, ensure and delete one's sandbox of an agent."""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from agents.core.branches import is_branch
from agents.models import Agent
from agents.selectors import get_agent
from links.api import Tool
from links.wire.names import is_key
from mesh.api import signed_in
from mesh.lib.origins import origin_pattern
from mesh.selectors import NotFound, get_starting_membership
from sandboxes import services
from sandboxes.core.kinds import KINDS
from sandboxes.core.preview import port_of
from sandboxes.services import StartResult


class AgentUnknown(NotFound):
    text = "Virtual MCP not found"
    hint = "Check virtualMcpId: the id or the slug of an agent of this organization."


class Input(serializers.Serializer[Any]):
    """A body; its fields are the contract."""

    virtualMcpId = serializers.CharField(max_length=60)


class BranchField(serializers.CharField):
    """A valid branch name, or the key of a conversation."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=200, **options)

    def to_internal_value(self, data: Any) -> str:
        branch: str = super().to_internal_value(data)
        if not is_key(branch) and not is_branch(branch):
            raise serializers.ValidationError("This is not a valid branch name.")
        return branch


class Sandbox(serializers.Serializer[Any]):
    """What programs are told of a sandbox."""

    previewUrl = serializers.CharField(allow_null=True)
    vmId = serializers.CharField()
    branch = serializers.CharField()
    isNewVm = serializers.BooleanField()
    sandboxProviderKind = serializers.ChoiceField(list(KINDS))


class StartTool(Tool):
    """``VM_START``."""

    class Start(Input):
        branch = BranchField(required=False)
        sandboxProviderKind = serializers.ChoiceField(list(KINDS), required=False)

    @extend_schema(request=Start, responses=Sandbox, operation_id="tools_vm_start")
    def post(self, request: Request, org: str) -> Response:
        """Ensure the sandbox, with a made-up branch where none is named. Safe to repeat."""
        given = _checked(self.Start, request)
        started = async_to_sync(services.start_vm)(
            viewer=signed_in(request),
            agent=_agent(request, org, given),
            branch=given.get("branch", ""),
            kind=given.get("sandboxProviderKind", ""),
            preview_url=_preview_url(request),
        )
        return Response(_shown(started))


class EnsureTool(Tool):
    """``ensure_vm``."""

    class Ensure(Input):
        branch = BranchField()
        sandboxProviderKind = serializers.ChoiceField(list(KINDS))

    @extend_schema(request=Ensure, responses=Sandbox, operation_id="tools_ensure_vm")
    def post(self, request: Request, org: str) -> Response:
        """The recorded sandbox of that kind, else a started one. Safe to repeat."""
        given = _checked(self.Ensure, request)
        started = async_to_sync(services.ensure_vm)(
            viewer=signed_in(request),
            agent=_agent(request, org, given),
            branch=given["branch"],
            kind=given["sandboxProviderKind"],
            preview_url=_preview_url(request),
        )
        return Response(_shown(started))


class DeleteTool(Tool):
    """``VM_DELETE``."""

    class Delete(Input):
        branch = serializers.CharField(max_length=200)
        sandboxProviderKind = serializers.ChoiceField(list(KINDS))
        force = serializers.BooleanField(
            default=False, help_text="End it even if an agent works in it, instead of 409."
        )

    class Deleted(serializers.Serializer[Any]):
        success = serializers.BooleanField()

    @extend_schema(request=Delete, responses=Deleted, operation_id="tools_vm_delete")
    def post(self, request: Request, org: str) -> Response:
        """Forget the sandbox and end it. Safe to repeat: none there is a success, too."""
        given = _checked(self.Delete, request)
        try:
            agent = _agent(request, org, given, removed=True)
        except AgentUnknown:
            return Response({"success": True})
        async_to_sync(services.delete_vm)(
            viewer=signed_in(request),
            agent=agent,
            branch=given["branch"],
            kind=given["sandboxProviderKind"],
            force=given["force"],
        )
        return Response({"success": True})


def _agent(request: Request, org: str, given: dict[str, Any], *, removed: bool = False) -> Agent:
    organization = get_starting_membership(viewer=signed_in(request), slug=org).organization
    try:
        return get_agent(organization=organization, name=given["virtualMcpId"], removed=removed)
    except NotFound as exc:
        raise AgentUnknown from exc


def _checked(kind: type[Input], request: Request) -> dict[str, Any]:
    given = kind(data=request.data)
    given.is_valid(raise_exception=True)
    values: dict[str, Any] = given.validated_data
    return values


def _preview_url(request: Request) -> str:
    host = request.get_host()
    return origin_pattern(mesh_url=settings.MESH_URL, port=port_of(host)) + "/"


def _shown(started: StartResult) -> dict[str, Any]:
    return {
        "previewUrl": started.entry.preview_url,
        "vmId": started.entry.vm_id,
        "branch": started.branch,
        "isNewVm": started.is_new,
        "sandboxProviderKind": started.entry.kind,
    }
