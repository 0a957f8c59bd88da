"""Addresses of the people's pages, below ``/<org>/settings/members``."""

from django.urls import URLPattern, URLResolver, path

from mesh.team import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("members", views.members, name="settings_members"),
    path("members/invitations", views.invite, name="settings_invite"),
    path(
        "members/invitations/<uuid:invitation_id>/revoke",
        views.revoke,
        name="settings_invitation_revoke",
    ),
    path("members/<int:member_id>/role", views.change_role, name="settings_member_role"),
    path("members/<int:member_id>/owner", views.hand_over, name="settings_member_owner"),
]
