"""Registers the app with Django."""

from django.apps import AppConfig


class SandboxesConfig(AppConfig):
    name = "sandboxes"
