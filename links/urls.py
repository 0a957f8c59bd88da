"""The person's own page of their machines; below ``/accounts/``, as it belongs to no org."""

from django.urls import path

from links import token_views, views

urlpatterns = [
    path("", views.machines, name="machines"),
    path("tokens", token_views.tokens, name="own_tokens"),
    path("tokens/<uuid:token_id>/revoke", token_views.revoke_token, name="token-revoke"),
    path("list", views.machine_list, name="machine-list"),
    path("<uuid:link_id>/check", views.check, name="machine-check"),
    path("<uuid:link_id>/sign-out", views.sign_out, name="machine-sign-out"),
]
