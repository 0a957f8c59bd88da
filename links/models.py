"""A person's laptops."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone

from mesh.lib.ids import new_id
from mesh.models import IssuedToken


class Link(models.Model):
    """One machine of one person, registered by ``deco_link``.

    ``offline_after`` is the deadline that every valid frame extends: the machine is online until
    then. ``node`` and ``connection_id`` name the process and the socket that hold the tunnel;
    only that owner may clear them. ``secret`` is sealed (``mesh.keys``) and signs every request
    to the machine.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="links")
    machine_id = models.CharField(max_length=64)
    hostname = models.CharField(max_length=255, blank=True)
    cli_version = models.CharField(max_length=40)
    protocol_version = models.PositiveIntegerField()
    capabilities = models.JSONField(default=list)
    # From the probe: {"claude-code": {"state": "ready", "version": …, "detail": …}}.
    harnesses = models.JSONField(default=dict)
    secret = models.TextField()
    # Finds the row for a heartbeat, which is authenticated by the secret alone.
    secret_hash = models.CharField(max_length=64, unique=True, null=True)
    # Of the files that registered last (links.daemon.installation); empty: an older program.
    installation = models.CharField(max_length=64, blank=True)
    tunnel_url = models.CharField(max_length=200, blank=True)
    node = models.CharField(max_length=255, blank=True)
    # Where that process accepts requests for its tunnels (links.internal).
    node_address = models.CharField(max_length=255, blank=True)
    connection_id = models.CharField(max_length=32, blank=True, db_index=True)
    offline_after = models.DateTimeField(null=True, db_index=True)
    cause = models.CharField(max_length=20, blank=True)
    # The cause of its last silence, as it reported on reconnecting.
    last_silence = models.CharField(max_length=20, blank=True)
    # Seconds by which its clock was ahead of the server's when it connected; 0: about right.
    clock_ahead = models.IntegerField(default=0)
    # The token it registered with, stored on that machine; revoked when the machine is signed out.
    registered_with = models.ForeignKey(
        IssuedToken, models.SET_NULL, null=True, related_name="registered"
    )
    # Sign-ins issued before this time may not register the machine again.
    revoked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "machine_id"], name="one_link_per_user_and_machine"
            )
        ]

    def __str__(self) -> str:
        return self.hostname or self.machine_id[:8]
