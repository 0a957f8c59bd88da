"""``manage.py mesh_compact``: rebuild an embedded Mesh's database without its unused space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from mesh import disk
from mesh.embedded import home
from mesh.lib.errors import AppError


class Command(BaseCommand):
    help = (
        "Free the disk space of deleted chats, for a SQLite database that an older version made."
        " Newer ones shrink automatically. Stop Mesh first. Safe to repeat."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.vendor != "sqlite":
            raise CommandError("Not needed: PostgreSQL frees disk space itself (autovacuum).")
        file = Path(settings.DATABASES["default"]["NAME"])
        if not file.exists():
            raise CommandError(f"There is no database at {file}.")
        try:
            home.lock()  # until this process ends
            before = file.stat().st_size
            disk.rebuild()
        except AppError as exc:
            raise CommandError(f"{exc} {exc.hint}") from exc
        except DatabaseError as exc:
            raise CommandError(f"The database could not be rebuilt: {exc}.") from exc
        after = file.stat().st_size
        self.stdout.write(f"{before / 1e6:.1f} MB before, {after / 1e6:.1f} MB now.")
