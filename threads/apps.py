"""Registers the app with Django."""

from django.apps import AppConfig


class ThreadsConfig(AppConfig):
    name = "threads"

    def ready(self) -> None:
        from django.db.models.signals import pre_delete

        from threads.journal import rows

        pre_delete.connect(rows.lock_deleted, sender="threads.Thread")
