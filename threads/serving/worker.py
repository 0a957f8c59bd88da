"""The server executor in a process that is no web server: a Celery worker.

The dispatcher wants an event loop and the writer a thread; the worker's own thread has neither
to spare, so both live in a thread of theirs for as long as the worker does.
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
        """Return when it is at work; raise what kept it from that."""
        self._thread.start()
        self._started.result(START_WITHIN)

    def stop(self) -> None:
        """Let go of the runs, so that others may take them over at once, and end the thread."""
        if self._loop is not None and self._end is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(STOP_WITHIN)

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as exc:
            if self._started.done():
                logger.exception("The server executor has ended; this worker runs no agents.")
            else:
                self._started.set_exception(exc)

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        writer = Writer()
        writer.start()
        dispatcher = Dispatcher(
            provider_for=provider_for, writer=writer, node=settings.MESH_NODE, executors={SERVER}
        )
        hearing = asyncio.create_task(notifications.relay())
        await dispatcher.start()
        self._started.set_result(None)
        try:
            await self._end.wait()
        finally:
            await dispatcher.stop()
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            await asyncio.to_thread(writer.stop)
            await asyncio.to_thread(database_pool.close)
