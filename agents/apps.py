"""Registers the app with Django."""

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"

    def ready(self) -> None:
        """Read the catalog now: an operator's mistake in it is told at the start."""
        from agents.catalog import load_catalog

        load_catalog()
