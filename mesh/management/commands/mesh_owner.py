"""``manage.py mesh_owner``: make the owner of a Mesh that serves a team."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from getpass import getpass
from pathlib import Path
from typing import Any, Final

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from mesh import services
from mesh.lib.errors import AppError
from mesh.models import User

TRIES: Final = 3


class Command(BaseCommand):
    help = "Make the owner of this Mesh and its organization, and ask for the owner's password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="user name of the owner")
        parser.add_argument(
            "--existing",
            action="store_true",
            help="take over an existing account: new password, signed out everywhere",
        )
        parser.add_argument(
            "--password-file",
            metavar="FILE",
            help="read the password from the first line of this file; -: from standard input",
        )

    def handle(
        self,
        *args: Any,
        user: str,
        existing: bool = False,
        password_file: str | None = None,
        **options: Any,
    ) -> None:
        try:
            services.check_owner_name(username=user, is_existing=existing)
            password = _ask(user) if password_file is None else _read(password_file, user)
            services.make_owner(username=user, password=password, is_existing=existing)
        except AppError as exc:
            raise CommandError(f"{exc}\n{exc.hint}", returncode=3) from exc
        self.stdout.write(f"{user} owns this Mesh.")
        if existing:
            self.stdout.write("The account is signed out everywhere and has no second factor now.")


def _ask(user: str) -> str:
    if not sys.stdin.isatty():
        raise CommandError("There is no terminal to ask for a password: use --password-file FILE.")
    for _ in range(TRIES):
        password = getpass(f"Password for {user}: ")
        if password != getpass("Repeat it: "):
            print("The passwords differ. Try again.", file=sys.stderr)
        elif refusal := _refusal(password, user):
            print(refusal, file=sys.stderr)
        else:
            return password
    raise CommandError("No password was set, so nothing was changed.")


def _read(file: str, user: str) -> str:
    try:
        text = sys.stdin.readline() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise CommandError(f"{file} can't be read: {exc}.") from exc
    password = text.split("\n", 1)[0].rstrip("\r")
    if refusal := _refusal(password, user):
        raise CommandError(refusal)
    return password


def _refusal(password: str, user: str) -> str:
    """Return why ``password`` is refused, or an empty string."""
    if not password:
        return "The password is empty."
    try:
        validate_password(password, User(username=user))
    except ValidationError as exc:
        return " ".join(exc.messages)
    return ""
