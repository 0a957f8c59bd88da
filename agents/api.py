"""The JSON API of agents: members read, owners and admins write."""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import selectors, services
from agents.core.mcp import read_mcp_server
from agents.core.source import Source, read_folder
from agents.models import Agent, McpServerRow
from agents.repositories import allowed_repository
from agents.services import AgentFields
from agents.templates import find_template, list_templates
from mesh.api import signed_in
from mesh.models import Organization
from mesh.selectors import get_managing_membership, get_membership


class RepositoryShown(serializers.Serializer[Any]):
    url = serializers.CharField()


class McpServerShown(serializers.Serializer[Any]):
    name = serializers.CharField()
    url = serializers.CharField()
    headers = serializers.ListField(
        child=serializers.CharField(), help_text="Their names; a value is never shown again."
    )
    silentUntil = serializers.DateTimeField(
        allow_null=True, help_text="It did not answer, and is not asked before; put it to ask now."
    )


class AgentShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    slug = serializers.CharField()
    title = serializers.CharField()
    icon = serializers.CharField(allow_blank=True)
    instructions = serializers.CharField(allow_blank=True)
    defaultChoice = serializers.CharField(allow_blank=True)
    repository = RepositoryShown(allow_null=True)
    folder = serializers.CharField(allow_null=True)
    folderLinkId = serializers.CharField(allow_null=True)
    needsFiles = serializers.BooleanField()
    clonable = serializers.BooleanField()
    mcpServers = McpServerShown(many=True)


class AgentGiven(serializers.Serializer[Any]):
    """Give at most one of ``repository``, ``folder`` and ``needsFiles: false``."""

    title = serializers.CharField(max_length=120, required=False)
    icon = serializers.CharField(max_length=30, required=False, allow_blank=True)
    instructions = serializers.CharField(max_length=100_000, required=False, allow_blank=True)
    defaultChoice = serializers.CharField(max_length=80, required=False, allow_blank=True)
    repository = serializers.CharField(
        max_length=500, required=False, allow_null=True, help_text="Its address."
    )
    folder = serializers.CharField(max_length=500, required=False, allow_null=True)
    folderLinkId = serializers.UUIDField(required=False, allow_null=True)
    needsFiles = serializers.BooleanField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        named = [attrs.get("repository"), attrs.get("folder"), attrs.get("needsFiles") is False]
        if sum(map(bool, named)) > 1:
            raise serializers.ValidationError("An agent's files come from one place.")
        return attrs


class NewAgent(AgentGiven):
    template = serializers.CharField(max_length=60, required=False)


class McpServerGiven(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=1_000)
    headers = serializers.DictField(
        child=serializers.CharField(max_length=4_000, allow_blank=True, trim_whitespace=False),
        required=False,
        help_text="Left out: those it has stay.",
    )


class TemplateShown(serializers.Serializer[Any]):
    id = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    icon = serializers.CharField()


class AgentsApi(APIView):
    """``…/agents``: the organization's agents, and new ones."""

    class Listed(serializers.Serializer[Any]):
        agents = AgentShown(many=True)
        templates = TemplateShown(many=True)

    @extend_schema(responses=Listed, operation_id="agents_list")
    def get(self, request: Request, org: str) -> Response:
        """Every agent that a chat can be started with, and what new ones can be made of."""
        organization = _organization(request, org)
        agents = selectors.list_agents(organization=organization, with_servers=True)
        return Response(
            {
                "agents": [agent_shown(agent) for agent in agents],
                "templates": [each.as_shown() for each in list_templates()],
            }
        )

    @extend_schema(request=NewAgent, responses={201: AgentShown}, operation_id="agents_create")
    def post(self, request: Request, org: str) -> Response:
        """Make an agent: of a template, of a repository's address, or of what is given."""
        organization = _managed(request, org)
        given = _checked(NewAgent, request)
        fields = _fields(given)
        if template := given.get("template"):
            fields = find_template(template).filled(fields)
        if fields.title is None and fields.source and fields.source.kind == "repository":
            agent = services.import_agent(
                organization=organization, repository=fields.source.url, given=fields
            )
        else:
            agent = services.create_agent(organization=organization, given=fields)
        return Response(agent_shown(agent), status=201)


