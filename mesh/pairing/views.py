"""The page where a person answers a pairing request, and the three addresses for machines."""

from __future__ import annotations

from datetime import timedelta

from allauth.idp.oidc.internal.oauthlib.server import get_device_server
from allauth.idp.oidc.internal.oauthlib.utils import convert_response, extract_params
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST
from oauthlib.oauth2.rfc6749.errors import OAuth2Error, UnsupportedGrantTypeError

from mesh.client_address import address_of
from mesh.lib import oauth
from mesh.lib.errors import AppError
from mesh.models import Pairing, PairingState, User
from mesh.pairing import services
from mesh.pairing.errors import TooManyAsks
from mesh.pairing.facts import Facts
from mesh.pairing.guard import guarded
from mesh.pairing.server import make_server

RETRY_AFTER = "600"
CODE_FORM = "idp/oidc/device_authorization_code_form.html"
PAGES = {
    PairingState.ASKED: "idp/oidc/device_authorization_confirm_form.html",
    PairingState.APPROVED: "idp/oidc/device_authorization_confirmed.html",
    PairingState.PAIRED: "idp/oidc/device_authorization_confirmed.html",
    PairingState.DENIED: "idp/oidc/device_authorization_denied.html",
}


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def device(request: HttpRequest) -> HttpResponse:
    """Ask for the code, show which machine asks, and take the person's answer.

    Not allauth's own view, which takes the answer without Django's CSRF check.
    """
    assert isinstance(request.user, User)
    code = (request.POST.get("code") or request.GET.get("code") or "").strip()[:40]
    if not code:
        return render(request, CODE_FORM)
    try:
        with guarded(user=request.user, address=address_of(request)):
            pairing = services.get_asked(viewer=request.user, user_code=code)
        if pairing.state == PairingState.ASKED and request.method == "POST":
            _answer(request.user, pairing, request.POST.get("action", ""))
    except AppError as exc:
        return render(request, CODE_FORM, {"error": exc, "code": code}, status=exc.status)
    context = {"pairing": pairing, "code": code, "ago": ago(pairing)}
    return render(request, PAGES[PairingState(pairing.state)], context)


def ago(pairing: Pairing) -> str:
    """Return how long ago the machine asked, in words."""
    now = timezone.now()
    if now - pairing.created_at < timedelta(minutes=1):
        return "just now"
    return f"{timesince(pairing.created_at, now)} ago"


def _answer(user: User, pairing: Pairing, action: str) -> None:
    # Any other action comes from the code form, which only looks up the request.
    if action in {"approve", "deny"}:
        services.answer(user=user, pairing=pairing, approve=action == "approve")


@csrf_exempt  # machines have no cookies, and this acts in nobody's name
@never_cache
@require_POST
def device_code(request: HttpRequest) -> HttpResponse:
    """A machine asks for a code (RFC 8628, section 3.1)."""
    services.ensure_client()
    address = address_of(request)
    try:
        services.check_rate(address=address)
        server = get_device_server()
        _, codes, _ = server.create_device_authorization_response(*extract_params(request))
    except TooManyAsks as exc:
        return _unavailable(str(exc))
    except OAuth2Error as exc:
        return _refusal(exc)
    services.ask(
        device_code=codes["device_code"],
        user_code=codes["user_code"],
        life=codes["expires_in"],
        facts=Facts.parse(request.POST),
        address=address,
    )
    return JsonResponse(codes)


@csrf_exempt  # machines have no cookies: the code or the token is the proof
@never_cache
@require_POST
@transaction.atomic
def token(request: HttpRequest) -> HttpResponse:
    """A machine collects its first tokens, or renews them (RFC 8628, 3.4; RFC 6749, 6)."""
    if request.POST.get("grant_type") not in (oauth.DEVICE_GRANT, oauth.REFRESH_GRANT):
        return _refusal(UnsupportedGrantTypeError())
    try:
        answer = make_server().create_token_response(*extract_params(request))
    except OAuth2Error as exc:
        return _refusal(exc)
    return _quiet(convert_response(*answer))


@csrf_exempt
@never_cache
@require_POST
@transaction.atomic
def revoke(request: HttpRequest) -> HttpResponse:
    """A machine signs out (RFC 7009)."""
    return _quiet(
        convert_response(*make_server().create_revocation_response(*extract_params(request)))
    )


def _refusal(exc: OAuth2Error) -> HttpResponse:
    return _quiet(JsonResponse(dict(exc.twotuples), status=exc.status_code))


def _quiet(response: HttpResponse) -> HttpResponse:
    # Django logs each 4xx, and a machine that waits for its person gets a 400 every two seconds.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _unavailable(why: str) -> JsonResponse:
    body = {"error": "temporarily_unavailable", "error_description": why}
    return JsonResponse(body, status=429, headers={"Retry-After": RETRY_AFTER})
