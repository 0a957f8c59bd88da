"""Reading organizations; every look-up takes the viewer."""

from __future__ import annotations

from mesh.lib.errors import AppError
from mesh.models import Membership, Organization, Role, User


class NotFound(AppError):
    """No such thing, or none that the viewer may know of: the two look the same."""

    code = "not_found"
    text = "There is no such thing here."
    hint = "Check the address, and that you are signed in as the right person."
    status = 404


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


class NotAllowed(AppError):
    """The viewer may see this, and not change it."""

    code = "forbidden"
    text = "Only owners and admins of the organization may do this."
    hint = "Ask one of them."
    status = 403


def get_managing_membership(*, viewer: User, slug: str) -> Membership:
    """Return the viewer's membership, for what owners and admins alone may do.

    Raises:
        NotFound: as ``get_membership``.
        NotAllowed: the viewer is a plain member.
    """
    membership = get_membership(viewer=viewer, slug=slug)
    if not Role(membership.role).manages:
        raise NotAllowed
    return membership


def list_organizations(*, viewer: User) -> list[Organization]:
    """Return the viewer's organizations, the oldest membership first."""
    return list(
        Organization.objects.filter(memberships__user=viewer).order_by("memberships__created_at")
    )
