"""The page of a person's own tokens: what they are for, made and revoked there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from allauth.core.internal import ratelimit
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from links import services
from links.errors import TokenUnknown
from links.forms import TokenForm
from mesh.models import User
from mesh.selectors import list_tokens
from mesh.services import MOST_TOKENS, make_token


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def tokens(request: HttpRequest) -> HttpResponseBase:
    """The viewer's tokens; a new one is made by a POST, whose answer alone has its value."""
    if request.method != "POST":
        return _page(request, TokenForm())
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    limit = {"app": "mesh", "action": "token", "config": {"token": "60/h/user"}}
    if refusal := ratelimit.consume_or_429(request, **limit):
        too_many: HttpResponseBase = refusal
        return too_many
    if len(list_tokens(viewer=_viewer(request))) >= MOST_TOKENS:
        form.add_error(None, f"You have {MOST_TOKENS} tokens already. Revoke some first.")
        return _page(request, form)
    value = make_token(
        user=_viewer(request),
        name=form.cleaned_data["name"],
        scope=form.token_scope(),
        life=form.life(),
    )
    return _page(request, TokenForm(), value=value)


@require_POST
@login_required
def revoke_token(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Revoke a token: the machines that use it are disconnected within seconds."""
    try:
        services.revoke_token(viewer=_viewer(request), token_id=token_id)
    except TokenUnknown as exc:
        raise Http404 from exc
    messages.success(request, "The token was revoked.")
    return redirect("own_tokens")


def _page(request: HttpRequest, form: TokenForm, *, value: str = "") -> HttpResponse:
    context: dict[str, Any] = {
        "tokens": list_tokens(viewer=_viewer(request)),
        "form": form,
        "value": value,
    }
    return render(request, "links/tokens.html", context, status=400 if form.errors else 200)


def _viewer(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # login_required refuses anybody else
    return request.user
