"""Celery runs the services periodically."""

import json
import os
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

from mesh.develop import ROOT
from threads import services, tasks

pytestmark = pytest.mark.programs

NAMES = [
    "end_stuck_runs",
    "expire_queued_runs",
    "forget_background",
    "prune_events",
    "prune_unsent",
]
SHOW = """
import json
from mesh.celery import app
app.loader.import_default_modules()
from links.services import presence_changed
due = [each["task"] for each in app.conf.beat_schedule.values()]
print(json.dumps([due, sorted(app.tasks), [hook.__name__ for hook in presence_changed]]))
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_the_service_of_its_name(name, monkeypatch):
    seen = []
    monkeypatch.setattr(services, name, lambda *, now: seen.append(now) or 3)

    assert getattr(tasks, name)() == 3
    assert len(seen) == 1


def test_deleted_threads_are_purged_until_nothing_is_due(monkeypatch):
    counts = iter([1_000, 7, 0])
    monkeypatch.setattr(services, "purge_deleted", lambda *, now: next(counts))

    assert tasks.purge_deleted() == 1_007


def test_a_task_leaves_the_rest_of_a_huge_purge_to_the_next(monkeypatch):
    monkeypatch.setattr(services, "purge_deleted", lambda *, now: 1)

    assert tasks.purge_deleted() == services.BATCHES


def celery(**environ):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MESH_SECRET", "DATABASE"))}
    return subprocess.run(
        [sys.executable, "-c", SHOW], cwd=ROOT, env=clean | environ, capture_output=True, text=True
    )


def test_every_task_that_is_due_exists(tmp_path):
    shown = celery(
        MESH_HOME=str(tmp_path),
        DATABASE_URL="postgres://nobody@nowhere/none",
        REDIS_URL="redis://nowhere/0",
        MESH_SECRET_KEY="of the tests only",
        MESH_ENCRYPTION_KEYS=Fernet.generate_key().decode(),
        MESH_URL="http://testserver",
    )

    due, known, hooks = json.loads(shown.stdout)
    names = [*NAMES, "purge_deleted"]
    assert due == ["links.expire", "mesh.forget_expired", *(f"threads.{name}" for name in names)]
    assert set(due) <= set(known)
    assert hooks == ["ring_link"]  # what the worker finds out is told to the pages, too


def test_without_redis_it_says_what_is_missing(tmp_path):
    shown = celery(MESH_HOME=str(tmp_path))

    assert "Celery needs REDIS_URL" in shown.stderr
