"""``manage.py import_reference DUMP``: the rows of a decocms/studio database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sandboxes.core.dump import BrokenDump, read_rows
from threads.services.importing import TABLES, load_reference


class Command(BaseCommand):
    help = (
        "Import organizations, people, agents, threads and sandboxes from a plain dump "
        "(pg_dump --data-only) of a decocms/studio database. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("dump", type=Path, help="the file that pg_dump wrote")

    def handle(self, *, dump: Path, **options: Any) -> None:
        try:
            with dump.open(encoding="utf-8") as lines:
                loaded = load_reference(read_rows(lines, tables=TABLES))
        except (OSError, UnicodeDecodeError) as exc:
            raise CommandError(f"{dump} can't be read: {exc}.") from exc
        except BrokenDump as exc:
            raise CommandError(f"{exc} Nothing was imported.") from exc
        for table, count in sorted(loaded.imported.items()):
            self.stdout.write(f"{count} × {table}")
        for reason, count in sorted(loaded.skipped.items()):
            self.stdout.write(f"{count} × left out: {reason}")
