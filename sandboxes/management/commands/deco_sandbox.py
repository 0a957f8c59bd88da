"""``manage.py deco_sandbox``: the same as ``python -m sandboxes.daemon``."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sandboxes.daemon import cli


class Command(BaseCommand):
    help = "Serve one sandbox. The link program and containers run this."
    requires_system_checks: list[str] = []  # a laptop has no database to check

    def add_arguments(self, parser: CommandParser) -> None:
        cli.add_arguments(parser)

    def handle(self, *, root: Any, listen: Any, **options: Any) -> None:
        at = ["--listen", f"{listen[0]}:{listen[1]}"] if listen else []
        if code := cli.main(["--root", str(root), *at]):
            sys.exit(code)
