"""Removing a member from the members' page, and leaving: both decide about the chats as well."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from mesh.lib.errors import AppError
from mesh.lib.roles import Permission, may
from mesh.selectors import NotFound
from mesh.team.views import get_member, refuse, viewer_of
from threads import services
from threads.services import Chats


@require_POST
@login_required
def remove(request: HttpRequest, org: str, member_id: int) -> HttpResponseBase:
    """Remove another member."""
    member = get_member(request, org)
    if not may(member.role, Permission.PEOPLE):
        raise PermissionDenied
    try:
        if member_id == member.pk:
            raise OwnMembership
        person = services.remove_member(
            actor=viewer_of(request),
            organization=member.organization,
            member_id=member_id,
            chats=_chats(request),
        )
    except NotFound as exc:
        raise Http404 from exc
    except AppError as refused:
        return refuse(request, org, refused)
    messages.success(request, f"{person} was removed. What they had open ends within seconds.")
    return redirect("settings_members", org)


@require_POST
@login_required
def leave(request: HttpRequest, org: str) -> HttpResponseBase:
    """Leave the organization."""
    member = get_member(request, org)
    try:
        services.remove_member(
            actor=viewer_of(request),
            organization=member.organization,
            member_id=member.pk,
            chats=_chats(request),
        )
    except NotFound as exc:
        raise Http404 from exc
    except AppError as refused:
        return refuse(request, org, refused)
    return redirect("start")


class OwnMembership(AppError):
    code = "own_membership"
    text = "This is you."
    hint = "Use Leave instead."


def _chats(request: HttpRequest) -> Chats:
    try:
        return Chats(request.POST.get("chats", ""))
    except ValueError as exc:
        raise services.UnknownChoice from exc
