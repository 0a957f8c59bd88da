"""Lists ``deco_link`` in ``manage.py help``; ``manage.py`` runs it without loading Django."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management import BaseCommand, CommandError

from links.daemon import cli


class Command(BaseCommand):
    help = cli.DESCRIPTION
    requires_system_checks: list[str] = []  # a laptop has no database to check

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        cli.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            config = cli.config_of(argparse.Namespace(**options))
        except ValueError as exc:
            raise CommandError(str(exc), returncode=2) from exc
        if code := cli.run(config):
            raise SystemExit(code)
