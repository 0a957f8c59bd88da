"""The agents of an organization."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.utils import timezone

from agents.core.source import Source, source_of
from mesh.lib.ids import new_id
from mesh.models import Organization


class Agent(models.Model):
    """Who a thread talks to: a name, instructions, and perhaps a repository.

    ``metadata`` keeps the reference's shape: ``githubRepo`` (clonable source), ``folder`` (an
    allowed folder) and ``folderLink`` (the machine that has it), ``files`` ("none": it needs
    none), ``vmMap``. Several write it, so it is written key by key (``services.set_metadata``).

    ``default_choice`` is who answers when a person has picked nobody, such as
    ``claude-code:smart``. A removed agent is hidden; its threads go on.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="agents")
    slug = models.SlugField(max_length=60)
    title = models.CharField(max_length=120)
    icon = models.CharField(max_length=30, blank=True)
    instructions = models.TextField(blank=True)
    default_choice = models.CharField(max_length=80, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "slug"], name="one_agent_per_slug_in_an_organization"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def source(self) -> Source:
        """Where its files come from."""
        return source_of(self.metadata)


class McpServerRow(models.Model):
    """An MCP server that an agent may use. Headers carry tokens, so they are kept sealed
    (``mesh.keys.seal``) and never shown again: pages and the API say their names alone."""

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="mcp_servers")
    name = models.CharField(max_length=40)
    url = models.CharField(max_length=1000)
    sealed_headers = models.TextField(blank=True)
    header_names = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "name"], name="an_agents_server_once")
        ]

    def __str__(self) -> str:
        return self.name
