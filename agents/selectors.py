"""Selectors of agents; callers get the organization from ``mesh.selectors.get_membership``."""

from __future__ import annotations

import json
from collections.abc import Collection
from uuid import UUID

from agents.context import Keys
from agents.core.mcp import McpServer
from agents.keys.selectors import list_models
from agents.models import Agent, McpServerRow
from mesh.keys import unseal
from mesh.lib.roles import Permission, may
from mesh.models import Organization
from mesh.selectors import NotFound


def find_shared(pairs: Collection[tuple[int, UUID]]) -> set[tuple[int, UUID]]:
    """Return the pairs of a person's and an agent's id where the person may start something in the
    agent's organization; one query."""
    agents = Agent.objects.filter(pk__among={agent_id for _, agent_id in pairs})
    members = "organization__memberships"
    found = agents.values_list(f"{members}__user", "pk", f"{members}__role")
    able = {(user, agent) for user, agent, role in found if role and may(role, Permission.START)}
    return able & set(pairs)


def get_agent(*, organization: Organization, name: str, removed: bool = False) -> Agent:
    """Return the organization's agent whose id or slug is ``name``.

    Raises:
        NotFound: it has no such agent; another organization's looks the same, and so does a
            removed one unless ``removed``.
    """
    agents = Agent.objects.filter(organization=organization)
    if not removed:
        agents = agents.filter(removed_at=None)
    try:
        found = agents.filter(pk=UUID(name)).first()
    except ValueError:
        found = agents.filter(slug=name).first()
    if found is None:
        raise NotFound("There is no such agent.")
    return found


def list_agents(*, organization: Organization, with_servers: bool = False) -> list[Agent]:
    """Return the organization's agents, the default one first; one query, or
    two with their MCP servers."""
    agents = Agent.objects.filter(organization=organization, removed_at=None)
    if with_servers:
        agents = agents.prefetch_related("mcp_servers")
    # Sorted here: case-insensitively, independent of the database's collation.
    return sorted(agents, key=lambda agent: (agent.slug != "default", agent.title.casefold()))


def list_mcp_rows(*, agent: Agent) -> list[McpServerRow]:
    """Return the MCP servers of an agent without their headers, for people."""
    return list(agent.mcp_servers.defer("sealed_headers"))


def list_mcp_servers(*, agent: Agent) -> list[McpServer]:
    """Return the MCP servers of an agent with their secrets, for a run; one query."""
    return [
        McpServer(row.name, row.url, _headers(row), row.silent_until)
        for row in agent.mcp_servers.all()
    ]


def _headers(row: McpServerRow) -> dict[str, str]:
    headers: dict[str, str] = json.loads(unseal(row.sealed_headers)) if row.sealed_headers else {}
    return headers


def get_keys(*, organization: Organization) -> Keys:
    """Return the models that the organization's provider keys offer to a chat; one query."""
    has_any, models = list_models(organization)
    return Keys(has_any=has_any, models=models)
