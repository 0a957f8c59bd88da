"""A pytest plugin: empty the database after a test that commits, in a fraction of Django's time.

Django deletes from every table and then makes all content types and permissions anew, which takes
longer than most tests. Only few tables have rows; those two stay as migrations made them.
"""

from __future__ import annotations

import pytest

MADE_BY_MIGRATIONS = {"django_content_type", "auth_permission"}


@pytest.fixture(autouse=True, scope="session")
def tables_are_emptied_quickly():
    """Have tests that commit leave an empty database behind."""
    from django.apps import apps
    from django.test import TransactionTestCase

    if not apps.ready:  # the plugins' own tests have no settings
        yield
        return
    patched = pytest.MonkeyPatch()
    patched.setattr(TransactionTestCase, "_fixture_teardown", _empty_all)
    yield
    patched.undo()


def _empty_all(case) -> None:
    from django.db import connections

    for name in case._databases_names(include_mirrors=False):
        empty(connections[name])


def empty(connection) -> None:
    """Delete every row but those of ``MADE_BY_MIGRATIONS``."""
    from django.db import transaction

    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    quoted = [connection.ops.quote_name(each) for each in set(tables) - MADE_BY_MIGRATIONS]
    looks = [f"SELECT '{each}' WHERE EXISTS (SELECT 1 FROM {each})" for each in quoted]
    # Foreign keys are checked at the commit, so that the tables' order does not matter.
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {table}")
