"""``manage.py mesh_invite``: print a link with which one person can join an organization."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mesh.invitations import make_invitation
from mesh.models import Organization, Role


class Command(BaseCommand):
    help = "Print a link with which one person can join an organization, once, within seven days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--org", default="home", help="slug (default: %(default)s)")
        parser.add_argument(
            "--role", choices=Role.values, default=Role.MEMBER.value, help="default: %(default)s"
        )

    def handle(self, *args: Any, org: str, role: str, **options: Any) -> None:
        if settings.MESH_EMBEDDED:
            raise CommandError("`make run` serves one person only. Invite people to a team server.")
        organization = Organization.objects.filter(slug=org).first()
        if organization is None:
            raise CommandError(f"There is no organization {org!r}.")
        text = make_invitation(organization=organization, role=Role(role))
        self.stdout.write(f"{settings.MESH_URL}/join?{urlencode({'invitation': text})}")
