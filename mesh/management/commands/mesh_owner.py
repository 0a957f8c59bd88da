"""``manage.py mesh_owner``: the first person of a Mesh that serves a team."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from mesh import services


class Command(BaseCommand):
    help = "Make the organization and its owner, and ask for a password. Safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="user name of the owner")

    def handle(self, *args: Any, user: str, **options: Any) -> None:
        owner = services.make_home(username=user)
        if not owner.has_usable_password():
            call_command("changepassword", user)
        self.stdout.write(f"{user} owns this Mesh.")
