"""Registers the app with Django."""

from django.apps import AppConfig


class ThreadsConfig(AppConfig):
    name = "threads"

    def ready(self) -> None:
        from django.db.models import UUIDField

        from threads.lookups import Among

        UUIDField.register_lookup(Among)
