"""The tables' own constraints."""

from __future__ import annotations

import pytest
from django.db import IntegrityError
from django.utils import timezone

from threads.models import Run
from threads.run import state as run_state

NOON = timezone.now()


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"state": "running", "finished_at": NOON}, id="ended but running"),
        pytest.param({"state": "completed", "finished_at": None}, id="completed but not ended"),
        pytest.param({"state": "lost", "finished_at": None}, id="no such state"),
    ],
)
def test_the_table_refuses(say, wrong):
    run = say()
    with pytest.raises(IntegrityError):
        Run.objects.filter(pk=run.pk).update(**wrong)


def test_one_active_run_by_constraint(say):
    first, second = say(), say()
    Run.objects.filter(pk=first.pk).update(state=run_state.RUNNING)

    with pytest.raises(IntegrityError):
        Run.objects.filter(pk=second.pk).update(state=run_state.DISPATCHED)
