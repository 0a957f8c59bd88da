"""Checks of ``manage.py check --deploy``: the owner, and sign-up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Info, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, connection, connections

from mesh.database_errors import AnyDatabaseError

NO_OWNER: Final = "mesh.W001"
OPEN_SIGN_UP: Final = "mesh.W002"
NO_DATABASE: Final = "mesh.I001"


@register(Tags.security, deploy=True)
def check_people(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn if this Mesh has no owner, and if anybody may sign up."""
    found: list[CheckMessage] = []
    try:
        if not _has_owner():
            hint = "Make one: manage.py mesh_owner NAME"
            found.append(Warning("This Mesh has no owner.", hint=hint, id=NO_OWNER))
    except AnyDatabaseError:
        hint = "Check that the database runs, and run: manage.py migrate"
        text = "The database is unreachable, so it is unknown whether this Mesh has an owner."
        found.append(Info(text, hint=hint, id=NO_DATABASE))
    if settings.MESH_OPEN_SIGNUP:
        hint = "Set MESH_OPEN_SIGNUP=0 once your people have signed up."
        text = "Anybody who reaches this server can sign up."
        found.append(Warning(text, hint=hint, id=OPEN_SIGN_UP))
    return found


def _has_owner() -> bool:
    from mesh.accounts import owners  # it needs the models

    with _quick_connection() as alias:
        return owners().using(alias).exists()


@contextmanager
def _quick_connection() -> Iterator[str]:
    """Yield an alias whose connection fails quickly: the pool would wait for half a minute."""
    if connection.connection is not None or connection.vendor != "postgresql":
        yield DEFAULT_DB_ALIAS
        return
    alias = "mesh_check"
    connections[alias] = quick = connection.copy(alias)
    quick.settings_dict["OPTIONS"] = {"connect_timeout": 3}
    try:
        yield alias
    finally:
        quick.close()
        del connections[alias]
