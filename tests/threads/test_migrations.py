"""Data migrations, up and down, with rows as an older version left them."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = pytest.mark.thorough

BEFORE, AFTER = ("threads", "0004_order_the_queue"), ("threads", "0005_number_the_queue")


def migrate(target):
    executor = MigrationExecutor(connection)
    executor.migrate([target])
    return executor.loader.project_state([target]).apps


@pytest.mark.django_db(transaction=True)
def test_older_runs_get_the_place_of_their_prompt(say):
    from threads.models import Run

    first, second = say("a"), say("b")
    migrate(BEFORE)
    try:
        Run.objects.update(position=0)
        Run.objects.filter(pk=second.pk).update(position=77)  # a run of the new version stays

        migrate(AFTER)
        migrate(BEFORE)  # and up once more: it can be repeated
        migrate(AFTER)

        places = dict(Run.objects.values_list("pk", "position"))
        assert places == {first.pk: first.prompt.seq, second.pk: 77}
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
