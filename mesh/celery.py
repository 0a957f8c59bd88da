"""The Celery application of a clustered Mesh: ``celery -A mesh.celery worker`` and ``beat``.

The server never loads it: what a task does is a service, and only the clock is Celery's.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mesh.settings")

from celery import Celery, bootsteps, signals
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

if not settings.ENV.redis_url:
    raise ImproperlyConfigured("Celery needs REDIS_URL. Without it, the one server does it all.")

app = Celery("mesh", broker=settings.ENV.redis_url)
app.conf.update(
    task_ignore_result=True,
    task_default_queue="mesh",
    # A sweep that was missed is not made up for: the next one does the same.
    beat_schedule={
        name: {"task": name, "schedule": every, "options": {"expires": every}}
        for name, every in {
            "links.expire": 10.0,
            "mesh.forget_expired": 60.0,
            "threads.end_stuck_runs": 60.0,
            "threads.expire_queued_runs": 60.0,
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
    """Let the apps learn of each other, as ``mesh.asgi`` does: pages hear of a machine's end."""
    from links.services import presence_changed
    from threads.serving.runtime import ring_link

    if ring_link not in presence_changed:
        presence_changed.append(ring_link)


signals.import_modules.connect(join, weak=False)


class ExecutorStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Has the worker also run the agents whose loop is not on a person's machine (ADR 10)."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self.executor: Any = None

    def start(self, parent: Any) -> None:
        from threads.serving.worker import ServerExecutor  # the apps are loaded only by now

        self.executor = ServerExecutor()
        self.executor.start()

    def stop(self, parent: Any) -> None:
        if self.executor is not None:
            self.executor.stop()
            self.executor = None

    terminate = stop


app.steps["worker"].add(ExecutorStep)
