"""People, and the organizations they belong to."""

from __future__ import annotations

from uuid import UUID

from allauth.idp.oidc.models import Token
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from mesh.lib.ids import new_id
from mesh.lib.roles import Permission, may


class User(AbstractUser):
    """A person. Our own model from the first migration, because it can't be swapped later."""


class Organization(models.Model):
    """A team: owns threads, agents and provider keys. ``slug`` is part of every URL."""

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(default=timezone.now)
    members = models.ManyToManyField(User, through="Membership", related_name="organizations")

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do: ``mesh/lib/roles.py`` has the table."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    MEMBER = "member", "Member"
    VIEWER = "viewer", "Viewer"

    @property
    def manages(self) -> bool:
        """Whether this role may change agents and keys."""
        return may(self.value, Permission.MANAGE)

    @property
    def starts(self) -> bool:
        """Whether this role may start chats, messages and sandboxes."""
        return may(self.value, Permission.START)


class Membership(models.Model):
    """One person in one organization."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="a_member_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="known_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization} ({self.role})"


class Invitation(models.Model):
    """A link with which people can join an organization; only a hash of its text is kept.

    ``made_by`` is empty where the operator's command made it; else it works only while that member
    may give its role. ``max_uses`` is empty where any number of people may use it.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=Role.choices)
    digest = models.CharField(max_length=64, unique=True)
    made_by = models.ForeignKey(User, models.CASCADE, null=True, related_name="invitations")
    max_uses = models.PositiveIntegerField(null=True)
    uses = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="known_invited_role"
            ),
            models.CheckConstraint(
                condition=models.Q(max_uses=None) | models.Q(uses__lte=models.F("max_uses")),
                name="invitation_is_used_up_once",
            ),
        ]

    def __str__(self) -> str:
        return f"invitation to {self.organization_id} ({self.role})"


class PairingState(models.TextChoices):
    """The states of a pairing: asked, then approved or denied by a person, then paired."""

    ASKED = "asked"
    APPROVED = "approved"
    DENIED = "denied"
    PAIRED = "paired"


class Pairing(models.Model):
    """A machine's request to become one of a person's and, once it is granted, its sign-in.

    A row and not a cache entry: it survives a restart, every process sees it, and "a code works
    once" is a conditional update whose count is checked. All tokens of a paired machine name the
    row (``Token.data``); a machine whose row is gone is signed out.

    ``machine_id`` is the only machine that its tokens work for; if the request named none, the
    first registration decides.

    Only hashes of the codes are kept. ``expires_at`` is theirs; a paired machine has none.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    state = models.CharField(
        max_length=10, choices=PairingState.choices, default=PairingState.ASKED
    )
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="pairings")
    device_code = models.CharField(max_length=64, unique=True, null=True)
    user_code = models.CharField(max_length=64, unique=True, null=True)
    # The machine's own claims, unverified; the person decides by them.
    hostname = models.CharField(max_length=255, blank=True)
    platform = models.CharField(max_length=100, blank=True)
    machine_id = models.CharField(max_length=64, blank=True)
    version = models.CharField(max_length=40, blank=True)
    address = models.CharField(max_length=45, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, db_index=True)
    polled_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state=PairingState.ASKED, user=None)
                | models.Q(
                    state__in=[PairingState.APPROVED, PairingState.DENIED, PairingState.PAIRED],
                    user__isnull=False,
                ),
                name="pairing_is_answered_by_someone",
            ),
            models.CheckConstraint(
                condition=models.Q(state=PairingState.PAIRED, expires_at=None)
                | (~models.Q(state=PairingState.PAIRED) & models.Q(expires_at__isnull=False)),
                name="pairing_expires_until_paired",
            ),
        ]
        indexes = [models.Index(fields=["address", "created_at"], name="pairings_by_address")]

    def __str__(self) -> str:
        return self.hostname or "an unnamed machine"


class IssuedToken(models.Model):
    """A bearer token made by ``mesh_token`` or ``make run``, beside allauth's own row for it.

    allauth keeps its hash, scope and expiry; deleting that row revokes the token. A machine's
    token works only for ``machine_id``; if that is empty, the first registration sets it.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    token = models.OneToOneField(Token, models.CASCADE, related_name="issued")
    name = models.CharField(max_length=120)
    machine_id = models.CharField(max_length=64, blank=True)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class WrongCode(models.Model):
    """A wrong pairing code that was entered; recent ones of a person or an address are counted."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    address = models.CharField(max_length=45, db_index=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"wrong code of {self.user_id} from {self.address}"


class UsedTicket(models.Model):
    """A ticket that works once and has been used (``single_use``), by its hash."""

    digest = models.CharField(max_length=64, primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"used ticket {self.digest[:8]}"


class CacheEntry(models.Model):
    """A row of Django's database cache, which holds the rate limits' counters.

    Only ``single_use.forget_expired`` reads it as a model; the columns are Django's.
    """

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "mesh_cache"

    def __str__(self) -> str:
        return self.cache_key
