"""People, organizations, memberships and invitations in Django's admin: to look at, not to edit.

Members are changed on the organization's own page, which keeps its rules. Nothing here deletes a
person or an organization.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from mesh.models import Invitation, Membership, Organization, User


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the checker only
    """Rows can be viewed, but not added, changed or deleted."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Actionable(ReadOnly):
    """Read-only rows with actions in the list, for who has the change permission."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Allows the list's actions, but not editing a row.
        return obj is None and admin.ModelAdmin.has_change_permission(self, request)


@admin.register(User)
class UserAdmin(ReadOnly):
    """People, and whether they can sign in."""

    list_display = ("username", "email", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("username", "email", "first_name", "last_name")
    ordering = ("username",)
    fields = readonly_fields = (
        "username",
        "email",
        "first_name",
        "last_name",
        "is_active",
        "is_staff",
        "is_superuser",
        "date_joined",
        "last_login",
    )


@admin.register(Organization)
class OrganizationAdmin(ReadOnly):
    """Organizations, and how many people are in each."""

    list_display = ("name", "slug", "people", "created_at")
    search_fields = ("name", "slug")
    ordering = ("slug",)
    fields = readonly_fields = ("name", "slug", "people", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        found: QuerySet[Organization] = super().get_queryset(request)
        return found.annotate(member_count=Count("memberships"))

    @admin.display(description="members", ordering="member_count")
    def people(self, organization: Any) -> int:
        count: int = organization.member_count
        return count


@admin.register(Membership)
class MembershipAdmin(ReadOnly):
    """Who is in which organization, as what."""

    list_display = fields = readonly_fields = ("user", "organization", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "organization")
    search_fields = ("user__username", "user__email", "organization__slug", "organization__name")
    ordering = ("-created_at", "-pk")


@admin.register(Invitation)
class InvitationAdmin(Actionable):
    """Invitations without their links; a link can't be shown again anyway."""

    list_display = ("organization", "role", "made_by", "uses", "max_uses", "expires_at", "ended")
    list_filter = ("role",)
    list_select_related = ("organization", "made_by")
    search_fields = ("organization__slug", "made_by__username", "made_by__email")
    ordering = ("-created_at", "-pk")
    fields = readonly_fields = (
        "organization",
        "role",
        "made_by",
        "uses",
        "max_uses",
        "created_at",
        "expires_at",
        "revoked_at",
    )
    actions = ("revoke",)

    @admin.display(description="revoked", boolean=True)
    def ended(self, invitation: Invitation) -> bool:
        return invitation.revoked_at is not None

    @admin.action(description="Revoke: the link works no more", permissions=["change"])
    def revoke(self, request: HttpRequest, rows: QuerySet[Invitation]) -> None:
        ids = list(rows.values_list("pk", flat=True))
        open_ones = Invitation.objects.filter(pk__in=ids, revoked_at=None)
        count = open_ones.update(revoked_at=timezone.now())
        self.message_user(request, f"Revoked: {count}.", messages.SUCCESS)
