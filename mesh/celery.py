"""The Celery application of a clustered Mesh: ``celery -A mesh.celery worker`` and ``beat``.

The server never loads it: each task calls a service, and Celery only schedules it.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mesh.settings")

from celery import Celery, bootsteps, signals
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

if not settings.ENV.redis_url:
    raise ImproperlyConfigured(
        "Celery needs REDIS_URL. Without Redis, a single server does its work and needs no worker."
    )

app = Celery("mesh", broker=settings.ENV.redis_url)
app.conf.update(
    task_ignore_result=True,
    task_default_queue="mesh",
    # A missed sweep is not repeated: the next one does the same work.
    beat_schedule={
        name: {"task": name, "schedule": every, "options": {"expires": every}}
        for name, every in {
            "links.expire": 10.0,
            "mesh.forget_expired": 60.0,
            "threads.end_stuck_runs": 60.0,
            "threads.expire_queued_runs": 60.0,
            "threads.forget_background": 600.0,
            "threads.prune_events": 600.0,
            "threads.prune_unsent": 600.0,
            "threads.purge_deleted": 60.0,
        }.items()
    },
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    timezone="UTC",
)
app.autodiscover_tasks(["mesh", "links", "threads"])


def join(**_: Any) -> None:
    """Connect the apps as ``mesh.asgi`` does, so that pages are notified of machines' changes."""
    from links.services import presence_changed
    from threads.serving.runtime import ring_link

    if ring_link not in presence_changed:
        presence_changed.append(ring_link)


signals.import_modules.connect(join, weak=False)


class ExecutorStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Makes the worker also run the agents whose loop is not on a person's machine (ADR 10)."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self.executor: Any = None

    def start(self, parent: Any) -> None:
        from threads.serving.worker import ServerExecutor  # the apps are loaded only now

        self.executor = ServerExecutor()
        self.executor.start()

    def stop(self, parent: Any) -> None:
        if self.executor is not None:
            self.executor.stop()
            self.executor = None

    terminate = stop


app.steps["worker"].add(ExecutorStep)
