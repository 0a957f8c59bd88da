"""The page on which a person makes another organization."""

from __future__ import annotations

from allauth.core.internal import ratelimit
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from mesh import services
from mesh.lib.errors import AppError
from mesh.team.forms import OrganizationForm
from mesh.team.views import viewer_of


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def new_organization(request: HttpRequest) -> HttpResponseBase:
    """Make an organization, of which the viewer is the owner."""
    viewer = viewer_of(request)
    if not services.may_found(viewer):
        refusal_shown = {"form": None, "error": services.MayNotFound()}
        return render(request, "new_organization.html", refusal_shown, status=403)
    form = OrganizationForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        limit = {"app": "mesh", "action": "found", "config": {"found": "30/h/user"}}
        if refusal := ratelimit.consume_or_429(request, **limit):
            too_many: HttpResponseBase = refusal
            return too_many
        try:
            made = services.found_organization(owner=viewer, **form.cleaned_data)
        except AppError as refused:
            form.add_error("slug", f"{refused} {refused.hint}")
        else:
            return redirect("settings_members", made.slug)
    status = 400 if form.errors else 200
    return render(request, "new_organization.html", {"form": form}, status=status)
