"""``manage.py mesh_token``: make, list and revoke bearer tokens for programs and machines."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from links.errors import TokenUnknown
from links.services import revoke_token
from mesh import services
from mesh.models import Role, User
from mesh.selectors import TokenView, list_tokens
from mesh.tokens import LIFE


class Command(BaseCommand):
    help = (
        "Print a new API token (bearer) for a person; by default for the owner."
        " It may do everything that the person may; with --machine, only one machine's work."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", nargs="?", help="user name; default: the owner")
        parser.add_argument(
            "--machine",
            metavar="NAME",
            help="make a token for deco_link --token-file; it works for the first machine that"
            " registers with it, and expires after --days without use",
        )
        parser.add_argument("--name", default="mesh_token", help="name of the token in the list")
        parser.add_argument(
            "--days", type=int, default=LIFE.days, help="days until it expires (%(default)s)"
        )
        parser.add_argument("--list", action="store_true", help="list the person's tokens")
        parser.add_argument(
            "--revoke",
            type=UUID,
            metavar="ID",
            help="revoke the token that --list shows with this id; its machine is signed out",
        )

    def handle(self, *args: Any, user: str | None = None, **options: Any) -> None:
        owner = _find(user)
        if owner is None:
            raise CommandError(
                f"There is no user {user!r}."
                if user
                else "There is no owner yet. Start Mesh with `make run`, or use mesh_owner."
            )
        if options["list"]:
            for view in list_tokens(viewer=owner):
                self.stdout.write(_line(view))
        elif options["revoke"]:
            self._revoke(owner, options["revoke"])
        else:
            self.stdout.write(_make(owner, **options))

    def _revoke(self, owner: User, token_id: UUID) -> None:
        try:
            revoke_token(viewer=owner, token_id=token_id)
        except TokenUnknown as exc:
            raise CommandError(f"{owner} has no token {token_id}. See --list.") from exc
        self.stdout.write(f"Revoked {token_id}.")


def _make(owner: User, *, machine: str | None, name: str, days: int, **_: Any) -> str:
    if not 1 <= days <= 3650:
        raise CommandError("--days takes a number from 1 to 3650.")
    life = timedelta(days=days)
    if machine is None:
        return services.make_token(user=owner, name=name, life=life)
    return services.make_token(user=owner, name=machine, scope="machine", life=life)


def _line(view: TokenView) -> str:
    used = f"used {_time(view.last_used_at)}" if view.last_used_at else "never used"
    ends = f"expires {_time(view.expires_at)}" if view.expires_at else "does not expire"
    return f"{view.id}  {view.scope:7}  {view.name}  made {_time(view.created_at)}, {used}, {ends}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _find(name: str | None) -> User | None:
    people = User.objects.filter(is_active=True)
    if name is not None:
        return people.filter(username=name).first()
    return people.filter(memberships__role=Role.OWNER).order_by("memberships__created_at").first()
