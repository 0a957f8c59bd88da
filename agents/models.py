"""The agents of an organization."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.utils import timezone

from mesh.lib.ids import new_id
from mesh.models import Organization


class Agent(models.Model):
    """Who a thread talks to: a name, instructions, and perhaps a repository.

    ``metadata`` keeps the reference's shape: ``githubRepo`` (clonable source), ``folder``
    (an allowed folder of a laptop), later ``vmMap``.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="agents")
    slug = models.SlugField(max_length=60)
    title = models.CharField(max_length=120)
    instructions = models.TextField(blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "slug"], name="one_agent_per_slug_in_an_organization"
            )
        ]

    def __str__(self) -> str:
        return self.title
