"""The server executor in a process that is no web server: a Celery worker.

The dispatcher needs an event loop, which the worker's main OS thread can't run; so it has an OS
thread of its own for as long as the worker lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import Future

from django.conf import settings

from mesh import database_pool
from threads.core.executors import SERVER
from threads.journal.writer import Writer
from threads.reading import notifications
from threads.serving.dispatcher import Dispatcher
from threads.serving.providers import provider_for

logger = logging.getLogger(__name__)

START_WITHIN = 30.0  # seconds
STOP_WITHIN = 20.0


class ServerExecutor:
    """Serves the ``server`` executor from ``start`` to ``stop``."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._work, name="server-executor", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._started: Future[None] = Future()

    def start(self) -> None:
        """Return once it serves runs; raise the error that kept it from starting."""
        self._thread.start()
        self._started.result(START_WITHIN)

    def stop(self) -> None:
        """Release the runs, so that others may take them over now, and end the OS thread."""
        if self._loop is not None and self._end is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(STOP_WITHIN)

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as exc:
            if self._started.done():
                logger.exception("server executor: failed; this worker serves no runs any more")
            else:
                self._started.set_exception(exc)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        writer = Writer()
        writer.start()
        dispatcher = Dispatcher(
            provider_for=provider_for, writer=writer, node=settings.MESH_NODE, executors={SERVER}
        )
        relaying = asyncio.create_task(notifications.relay())
        await dispatcher.start()
        self._started.set_result(None)
        try:
            await self._end.wait()
        finally:
            await dispatcher.stop()
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)
            await asyncio.to_thread(writer.stop)
            await asyncio.to_thread(database_pool.close)
