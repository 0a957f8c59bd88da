"""What the admin shows of the models of others: who and when, never a secret.

Their own pages show, and let staff type, second factors, hashes of tokens and their data.
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
    """Nothing can be added or typed: what stands here is looked at, or ended."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AuthenticatorAdmin(ToDelete):
    """Whose second factor; to delete it lets who has lost it set up another."""

    list_display = fields = readonly_fields = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email")
    ordering = ("-created_at",)


class TokenAdmin(ToDelete):
    """Whose token; to delete it ends what it opens."""

    list_display = fields = readonly_fields = ("user", "client", "type", "created_at", "expires_at")
    list_filter = ("type",)
    list_select_related = ("user", "client")
    search_fields = ("user__username", "user__email")
    ordering = ("-created_at",)


# With None, there is no page of it: clients are made by us alone, and mails are never sent.
PAGES: Final[dict[type[Model], type[ToDelete] | None]] = {
    Authenticator: AuthenticatorAdmin,
    Token: TokenAdmin,
    Client: None,
    EmailConfirmation: None,
}


def replace_pages(site: admin.AdminSite) -> None:
    """Put our pages in the place of theirs; called once they are all registered."""
    for model, page in PAGES.items():
        if site.is_registered(model):
            site.unregister(model)
        if page is not None:
            site.register(model, page)
