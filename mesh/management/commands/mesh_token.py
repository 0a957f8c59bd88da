"""``manage.py mesh_token``: a bearer token for a program."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mesh import services
from mesh.models import Role, User


class Command(BaseCommand):
    help = "Print a new API token (bearer) of a person; without a name the owner's."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", nargs="?", help="user name; default: the owner")

    def handle(self, *args: Any, user: str | None = None, **options: Any) -> None:
        owner = _find(user)
        if owner is None:
            raise CommandError(
                f"There is no one called {user!r} here." if user else "No owner yet: make run"
            )
        self.stdout.write(services.make_token(user=owner, name="mesh_token"))


def _find(name: str | None) -> User | None:
    people = User.objects.filter(is_active=True)
    if name is not None:
        return people.filter(username=name).first()
    return people.filter(memberships__role=Role.OWNER).order_by("memberships__created_at").first()
