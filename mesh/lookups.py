"""A look-up of a value among many, whose SQL is the same however many there are."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import In
from django.db.models.sql.compiler import SQLCompiler

Parts = tuple[str, tuple[Any, ...]]


class Among(In):
    """``pk__among=ids``: as ``in``, with all the values in one parameter.

    ``in`` has a placeholder for each. SQLite accepts a limited number of them, and its driver
    caches the last 128 statements: a process with 2,000 laptops would make a statement of 2,000
    parameters at each check, and a different one whenever a laptop connects or disconnects, which
    took 50 kB for each laptop. Here a list needs no splitting, however long it is.

    For columns of numbers, texts and UUIDs; for a relation, name the key: ``user__pk__among``.
    """

    lookup_name = "among"

    def values(self, connection: BaseDatabaseWrapper) -> list[Any]:
        """Return the values as the column stores them."""
        prepared = self.lhs.output_field.get_db_prep_value
        # NULL never matches, as with ``in``.
        return [prepared(one, connection, prepared=True) for one in self.rhs if one is not None]

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Parts:
        """Return the condition for SQLite."""
        left, params = self.process_lhs(compiler, connection)
        values = json.dumps(self.values(connection))
        condition = f"{left} IN (SELECT value FROM json_each(%s))"  # noqa: S608  # Django's own column
        return condition, (*params, values)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Parts:
        """Return the condition for PostgreSQL."""
        left, params = self.process_lhs(compiler, connection)
        kind = self.lhs.output_field.rel_db_type(connection)
        return f"{left} = ANY(%s::{kind}[])", (*params, self.values(connection))


def register() -> None:
    """Register the look-up for every field."""
    models.Field.register_lookup(Among)
