"""The project's own app: people, organizations, and what every page shares."""

from django.apps import AppConfig


class MeshConfig(AppConfig):
    name = "mesh"
    default_auto_field = "django.db.models.BigAutoField"