class AgentApi(APIView):
    """``…/agents/<id or slug>``: one agent."""

    @extend_schema(responses=AgentShown, operation_id="agents_get")
    def get(self, request: Request, org: str, name: str) -> Response:
        """The agent as members may see it."""
        return Response(agent_shown(_agent(_organization(request, org), name)))

    @extend_schema(request=AgentGiven, responses=AgentShown, operation_id="agents_change")
    def patch(self, request: Request, org: str, name: str) -> Response:
        """Change what is given; the rest stays."""
        agent = _agent(_managed(request, org), name)
        given = _fields(_checked(AgentGiven, request))
        return Response(agent_shown(services.change_agent(agent=agent, given=given)))

    @extend_schema(
        responses={204: None, 409: OpenApiResponse(description="`agent_is_default`")},
        operation_id="agents_remove",
    )
    def delete(self, request: Request, org: str, name: str) -> Response:
        """Hide it from new chats; its threads go on. Safe to repeat."""
        organization = _managed(request, org)
        services.remove_agent(agent=_agent(organization, name, removed=True))
        return Response(status=204)


class RestoreApi(APIView):
    """``…/agents/<id or slug>/restore``: the way back from a removal."""

    @extend_schema(request=None, responses=AgentShown, operation_id="agents_restore")
    def post(self, request: Request, org: str, name: str) -> Response:
        """Offer a removed agent again. Safe to repeat."""
        agent = _agent(_managed(request, org), name, removed=True)
        services.restore_agent(agent=agent)
        return Response(agent_shown(agent))


class McpServerApi(APIView):
    """``…/agents/<id or slug>/mcp-servers/<name>``: one MCP server of an agent."""

    @extend_schema(
        request=McpServerGiven, responses=McpServerShown, operation_id="agents_put_mcp_server"
    )
    def put(self, request: Request, org: str, name: str, server: str) -> Response:
        """Give the agent this server, in the place of its one of that name."""
        agent = _agent(_managed(request, org), name)
        given = _checked(McpServerGiven, request)
        headers = given.get("headers")
        row = services.put_mcp_server(
            agent=agent,
            server=read_mcp_server(name=server, url=given["url"], headers=headers or {}),
            keep_headers=headers is None,
        )
        return Response(_server_shown(row))

    @extend_schema(responses={204: None}, operation_id="agents_remove_mcp_server")
    def delete(self, request: Request, org: str, name: str, server: str) -> Response:
        """Take the server from the agent, and forget its headers. Safe to repeat."""
        services.remove_mcp_server(agent=_agent(_managed(request, org), name), name=server)
        return Response(status=204)


def agent_shown(agent: Agent) -> dict[str, Any]:
    """Return what members may see of an agent: never a header's value."""
    source = agent.source
    return {
        "id": str(agent.pk),
        "slug": agent.slug,
        "title": agent.title,
        "icon": agent.icon,
        "instructions": agent.instructions,
        "defaultChoice": agent.default_choice,
        "repository": {"url": source.url} if source.url else None,
        "folder": source.folder or None,
        "folderLinkId": source.link_id or None,
        "needsFiles": source.has_files,
        "clonable": source.kind == "repository",
        "mcpServers": [_server_shown(row) for row in agent.mcp_servers.all()],
    }


def _server_shown(row: McpServerRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "url": row.url,
        "headers": row.header_names,
        "silentUntil": row.silent_until,
    }


def _fields(given: dict[str, Any]) -> AgentFields:
    return AgentFields(
        title=given.get("title"),
        icon=given.get("icon"),
        instructions=given.get("instructions"),
        default_choice=given.get("defaultChoice"),
        source=_source(given),
    )


def _source(given: dict[str, Any]) -> Source | None:
    """Return where the files are to come from; ``None``: nothing of it was given."""
    if given.get("repository"):
        return Source("repository", url=allowed_repository(given["repository"]).url)
    if given.get("folder"):
        link_id = given.get("folderLinkId")
        return Source("folder", folder=read_folder(given["folder"]), link_id=str(link_id or ""))
    if given.get("needsFiles") is False:
        return Source("none")
    if {"repository", "folder", "needsFiles"} & given.keys():
        return Source("scratch")
    return None


def _organization(request: Request, org: str) -> Organization:
    return get_membership(viewer=signed_in(request), slug=org).organization


def _managed(request: Request, org: str) -> Organization:
    return get_managing_membership(viewer=signed_in(request), slug=org).organization


def _agent(organization: Organization, name: str, *, removed: bool = False) -> Agent:
    return selectors.get_agent(organization=organization, name=name, removed=removed)


def _checked(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    given = kind(data=request.data)
    given.is_valid(raise_exception=True)
    values: dict[str, Any] = given.validated_data
    return values
