"""Invitations: a link that lets one person into an organization, once and for a week.

The link carries what it grants, signed. A row (``single_use``) records that it was used.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

from django.core import signing
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from mesh.lib.errors import AppError
from mesh.models import Membership, Organization, Role, UsedTicket, User
from mesh.single_use import digest_of, use_once

LIFE: Final = timedelta(days=7)
IN_SESSION: Final = "invitation"
_SALT: Final = "mesh.invitation"
_KIND: Final = "invitation"


class InvitationRefused(AppError):
    code = "invitation_refused"
    text = "This invitation has been used, has expired, or is incomplete."
    hint = "Ask the person who invited you for a new one. It works once, within seven days."
    status = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Whoever has the link may join ``organization`` (its id) as ``role``."""

    organization: str
    role: str
    nonce: str


def make_invitation(*, organization: Organization, role: Role) -> str:
    """Return the text of a new invitation, which the link carries."""
    made = Invitation(
        organization=str(organization.pk), role=role.value, nonce=secrets.token_urlsafe(12)
    )
    return signing.dumps(asdict(made), salt=_SALT, compress=True)


def read_invitation(text: str) -> tuple[Invitation, Organization]:
    """Return what ``text`` grants, and where; this does not use it up.

    Raises:
        InvitationRefused: it is invalid, expired, used, or for an organization that is gone.
    """
    try:
        invitation = Invitation(**signing.loads(text, salt=_SALT, max_age=LIFE))
    except (signing.BadSignature, TypeError) as exc:
        raise InvitationRefused from exc
    organization = Organization.objects.filter(pk=invitation.organization).first()
    used = UsedTicket.objects.filter(digest=digest_of(_KIND, invitation.nonce))
    if organization is None or used.exists():
        raise InvitationRefused
    return invitation, organization


def join(*, user: User, text: str) -> Organization:
    """Use up an invitation and return the organization that ``user`` has joined.

    A person who is already a member keeps their role, and the invitation stays unused.

    Raises:
        InvitationRefused: as ``read_invitation``, or somebody else used it first.
    """
    invitation, organization = read_invitation(text)
    with transaction.atomic():  # both or neither: no invitation is used up without a member
        _, is_new = Membership.objects.get_or_create(
            organization=organization, user=user, defaults={"role": invitation.role}
        )
        expires_at = timezone.now() + LIFE
        if is_new and not use_once(_KIND, invitation.nonce, expires_at=expires_at):
            raise InvitationRefused
    return organization


def invitation_in(request: HttpRequest) -> Organization | None:
    """Return the organization of the invitation opened in this session; ``None`` without one."""
    text = request.session.get(IN_SESSION, "")
    try:
        return read_invitation(text)[1] if text else None
    except InvitationRefused:
        return None
