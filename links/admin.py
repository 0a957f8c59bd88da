"""Machines in Django's admin: read-only, with actions to disconnect or revoke; no secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from links import services
from links.core.presence import SENTENCES
from links.models import Link
from links.selectors import view_of

# The fields to show: never the secret, its hash or addresses.
_SHOWN = (
    "user",
    "hostname",
    "machine_id",
    "state",
    "cause_in_words",
    "cli_version",
    "protocol_version",
    "capabilities",
    "harnesses",
    "node",
    "clock_ahead",
    "seen_at",
    "created_at",
    "revoked_at",
)


@admin.register(Link)
class LinkAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the checker only
    """A read-only list with actions: only the machine itself changes its fields."""

    list_display = ("__str__", "user", "state", "cause", "cli_version", "can", "seen_at")
    list_filter = ("cause", "cli_version")
    list_select_related = ("user",)
    search_fields = ("hostname", "machine_id", "user__username", "user__email")
    ordering = ("-seen_at",)
    fields = readonly_fields = _SHOWN
    actions = ("disconnect", "rotate", "revoke")

    @admin.display(description="state")
    def state(self, link: Link) -> str:
        return view_of(link).state

    @admin.display(description="cause")
    def cause(self, link: Link) -> str:
        return view_of(link).cause

    @admin.display(description="cause")
    def cause_in_words(self, link: Link) -> str:
        return SENTENCES.get(view_of(link).cause, "–")

    @admin.display(description="capabilities")
    def can(self, link: Link) -> str:
        return ", ".join(view_of(link).capabilities)

    @admin.action(description="Disconnect: it reconnects automatically", permissions=["change"])
    def disconnect(self, request: HttpRequest, links: QuerySet[Link]) -> None:
        self._apply(request, links, services.disconnect, "disconnected")

    @admin.action(description="Rotate the secret: it registers again", permissions=["change"])
    def rotate(self, request: HttpRequest, links: QuerySet[Link]) -> None:
        self._apply(request, links, services.rotate, "given a new secret")

    @admin.action(description="Revoke: it must be paired again", permissions=["change"])
    def revoke(self, request: HttpRequest, links: QuerySet[Link]) -> None:
        self._apply(request, links, services.revoke, "signed out")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # only a machine can register itself

    def has_change_permission(self, request: HttpRequest, obj: Link | None = None) -> bool:
        # Allows the list's actions, but not editing a machine's fields.
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # threads are pinned to it; revoke it instead

    def _apply(
        self,
        request: HttpRequest,
        links: QuerySet[Link],
        action: Callable[..., None],
        done: str,
    ) -> None:
        count = 0
        for link in links.select_related("user"):
            action(link=link)
            self.log_change(request, link, f"{done.capitalize()}.")
            count += 1
        machines = "machine was" if count == 1 else "machines were"
        self.message_user(request, f"{count} {machines} {done}.", messages.SUCCESS)
