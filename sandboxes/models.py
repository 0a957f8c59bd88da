"""What the server keeps of sandboxes beside vmMap, which is on the agents."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone

from agents.models import Agent
from mesh.lib.ids import new_id


class SandboxRunnerState(models.Model):
    """One sandbox as its provider left it: the provider's own notes, never a secret.

    ``project_ref`` names organization, agent and branch (``core/handle.py``). ``state`` is what
    the provider needs to find it again, such as a container's id. ``used_at`` is when it was
    last ensured or spoken to; the idle ones are stopped by it.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="sandbox_states"
    )
    project_ref = models.CharField(max_length=300)
    sandbox_provider_kind = models.CharField(max_length=20)
    handle = models.CharField(max_length=63, db_index=True)
    state = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        verbose_name = "sandbox"
        verbose_name_plural = "sandboxes"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "project_ref", "sandbox_provider_kind"],
                name="a_sandbox_once_per_user_project_and_kind",
            )
        ]

    def __str__(self) -> str:
        return self.handle


class VmMap(Agent):
    """An agent seen as what is on its ``metadata["vmMap"]``; no table of its own."""

    class Meta:
        proxy = True
        verbose_name = "vmMap"
        verbose_name_plural = "vmMaps"
