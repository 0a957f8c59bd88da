"""Addresses of the pages; the organization's slug comes first, so this is included last."""

from django.urls import URLPattern, URLResolver, path

from threads import deletion_views, leaving_views, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.start, name="start"),
    path("<slug:org>/", views.home, name="home"),
    path("<slug:org>/live", views.live, name="live"),
    path("<slug:org>/older", views.older_threads, name="older_threads"),
    path("<slug:org>/popover", views.popover, name="popover"),
    path("<slug:org>/choose", views.choose, name="choose"),
    path("<slug:org>/threads/<uuid:thread_id>", views.chat, name="chat"),
    path("<slug:org>/settings/deleted", deletion_views.deleted, name="settings_deleted"),
    path(
        "<slug:org>/settings/deleted/<uuid:thread_id>/restore",
        deletion_views.restore,
        name="settings_restore",
    ),
    path(
        "<slug:org>/settings/members/<int:member_id>/remove",
        leaving_views.remove,
        name="settings_member_remove",
    ),
    path("<slug:org>/settings/members/leave", leaving_views.leave, name="settings_leave"),
]
