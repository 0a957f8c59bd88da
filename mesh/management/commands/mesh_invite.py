"""``manage.py mesh_invite``: print a link with which people can join an organization."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mesh.invitations import LIFE, MOST_USES, join_address, make_invitation
from mesh.lib.errors import AppError
from mesh.models import Organization, Role

MOST_DAYS: Final = 365


class Command(BaseCommand):
    help = "Print a link with which one person can join an organization, once, within seven days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--org", default="home", help="slug (default: %(default)s)")
        parser.add_argument(
            "--role", choices=Role.values, default=Role.MEMBER.value, help="default: %(default)s"
        )
        parser.add_argument(
            "--uses",
            type=_number(MOST_USES),
            default=1,
            help="how many people may use it (default: %(default)s)",
        )
        parser.add_argument(
            "--days",
            type=_number(MOST_DAYS),
            default=LIFE.days,
            help="how long it works (default: %(default)s)",
        )

    def handle(
        self,
        *args: Any,
        org: str,
        role: str,
        uses: int = 1,
        days: int = LIFE.days,
        **options: Any,
    ) -> None:
        if settings.MESH_EMBEDDED:
            raise CommandError("`make run` serves one person only. Invite people to a team server.")
        organization = Organization.objects.filter(slug=org).first()
        if organization is None:
            raise CommandError(f"There is no organization {org!r}.")
        try:
            text = make_invitation(
                organization=organization,
                role=Role(role),
                max_uses=uses,
                life=timedelta(days=days),
            )
        except AppError as exc:
            raise CommandError(f"{exc}\n{exc.hint}", returncode=3) from exc
        self.stdout.write(join_address(settings.MESH_URL, text))


def _number(most: int) -> Any:
    """Return a reader of whole numbers from 1 to ``most``."""

    def read(text: str) -> int:
        is_short = text.isascii() and text.isdecimal() and len(text) <= 9
        if not (is_short and 1 <= int(text) <= most):
            raise ArgumentTypeError(f"expected a number from 1 to {most}")
        return int(text)

    return read
