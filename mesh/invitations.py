"""Invitations: a link that lets one person, or several, into an organization for some days.

The link's text is shown once, and only its hash is kept. The session of whoever has opened a link
names its row.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from mesh.lib.errors import AppError
from mesh.lib.roles import PERMISSIONS, may_give
from mesh.models import Invitation, Membership, Organization, Role, User
from mesh.single_use import digest_of

LIFE: Final = timedelta(days=7)
MOST_USES: Final = 1_000
MOST_OPEN: Final = 50  # invitations of an organization that work at one time
IN_SESSION: Final = "invitation"
_KIND: Final = "invitation"


class InvitationRefused(AppError):
    code = "invitation_refused"
    text = "This invitation has been used, was revoked, has expired, or is incomplete."
    hint = "Ask the person who invited you for a new one."
    status = 403


class RoleAboveOwn(AppError):
    code = "role_above_own"
    text = "Your own role doesn't allow that."
    hint = "Ask an owner of the organization."
    status = 403


class TooManyInvitations(AppError):
    code = "too_many_invitations"
    text = f"There are {MOST_OPEN} open invitations already."
    hint = "Revoke those that nobody needs any more."
    status = 409


def lock_organization(organization: Organization) -> None:
    """Let no other transaction change the organization's members or invitations until the end of
    this one: what was checked about them stays true. SQLite has one writer at a time anyway."""
    rows = Organization.objects.select_for_update(no_key=True).filter(pk=organization.pk)
    rows.values_list("pk").first()


def make_invitation(
    *,
    organization: Organization,
    role: Role,
    made_by: User | None = None,
    max_uses: int | None = 1,
    life: timedelta = LIFE,
) -> str:
    """Return the text of a new invitation, which the link carries; it can't be shown again.

    ``made_by`` is the member who invites, ``None`` the operator. ``max_uses`` is how many people
    may use it, ``None`` any number.

    Raises:
        RoleAboveOwn: the member may not give that role, or invite anybody.
        TooManyInvitations: the organization has as many as it may have.
    """
    text = secrets.token_urlsafe(24)
    now = timezone.now()
    with transaction.atomic():
        lock_organization(organization)
        if made_by is not None and not _may_invite(made_by, organization, role):
            raise RoleAboveOwn
        if list_open(organization=organization, now=now).count() >= MOST_OPEN:
            raise TooManyInvitations
        Invitation.objects.create(
            organization=organization,
            role=role.value,
            digest=digest_of(_KIND, text),
            made_by=made_by,
            max_uses=max_uses,
            expires_at=now + life,
        )
    return text


def join_address(server: str, text: str) -> str:
    """Return the link of an invitation to a Mesh at the address ``server``."""
    return f"{server}/join?{urlencode({'invitation': text})}"


def read_invitation(text: str) -> Invitation:
    """Return the open invitation whose text is ``text``, with its organization; this does not use
    it up.

    Raises:
        InvitationRefused: it is unknown, expired, used up or revoked, or the member who made it
            may no longer give its role.
    """
    return _get(Q(digest=digest_of(_KIND, text)))


def get_invitation(invitation_id: str) -> Invitation:
    """Return the open invitation that a session names.

    Raises:
        InvitationRefused: as ``read_invitation``.
    """
    try:
        return _get(Q(pk=UUID(invitation_id)))
    except ValueError as exc:
        raise InvitationRefused from exc


def join(*, user: User, invitation: Invitation) -> Organization:
    """Use an invitation once and return the organization that ``user`` has joined.

    A person who is already a member keeps their role, and no use is counted.

    Raises:
        InvitationRefused: it does not work any more, or others used it up first.
    """
    organization = invitation.organization
    with transaction.atomic():  # both or neither: no use is counted without a member
        lock_organization(organization)
        invitation = _get(Q(pk=invitation.pk))
        _, is_new = Membership.objects.get_or_create(
            organization=organization, user=user, defaults={"role": invitation.role}
        )
        if is_new and not _use(invitation):
            raise InvitationRefused
    return organization


def revoke_invitation(*, member: Membership, invitation_id: UUID) -> bool:
    """Revoke an invitation of the member's organization; return whether there was an open one.

    Safe to repeat: a revoked one stays revoked.

    Raises:
        RoleAboveOwn: the member may not give its role.
    """
    found = list_open(organization=member.organization, now=timezone.now())
    invitation = found.filter(pk=invitation_id).first()
    if invitation is None:
        return False
    if not may_give(member.role, invitation.role):
        raise RoleAboveOwn
    rows = Invitation.objects.filter(pk=invitation_id, revoked_at=None)
    return bool(rows.update(revoked_at=timezone.now()))


def revoke_invitations_of(member: Membership) -> int:
    """Revoke what the member has made and may not give any more; return how many.

    Otherwise an admin could come back by a link of their own after being removed, or lowered.
    ``member.role`` is what they have now; empty for a member who is removed.
    """
    made = Invitation.objects.filter(
        organization=member.organization_id, made_by=member.user_id, revoked_at=None
    )
    too_high = [role for role in PERMISSIONS if not may_give(member.role, role)]
    return made.filter(role__in=too_high).update(revoked_at=timezone.now())


def list_open(*, organization: Organization, now: datetime) -> QuerySet[Invitation]:
    """Return the organization's invitations that work, the newest first, with who made them."""
    found = Invitation.objects.filter(_is_open(now), organization=organization)
    return found.select_related("made_by").order_by("-created_at", "-pk")


def invitation_in(request: HttpRequest) -> Invitation | None:
    """Return the invitation opened in this session if it works; ``None`` without one."""
    named = request.session.get(IN_SESSION)
    try:
        return get_invitation(str(named)) if named else None
    except InvitationRefused:
        return None


def _get(which: Q) -> Invitation:
    found = Invitation.objects.filter(which, _is_open(timezone.now()))
    invitation = found.select_related("organization").first()
    if invitation is None:
        raise InvitationRefused
    return invitation


def _use(invitation: Invitation) -> int:
    # Several people may be at it at the same time: the update decides who is within the number.
    left = Q(max_uses=None) | Q(uses__lt=F("max_uses"))
    rows = Invitation.objects.filter(left, pk=invitation.pk, revoked_at=None)
    return rows.update(uses=F("uses") + 1)


def _is_open(now: datetime) -> Q:
    """Return the condition of invitations that work: their number, time and maker allow it."""
    left = Q(max_uses=None) | Q(uses__lt=F("max_uses"))
    makers = Membership.objects.filter(
        organization=OuterRef("organization"), user=OuterRef("made_by"), user__is_active=True
    )
    by_right = Q(made_by=None)
    for giver in PERMISSIONS:
        given = [role for role in PERMISSIONS if may_give(giver, role)]
        if given:
            by_right |= Q(Exists(makers.filter(role=giver)), role__in=given)
    return Q(left, by_right, revoked_at=None, expires_at__gt=now)


def _may_invite(user: User, organization: Organization, role: Role) -> bool:
    member = Membership.objects.filter(user=user, organization=organization).first()
    return member is not None and user.is_active and may_give(member.role, role.value)
