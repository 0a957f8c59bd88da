"""The settings page of AI providers. Reads only: the API writes."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from agents.catalog import load_catalog
from agents.core.options import DECOPILOT
from agents.core.providers import names
from agents.core.tiers import Tier
from agents.keys import selectors
from agents.keys.presentation import default_shown, key_shown, models_of, provider_shown
from agents.keys.providers import load_providers
from agents.models import DefaultModel
from mesh.models import Role, User
from mesh.selectors import NotFound, get_membership


@require_GET
@login_required
@never_cache
def ai_providers(request: HttpRequest, org: str) -> HttpResponse:
    """Keys and default models; with ``fragment`` only what a change of them may alter."""
    assert isinstance(request.user, User)  # login_required lets nobody else in
    try:
        member = get_membership(viewer=request.user, slug=org)
    except NotFound as exc:
        raise Http404 from exc
    keys = [key_shown(key) for key in selectors.list_keys(member.organization)]
    slots = selectors.list_defaults(member.organization)
    decopilot = load_catalog().find(DECOPILOT)
    assert decopilot is not None
    context: dict[str, Any] = {
        "organization": member.organization,
        "manages": Role(member.role).manages,
        "keys": keys,
        "providers": [provider_shown(each) for each in load_providers()],
        "tiers": [_tier(tier, slots.get(tier.key)) for tier in decopilot.tiers],
        "page_name": "settings_ai_providers",
    }
    is_part = "fragment" in request.GET
    name = "_partials/ai_providers.html" if is_part else "settings/ai_providers.html"
    return render(request, name, context)


def _tier(row: Tier, slot: DefaultModel | None) -> dict[str, Any]:
    """Return one row of the default models; ``unlisted``: its provider no longer names it."""
    choices = models_of(slot.key) if slot else []
    return {
        "row": row,
        "slot": default_shown(row.key, slot),
        "is_choice": slot is not None and slot.model_id in choices,
        "unlisted": slot is not None and not names(choices, slot.model_id),
    }
