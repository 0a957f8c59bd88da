"""Who is in an organization, and as what.

Everything here holds the organization's lock while it checks and changes, so that of two people who
change each other's role at the same time the second is judged by the role that they have by then.
"""

from __future__ import annotations

from django.db import transaction

from mesh.invitations import RoleAboveOwn, lock_organization, revoke_invitations_of
from mesh.lib.errors import AppError, NotFound
from mesh.lib.roles import Permission, may, may_give
from mesh.models import Membership, Organization, Role, User


class LastOwner(AppError):
    code = "last_owner"
    text = "An organization needs an owner, and this is the only one."
    hint = "Make somebody else an owner first."
    status = 409


class OwnsAlready(AppError):
    code = "owns_already"
    text = "This member is an owner already."
    hint = "Choose another member."
    status = 409


class MemberInactive(AppError):
    code = "member_inactive"
    text = "This account is deactivated."
    hint = "Choose a member who can sign in."
    status = 409


def change_role(
    *, actor: User, organization: Organization, member_id: int, role: Role
) -> Membership:
    """Give a member another role, and return the membership. Safe to repeat.

    What the member invited to and may no longer give is revoked.

    Raises:
        NotFound: the actor or the member is not in the organization.
        RoleAboveOwn: the actor may not give that role, or change somebody with the present one.
        LastOwner: there would be no owner left.
    """
    with transaction.atomic():
        acting, subject = _both(actor, organization, member_id)
        if not may_give(acting.role, subject.role) or not may_give(acting.role, role.value):
            raise RoleAboveOwn
        if subject.role != role:
            _refuse_last_owner(subject)
            _set_role(subject, role)
    return subject


def hand_over(*, actor: User, organization: Organization, member_id: int) -> Membership:
    """Make a member an owner and the actor, who is one, an admin; return the member's membership.

    Raises:
        NotFound: the actor or the member is not in the organization.
        RoleAboveOwn: the actor is no owner.
        OwnsAlready, MemberInactive: the member can't take it.
    """
    with transaction.atomic():
        acting, subject = _both(actor, organization, member_id)
        if not may(acting.role, Permission.OWN):
            raise RoleAboveOwn
        if subject.role == Role.OWNER:
            raise OwnsAlready
        if not subject.user.is_active:
            raise MemberInactive
        _set_role(subject, Role.OWNER)
        _set_role(acting, Role.ADMIN)
    return subject


def end_membership(*, actor: User, organization: Organization, member_id: int) -> User:
    """Remove a member, who may be the actor, and return the person.

    Their open connections, runs and sandboxes end within seconds; their invitations are revoked.
    Call it through ``threads.services``, which decides about their chats in the same transaction.

    Raises:
        NotFound: the actor or the member is not in the organization.
        RoleAboveOwn: the actor may not remove a member with that role.
        LastOwner: there would be no owner left.
    """
    with transaction.atomic():
        acting, subject = _both(actor, organization, member_id)
        is_own = acting.pk == subject.pk
        if not is_own and not may_give(acting.role, subject.role):
            raise RoleAboveOwn
        _refuse_last_owner(subject)
        subject.delete()
        subject.role = ""
        revoke_invitations_of(subject)
    return subject.user


def _both(actor: User, organization: Organization, member_id: int) -> tuple[Membership, Membership]:
    """Lock the organization; return the memberships of the actor and of the member."""
    lock_organization(organization)
    members = Membership.objects.filter(organization=organization).select_related("user")
    acting, subject = members.filter(user=actor).first(), members.filter(pk=member_id).first()
    if acting is None or subject is None:
        raise NotFound
    return acting, acting if acting.pk == subject.pk else subject


def _refuse_last_owner(subject: Membership) -> None:
    """Refuse a change that takes the organization its last owner who can sign in."""
    if subject.role != Role.OWNER:
        return
    owners = Membership.objects.filter(organization=subject.organization_id, role=Role.OWNER)
    if not owners.filter(user__is_active=True).exclude(pk=subject.pk).exists():
        raise LastOwner


def _set_role(member: Membership, role: Role) -> None:
    member.role = role.value
    member.save(update_fields=["role"])
    revoke_invitations_of(member)
