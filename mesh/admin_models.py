"""The admin's pages for third-party models: who and when, never a secret.

The packages' own pages show second factors, hashes of tokens and their data, and let staff edit
them.
"""

from __future__ import annotations

from typing import Any, Final

from allauth.account.models import EmailConfirmation
from allauth.idp.oidc.models import Client, Token
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest


class ToDelete(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the checker only
    """Read-only: rows can be viewed and deleted, but not added or changed."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AuthenticatorAdmin(ToDelete):
    """Second factors by person; deleting one lets a person who has lost it set up another."""

    list_display = fields = readonly_fields = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email")
    ordering = ("-created_at",)


class TokenAdmin(ToDelete):
    """Tokens by person; deleting one revokes it."""

    list_display = fields = readonly_fields = ("user", "client", "type", "created_at", "expires_at")
    list_filter = ("type",)
    list_select_related = ("user", "client")
    search_fields = ("user__username", "user__email")
    ordering = ("-created_at",)


# None: no page. Only Mesh itself makes clients, and it never sends mail.
PAGES: Final[dict[type[Model], type[ToDelete] | None]] = {
    Authenticator: AuthenticatorAdmin,
    Token: TokenAdmin,
    Client: None,
    EmailConfirmation: None,
}


def replace_pages(site: admin.AdminSite) -> None:
    """Replace the packages' pages with ours; call it once they are all registered."""
    for model, page in PAGES.items():
        if site.is_registered(model):
            site.unregister(model)
        if page is not None:
            site.register(model, page)
