"""Django's admin behind Mesh's own sign-in, with its rate limits and its second factor."""

from __future__ import annotations

from functools import update_wrapper
from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.utils import get_next_redirect_url
from allauth.core.internal.httpkit import add_query_params
from django.contrib import admin, messages
from django.core.exceptions import BadRequest, FieldDoesNotExist
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from mesh import second_factor


class AdminSite(admin.AdminSite):
    """Never asks for a password itself, neither to sign in nor to change one."""

    site_header = site_title = "Mesh"

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and not second_factor.is_missing(request)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Guard ``view`` as Django does, and refuse a query that names an unknown field."""

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            try:
                return view(request, *args, **kwargs)
            except FieldDoesNotExist as exc:
                raise BadRequest("There is no such field.") from exc

        return super().admin_view(update_wrapper(guarded, view), cacheable)

    @method_decorator(never_cache)
    @method_decorator(secure_admin_login)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send people to Mesh's sign-in, or to the second factor that is still missing."""
        back = get_next_redirect_url(request) or reverse("admin:index")
        if not second_factor.is_missing(request):
            return HttpResponseRedirect(back)
        if second_factor.has_second_factor(request.user):
            return redirect(add_query_params(reverse("mfa_reauthenticate"), {"next": back}))
        messages.warning(
            request,
            "The admin pages need a second factor. Set it up here, then open them again.",
        )
        return redirect("mfa_activate_totp")

    def password_change(  # type: ignore[override]  # no page of its own, so no TemplateResponse
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send people to Mesh's own page, which limits how often an old password is tried."""
        return redirect("account_change_password")
