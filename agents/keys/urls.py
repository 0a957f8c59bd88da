"""Addresses of the pages, below ``/<org>/settings/``."""

from django.urls import URLPattern, URLResolver, path

from agents.keys import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("ai-providers", views.ai_providers, name="settings_ai_providers"),
]
