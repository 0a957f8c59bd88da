"""Addresses of a person's own pages, below ``/accounts/``."""

from django.urls import URLPattern, URLResolver, path

from mesh.team import organizations

urlpatterns: list[URLPattern | URLResolver] = [
    path("organizations/new", organizations.new_organization, name="new_organization"),
]
