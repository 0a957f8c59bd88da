"""Registers the app with Django."""

from django.apps import AppConfig


class ThreadsConfig(AppConfig):
    name = "threads"

    def ready(self) -> None:
        from django.db.models import UUIDField
        from django.db.models.signals import pre_delete

        from threads import rows
        from threads.lookups import Among

        UUIDField.register_lookup(Among)
        pre_delete.connect(rows.lock_deleted, sender="threads.Thread")
