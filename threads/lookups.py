"""A lookup of a UUID among many, in a statement that is the same however many they are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    Lookup = models.Lookup[bool]
else:
    Lookup = models.Lookup  # generic for type checkers only

Parts = tuple[str, tuple[Any, ...]]


class Among(Lookup):
    """``link__pk__among=ids``: as ``in``, with all the values in one parameter.

    ``in`` has a placeholder for each. A process that holds 2,000 laptops would make a statement of
    2,000 parameters at each look, another one whenever a laptop comes or goes; SQLite's
    driver keeps the last 128 of them, which took 50 kB for each laptop.
    """

    lookup_name = "among"
    prepare_rhs = False

    @property
    def values(self) -> list[UUID]:
        given: Iterable[UUID | None] = self.rhs
        return [value for value in given if value is not None]  # as ``in`` does

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Parts:
        """Return the condition for SQLite, which keeps a UUID as its 32 digits."""
        left, params = self.process_lhs(compiler, connection)
        digits = json.dumps([value.hex for value in self.values])
        condition = f"{left} IN (SELECT value FROM json_each(%s))"  # noqa: S608  # Django's own column
        return condition, (*params, digits)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Parts:
        """Return the condition for PostgreSQL."""
        left, params = self.process_lhs(compiler, connection)
        return f"{left} = ANY(%s::uuid[])", (*params, self.values)
