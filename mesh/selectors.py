"""Reading organizations and tokens; every look-up takes the viewer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from allauth.idp.oidc.models import Token
from django.utils import timezone

from mesh.lib import oauth
from mesh.lib.errors import AppError
from mesh.lib.errors import NotFound as NotFound
from mesh.lib.roles import Permission, may, may_give
from mesh.models import IssuedToken, Membership, Organization, Pairing, PairingState, Role, User
from mesh.pairing.tokens import pairing_of
from mesh.permissions import ReadsOnly
from mesh.tokens import Scope


def get_membership(*, viewer: User, slug: str) -> Membership:
    """Return the viewer's membership of the organization ``slug``, with the organization.

    Raises:
        NotFound: there is none, or the viewer is not in it.
    """
    found = (
        Membership.objects.select_related("organization")
        .filter(user=viewer, organization__slug=slug)
        .first()
    )
    if found is None:
        raise NotFound
    return found


def get_starting_membership(*, viewer: User, slug: str) -> Membership:
    """Return the viewer's membership, for what makes something run.

    Raises:
        NotFound: as ``get_membership``.
        ReadsOnly: the viewer may only read.
    """
    membership = get_membership(viewer=viewer, slug=slug)
    if not may(membership.role, Permission.START):
        raise ReadsOnly
    return membership


class NotAllowed(AppError):
    """The viewer may see this, but not change it."""

    code = "forbidden"
    text = "Only owners and admins of the organization may do this."
    hint = "Ask one of them."
    status = 403


def get_managing_membership(*, viewer: User, slug: str) -> Membership:
    """Return the viewer's membership, for actions of owners and admins only.

    Raises:
        NotFound: as ``get_membership``.
        NotAllowed: the viewer is a plain member.
    """
    membership = get_membership(viewer=viewer, slug=slug)
    if not Role(membership.role).manages:
        raise NotAllowed
    return membership


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """A member as the viewer sees them; ``gives`` are the roles that the viewer may give them."""

    id: int
    user_id: int
    name: str
    full_name: str
    role: Role
    is_active: bool
    is_self: bool
    gives: tuple[Role, ...]
    joined_at: datetime


def list_members(*, viewer: Membership) -> list[MemberView]:
    """Return the members of the viewer's organization, owners first, then by name; one query."""
    rows = Membership.objects.filter(organization=viewer.organization_id).select_related("user")
    ranks = {role: rank for rank, role in enumerate(Role)}
    found = sorted(rows, key=lambda row: (ranks[Role(row.role)], row.user.username.casefold()))
    return [
        MemberView(
            id=row.pk,
            user_id=row.user_id,
            name=row.user.username,
            full_name=row.user.get_full_name(),
            role=Role(row.role),
            is_active=row.user.is_active,
            is_self=row.pk == viewer.pk,
            gives=roles_to_give(viewer) if may_give(viewer.role, row.role) else (),
            joined_at=row.created_at,
        )
        for row in found
    ]


def roles_to_give(member: Membership) -> tuple[Role, ...]:
    """Return the roles that a member may give to others."""
    return tuple(role for role in Role if may_give(member.role, role.value))


def list_organizations(*, viewer: User) -> list[Organization]:
    """Return the viewer's organizations, the oldest membership first."""
    return list(
        Organization.objects.filter(memberships__user=viewer).order_by("memberships__created_at")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A token as its owner sees it; without its value, of which only a hash is kept.

    ``id`` is that of the ``IssuedToken``, or of the ``Pairing`` if the machine renews its tokens.
    """

    id: UUID
    name: str
    scope: Scope
    is_paired: bool
    machine_id: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


def list_tokens(*, viewer: User) -> list[TokenView]:
    """Return the viewer's valid tokens, the newest first; three queries."""
    found = [*_issued(viewer), *_paired(viewer)]
    return sorted(found, key=lambda view: view.created_at, reverse=True)


def _issued(viewer: User) -> list[TokenView]:
    rows = IssuedToken.objects.select_related("token").filter(token__user=viewer)
    return [
        TokenView(
            id=row.pk,
            name=row.name,
            scope="user" if row.token.get_scopes() == [oauth.USER_SCOPE] else "machine",
            is_paired=False,
            machine_id=row.machine_id,
            created_at=row.token.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.token.expires_at,
        )
        for row in rows.filter(token__expires_at__gt=timezone.now())
    ]


def _paired(viewer: User) -> list[TokenView]:
    renewing = Token.objects.valid().filter(user=viewer, type=Token.Type.REFRESH_TOKEN)
    until = {pairing_of(token): token.expires_at for token in renewing.order_by("expires_at")}
    rows = Pairing.objects.filter(user=viewer, state=PairingState.PAIRED)
    return [
        TokenView(
            id=row.pk,
            name=str(row),
            scope="machine",
            is_paired=True,
            machine_id=row.machine_id,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=until[row.pk],
        )
        for row in rows
        if row.pk in until
    ]
