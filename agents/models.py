"""The agents of an organization."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone

from agents.core.source import Source, source_of
from mesh.lib.ids import new_id
from mesh.models import Organization


class Agent(models.Model):
    """The agent of a thread: a name, instructions, and optionally a repository.

    ``metadata`` keeps the reference's shape: ``githubRepo`` (clonable source), ``folder`` (an
    allowed folder) and ``folderLink`` (the machine that has it), ``files`` ("none": it needs
    none), ``vmMap``. It has several writers, so each one writes single keys
    (``services.set_metadata``).

    ``default_choice`` is the program and tier for a person who has picked none, such as
    ``claude-code:smart``. A removed agent is hidden; its threads continue.
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
        """The source of its files."""
        return source_of(self.metadata)


class McpServerRow(models.Model):
    """An MCP server that an agent may use. Headers contain tokens, so they are stored encrypted
    (``mesh.keys.seal``) and never shown again: pages and the API show only their names.

    One that did not answer is not asked before ``silent_until``.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="mcp_servers")
    name = models.CharField(max_length=40)
    url = models.CharField(max_length=1000)
    sealed_headers = models.TextField(blank=True)
    header_names = models.JSONField(default=list, blank=True)
    silent_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "name"], name="an_agents_server_once")
        ]

    def __str__(self) -> str:
        return self.name


class Outcome(models.TextChoices):
    """The result of the last test of a key."""

    UNTESTED = ""
    WORKS = "works"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class ProviderKey(models.Model):
    """An organization's key of an AI provider.

    ``sealed_key`` is encrypted (``mesh.keys``); empty for a self-hosted server without keys.
    ``base_url`` is empty for the provider's own address. ``outcome``, ``said`` (the provider's
    message, without secrets) and ``listed`` (the models it offers) are from the last test.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="provider_keys")
    provider = models.CharField(max_length=40)
    label = models.CharField(max_length=80)
    base_url = models.CharField(max_length=300, blank=True)
    sealed_key = models.TextField(blank=True)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    outcome = models.CharField(
        max_length=12, choices=Outcome.choices, default=Outcome.UNTESTED, blank=True
    )
    said = models.CharField(max_length=300, blank=True)
    listed = models.JSONField(default=list, blank=True)
    tested_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.provider}: {self.label}"


class DefaultModel(models.Model):
    """The model and key of a tier, for a whole organization."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="default_models")
    tier = models.CharField(max_length=20)
    key = models.ForeignKey(ProviderKey, models.CASCADE, related_name="slots")
    model_id = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "tier"], name="one_default_model_per_tier"
            ),
            models.CheckConstraint(
                condition=models.Q(tier__in=["fast", "smart", "thinking"]), name="known_tier"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tier}: {self.model_id}"
