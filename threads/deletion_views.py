"""The page of deleted chats, from which each can be restored for a while."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from mesh.models import Organization, User
from mesh.selectors import NotFound, get_membership
from threads import selectors, services
from threads.errors import ThreadPurged
from threads.services.deletion import keep_deleted


@require_GET
@login_required
@never_cache
def deleted(request: HttpRequest, org: str) -> HttpResponse:
    """The deleted chats that can still be restored."""
    viewer, organization = _place(request, org)
    keep = keep_deleted()
    found = selectors.list_deleted(
        viewer=viewer, organization=organization, since=timezone.now() - keep
    )
    context = {
        "organization": organization,
        "chats": [
            {"id": thread.pk, "title": str(thread), "removed_at": thread.deleted_at + keep}
            for thread in found
            if thread.deleted_at is not None
        ],
        "days": settings.MESH_KEEP_DELETED_DAYS,
        "page_name": "settings_deleted",
    }
    return render(request, "settings/deleted.html", context)


@require_POST
@login_required
def restore(request: HttpRequest, org: str, thread_id: UUID) -> HttpResponse:
    """Restore a chat, and open it."""
    viewer, organization = _place(request, org)
    try:
        services.restore_thread(owner=viewer, organization=organization, thread_id=thread_id)
    except NotFound as exc:
        raise Http404 from exc
    except ThreadPurged as exc:
        messages.error(request, str(exc))
        return redirect("settings_deleted", org)
    return redirect("chat", org, thread_id)


def _place(request: HttpRequest, org: str) -> tuple[User, Organization]:
    assert isinstance(request.user, User)  # login_required lets nobody else in
    try:
        return request.user, get_membership(viewer=request.user, slug=org).organization
    except NotFound as exc:
        raise Http404 from exc
