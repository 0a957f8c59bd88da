"""Registers the app with Django."""

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"

    def ready(self) -> None:
        """Read the catalog now, so that an operator's mistake in it fails at startup."""
        from agents.catalog import load_catalog

        load_catalog()
