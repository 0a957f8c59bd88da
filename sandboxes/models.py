"""The server's rows about sandboxes, besides vmMap in the agents' metadata."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone

from agents.models import Agent
from mesh.lib.ids import new_id


class SandboxRunnerState(models.Model):
    """One sandbox that was started, by a run, a tool or a preview.

    ``project_ref`` names organization, agent and branch (``core/handle.py``). ``link_id`` is its
    machine, and no foreign key: the files there outlive the machine's row. ``state`` is what the
    provider needs to find it again, never a secret. ``started_at`` is empty during the first start,
    and ``used_at`` is the time of the last start or use.
    ``orphaned_at``: its last thread was purged, so it will be removed unless it is used again;
    ``removal_tried_at`` is the time of the last attempt.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="sandbox_states"
    )
    project_ref = models.CharField(max_length=300)
    sandbox_provider_kind = models.CharField(max_length=20)
    handle = models.CharField(max_length=63, db_index=True)
    link_id = models.UUIDField(null=True, blank=True)
    state = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(default=timezone.now, db_index=True)
    orphaned_at = models.DateTimeField(null=True, blank=True)
    removal_tried_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "sandbox"
        verbose_name_plural = "sandboxes"
        indexes = [
            models.Index(
                fields=["orphaned_at"],
                condition=models.Q(orphaned_at__isnull=False),
                name="orphaned_sandboxes",
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "project_ref", "sandbox_provider_kind"],
                name="a_sandbox_once_per_user_project_and_kind",
            )
        ]

    def __str__(self) -> str:
        return self.handle


class VmMap(Agent):
    """A proxy of an agent for the admin of its ``metadata["vmMap"]``."""

    class Meta:
        proxy = True
        verbose_name = "vmMap"
        verbose_name_plural = "vmMaps"
