"""Pages and responses that belong to no app."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import perform_login
from allauth.account.models import Login
from allauth.account.views import signup
from allauth.core.internal import ratelimit
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.views import defaults
from django.views.csrf import csrf_failure
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

from mesh import invitations, sign_in_link
from mesh.accounts import owners
from mesh.api import StalePage, answer_server_error
from mesh.database_errors import AnyDatabaseError, unavailable_now
from mesh.lib.errors import error_body
from mesh.models import Role, User


@require_GET
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Say whether this process and its database work: 200, or 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        database = "ok"
    except AnyDatabaseError:
        database = "unreachable"
    ok = database == "ok"
    return JsonResponse(
        {
            "status": "ok" if ok else "error",
            "version": settings.MESH_VERSION,
            "database": database,
        },
        status=200 if ok else 503,
    )


@require_GET
@never_cache
def enter(request: HttpRequest) -> HttpResponseBase:
    """Sign the owner in with the address that ``make run`` printed; it works once.

    It goes through allauth like any sign-in, which asks for a second factor if one is set up.
    """
    user = sign_in_link.redeem(request.GET.get("ticket", "")) if settings.MESH_EMBEDDED else None
    if user is not None:
        answer: HttpResponseBase = perform_login(request, Login(user=user, redirect_url="/"))
        return answer
    if request.user.is_authenticated:
        return redirect("/")
    # After the look-up: any web page may send wrong tickets, and must not lock the owner out.
    limit = {"app": "mesh", "action": "enter", "config": {"enter": "10/m/ip"}, "limit_get": True}
    if refusal := ratelimit.consume_or_429(request, **limit):
        too_many: HttpResponseBase = refusal
        return too_many
    return render(request, "enter_refused.html", status=403)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest) -> HttpResponseBase:
    """Open an invitation: a signed-in person may accept it, others make an account first.

    A redirect removes it from the address. Opening it does not use it up: chat programs open
    links, too.
    """
    try:
        if text := request.GET.get("invitation"):
            opened = invitations.read_invitation(text)
            request.session[invitations.IN_SESSION] = str(opened.pk)
            return redirect("join")
        named = request.session.get(invitations.IN_SESSION, "")
        invitation = invitations.get_invitation(str(named))
        if request.method == "POST" and isinstance(request.user, User):
            organization = invitations.join(user=request.user, invitation=invitation)
            del request.session[invitations.IN_SESSION]
            return redirect("home", org=organization.slug)
    except invitations.InvitationRefused as exc:
        limit = {"app": "mesh", "action": "join", "config": {"join": "30/m/ip"}, "limit_get": True}
        if refusal := ratelimit.consume_or_429(request, **limit):
            too_many: HttpResponseBase = refusal
            return too_many
        return render(request, "join_refused.html", {"error": exc}, status=exc.status)
    context = {"organization": invitation.organization, "role": Role(invitation.role)}
    return render(request, "join.html", context)


@never_cache
def sign_up(request: HttpRequest) -> HttpResponseBase:
    """Let people sign up if the operator allows it or an invitation does; else say what to do."""
    if not get_adapter(request).is_open_for_signup(request):
        context = {"has_owner": owners().exists()}
        return render(request, "account/signup_closed.html", context, status=403)
    answer: HttpResponseBase = signup(request)
    return answer


def no_mail(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Say that Mesh sends no mail; replaces the pages of allauth that promise one."""
    return render(request, "account/no_mail.html")


class SchemaView(SpectacularAPIView):  # type: ignore[misc]  # it has no types
    """The API as OpenAPI; always the one version, even if a query asks for another."""

    def _get_version_parameter(self, request: Request) -> None:
        # It would become part of the file's name, which is sent in a header.
        return None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer programs in JSON; people get Django's own line, which needs no template."""
    if request.path.startswith("/api/"):
        body = error_body("bad_request", "The request is malformed.", "Check host and headers.")
        return JsonResponse(body, status=400)
    return defaults.bad_request(request, exception)


def forged(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """Answer a request without a good CSRF token: programs in JSON, people with Django's page."""
    if request.path.startswith("/api/"):
        return JsonResponse(StalePage().body(), status=StalePage.status)
    return csrf_failure(request, reason)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer programs in JSON and people with a page."""
    if request.path.startswith("/api/"):
        return JsonResponse(
            error_body("not_found", "There is nothing here.", "See /api/schema/."), status=404
        )
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what no view has caught, and Django logs: JSON for programs, a page for people."""
    if request.path.startswith("/api/"):
        return answer_server_error(request)
    if away := unavailable_now():
        page = render(request, "503.html", {"error": away}, status=away.status)
        for name, value in away.headers().items():
            page[name] = value
        return page
    return render(request, "500.html", status=500)
