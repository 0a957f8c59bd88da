"""The pages of an organization's people: plain forms and redirects.

Who leaves or is removed is in ``threads``, which knows what becomes of their chats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from allauth.core.internal import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from mesh import services
from mesh.invitations import join_address, list_open, make_invitation, revoke_invitation
from mesh.lib.errors import AppError
from mesh.lib.roles import Permission, may, may_give
from mesh.models import Membership, Role, User
from mesh.pairing.metadata import issuer
from mesh.selectors import NotFound, get_membership, list_members, roles_to_give
from mesh.team.forms import InviteForm


@require_GET
@login_required
@never_cache
def members(request: HttpRequest, org: str) -> HttpResponse:
    """Everybody in the organization, and the open invitations for those who may invite."""
    return _page(request, get_member(request, org))


@require_POST
@login_required
@never_cache
def invite(request: HttpRequest, org: str) -> HttpResponseBase:
    """Make an invitation, and show its link this once."""
    member = _inviting(request, org)
    form = InviteForm(request.POST, roles=roles_to_give(member))
    if not form.is_valid():
        return _page(request, member, form=form)
    if settings.MESH_EMBEDDED:
        messages.error(request, "This Mesh serves one person. Invite people to a team server.")
        return redirect("settings_members", org)
    limit = {"app": "mesh", "action": "invite", "config": {"invite": "60/h/user"}}
    if refusal := ratelimit.consume_or_429(request, **limit):
        too_many: HttpResponseBase = refusal
        return too_many
    try:
        text = make_invitation(
            organization=member.organization,
            role=Role(form.cleaned_data["role"]),
            made_by=viewer_of(request),
            max_uses=form.max_uses(),
            life=form.life(),
        )
    except AppError as refused:
        return refuse(request, org, refused)
    return _page(request, member, link=join_address(issuer(request), text))


@require_POST
@login_required
def revoke(request: HttpRequest, org: str, invitation_id: UUID) -> HttpResponseBase:
    """Revoke an invitation: its link works no more. Who has joined by it stays."""
    member = _inviting(request, org)
    try:
        if not revoke_invitation(member=member, invitation_id=invitation_id):
            raise Http404
    except AppError as refused:
        return refuse(request, org, refused)
    messages.success(request, "The invitation was revoked. Who has joined by it stays a member.")
    return redirect("settings_members", org)


@require_POST
@login_required
def change_role(request: HttpRequest, org: str, member_id: int) -> HttpResponseBase:
    """Give a member another role."""
    member, given = _inviting(request, org), request.POST.get("role", "")

    def change() -> str:
        if given not in Role.values:
            raise UnknownRole
        changed = services.change_role(
            actor=viewer_of(request),
            organization=member.organization,
            member_id=member_id,
            role=Role(given),
        )
        return f"{changed.user} is now {in_words(Role(given))}."

    return _done(request, org, change)


@require_POST
@login_required
def hand_over(request: HttpRequest, org: str, member_id: int) -> HttpResponseBase:
    """Make a member the owner in the viewer's place."""
    member = get_member(request, org)
    if not may(member.role, Permission.OWN):
        raise PermissionDenied

    def change() -> str:
        changed = services.hand_over(
            actor=viewer_of(request), organization=member.organization, member_id=member_id
        )
        return f"{changed.user} is an owner now, and you are an admin."

    return _done(request, org, change)


class UnknownRole(AppError):
    code = "unknown_role"
    text = "There is no such role."
    hint = "Choose one of the list."


def refuse(request: HttpRequest, org: str, refused: AppError) -> HttpResponseBase:
    """Say on the members' page why something was refused."""
    messages.error(request, f"{refused} {refused.hint}")
    return redirect("settings_members", org)


def viewer_of(request: HttpRequest) -> User:
    """Return the signed-in person, in views that let nobody else in."""
    assert isinstance(request.user, User)
    return request.user


def get_member(request: HttpRequest, org: str) -> Membership:
    """Return the viewer's membership; for strangers the page does not exist."""
    try:
        return get_membership(viewer=viewer_of(request), slug=org)
    except NotFound as exc:
        raise Http404 from exc


def in_words(role: Role) -> str:
    """Return a role with its article."""
    return f"{'an' if role.label[0] in 'AO' else 'a'} {role.label.lower()}"


def _inviting(request: HttpRequest, org: str) -> Membership:
    member = get_member(request, org)
    if not may(member.role, Permission.PEOPLE):
        raise PermissionDenied
    return member


def _done(request: HttpRequest, org: str, change: Callable[[], str]) -> HttpResponseBase:
    """Change something, and say on the members' page what was changed or why it was not."""
    try:
        messages.success(request, change())
    except NotFound as exc:
        raise Http404 from exc
    except AppError as refused:
        return refuse(request, org, refused)
    return redirect("settings_members", org)


def _page(
    request: HttpRequest, member: Membership, *, form: InviteForm | None = None, link: str = ""
) -> HttpResponse:
    may_invite = may(member.role, Permission.PEOPLE)
    status = 400 if form is not None and form.errors else 200
    now = timezone.now()
    opened = list_open(organization=member.organization, now=now) if may_invite else []
    context: dict[str, Any] = {
        "organization": member.organization,
        "members": list_members(viewer=member),
        "owns": may(member.role, Permission.OWN),
        "may_invite": may_invite,
        "is_embedded": settings.MESH_EMBEDDED,
        "invitations": [
            {
                "row": row,
                "role": Role(row.role),
                "left": None if row.max_uses is None else row.max_uses - row.uses,
                "is_mine": may_give(member.role, row.role),
            }
            for row in opened
        ],
        "form": form or (InviteForm(roles=roles_to_give(member)) if may_invite else None),
        "link": link,
        "page_name": "settings_members",
    }
    return render(request, "settings/members.html", context, status=status)
