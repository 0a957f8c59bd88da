"""Addresses below ``/api/<org>/``."""

from django.urls import URLPattern, URLResolver, path

from agents.keys import api

urlpatterns: list[URLPattern | URLResolver] = [
    path("ai-providers", api.ProvidersApi.as_view(), name="ai_providers"),
    path("ai-keys", api.KeysApi.as_view(), name="ai_keys"),
    path("ai-keys/<uuid:key_id>", api.KeyApi.as_view(), name="ai_key"),
    path("ai-keys/<uuid:key_id>/test", api.KeyTestApi.as_view(), name="ai_key_test"),
    path("default-models", api.DefaultModelsApi.as_view(), name="default_models"),
    path("default-models/<str:tier>", api.DefaultModelApi.as_view(), name="default_model"),
]
