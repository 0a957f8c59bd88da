"""The page on which a person sees their machines, checks one, and signs one out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from links import calls, selectors, services
from links.dist.offer import offer_of
from links.models import Link
from mesh.models import User
from mesh.pairing.metadata import issuer


@require_GET
@login_required
@never_cache
def machines(request: HttpRequest) -> HttpResponse:
    """Show the viewer's machines, and how to link another one."""
    return render(request, "links/machines.html", _context(request))


@require_GET
@login_required
@never_cache
def machine_list(request: HttpRequest) -> HttpResponse:
    """Render the part of an open page that depends on machines."""
    return render(request, "_partials/machine_list.html", _context(request))


@require_POST
@login_required
def check(request: HttpRequest, link_id: UUID) -> HttpResponseBase:
    """Check now whether the machine answers; takes 3 s at most."""
    link = _own(request, link_id)
    seconds = calls.probe(link.pk)
    if seconds is None:
        messages.warning(request, f"{link} did not answer.")
    else:
        messages.success(request, f"{link} answered in {max(1, round(seconds * 1000))} ms.")
    return redirect("machines")


@require_POST
@login_required
def sign_out(request: HttpRequest, link_id: UUID) -> HttpResponseBase:
    """Sign the machine out: it is disconnected within seconds, until it is linked again."""
    link = _own(request, link_id)
    services.revoke(link=link)
    messages.success(request, f"{link} was signed out.")
    return redirect("machines")


def _viewer(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # login_required refuses anybody else
    return request.user


def _context(request: HttpRequest) -> dict[str, Any]:
    return {
        "links": selectors.list_links(viewer=_viewer(request)),
        "offer": offer_of(issuer(request)),
    }


def _own(request: HttpRequest, link_id: UUID) -> Link:
    link = selectors.find_row(viewer=_viewer(request), link_id=link_id)
    if link is None:
        raise Http404
    return link
