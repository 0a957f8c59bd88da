"""One sandbox process, put together: from its folder to its last breath."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from agents.harness.base import Adapter
from mesh import children
from mesh.background import run_in_background
from mesh.http_server import HttpServer
from mesh.version import VERSION
from sandboxes.daemon import recovery
from sandboxes.daemon.app import PREFIX, Identity, make_app
from sandboxes.daemon.attachments import Attachments
from sandboxes.daemon.checkout import Checkout
from sandboxes.daemon.descendants import Marks, end_everything
from sandboxes.daemon.journal import Journal
from sandboxes.daemon.program import all_ended
from sandboxes.daemon.runs import Runs
from sandboxes.daemon.sandbox_folder import Place
from sandboxes.daemon.warm_programs import Warm
from sandboxes.daemon.writer import Writer

if TYPE_CHECKING:
    from sandboxes.daemon.parts import Parts

logger = logging.getLogger(__name__)

IDLE_FOR = 30 * 60.0  # seconds without a run or a request until a sandbox ends by itself
LOOK_EVERY = 60.0  # seconds between two looks at what is idle or old
PRUNE_PAUSE = 0.05  # seconds between two bites, so that the runs go on meanwhile
LAST_WORDS = 0.5  # seconds for answers that are under way: readers had their last event

# What the health says of a sandbox that was told nothing of its project.
NOT_CONFIGURED: dict[str, Any] = {
    "ready": False,
    "configured": False,
    "orchestrator": {"running": False, "pending": 0},
    "phase": None,
}

Adapters = Mapping[str, Callable[[], Adapter]]


async def serve(place: Place, adapters: Adapters, *, is_whole_process: bool = False) -> None:
    """Serve the sandbox in ``place`` until SIGTERM, or until nobody needs it any more.

    As the ``is_whole_process`` it adopts its orphans, and ends all its descendants at its end.
    """
    sandbox = Sandbox(place, adapters, is_whole_process=is_whole_process)
    await sandbox.start()
    try:
        await sandbox.over.wait()
    finally:
        await sandbox.stop()


class Sandbox:
    """All parts of the process, and the order in which they start and end."""

    def __init__(self, place: Place, adapters: Adapters, *, is_whole_process: bool = False) -> None:
        self.over = asyncio.Event()
        self._is_whole_process = is_whole_process
        if is_whole_process:
            children.adopt_orphans()
        self._marks = Marks(place.root)
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._journal = Journal(place.root / "journal.db")
        recovery.close_unfinished_runs(self._journal)
        self._leftovers = run_in_background(
            recovery.end_leftovers(self._journal, self._marks), what="ending what was left over"
        )
        self._writer = Writer(self._journal)
        self._checkout = Checkout(place.spec, place.root / "repo")
        self._runs = Runs(
            journal=self._journal,
            writer=self._writer,
            checkout=self._checkout,
            adapters=adapters,
            warm=Warm(),
            marks=self._marks,
            leftovers_gone=self._leftovers,
        )
        self._last_request = self._loop.time()
        given = place.given
        self._identity = Identity(
            place.spec.handle, str(uuid4()), VERSION, given.server_key, given.token
        )
        self._parts: Parts | None = None
        app = make_app(
            self._runs,
            self._identity,
            attachments=Attachments(place.root / "attachments"),
            on_request=self._asked,
            more=lambda: self._load_parts().router(),
            health=self._health,
        )
        self._http = HttpServer(app)

    async def start(self) -> None:
        """Listen, announce the process, and prepare the working folder meanwhile."""
        self._loop.add_signal_handler(signal.SIGTERM, self.over.set)
        self._loop.add_signal_handler(signal.SIGINT, self.over.set)
        await self._http.start(self._place.listen())
        self._place.announce(self._identity.boot_id)
        self._checkout.begin()
        if (self._place.root / "config.json").exists():
            self._load_parts()  # goes on with what an earlier process was told
        self._look = self._loop.call_later(LOOK_EVERY, self._look_around)
        # What is loaded now stays: the collector need not go through it again and again.
        gc.collect()
        gc.freeze()
        logger.info("Sandbox %s listens.", self._identity.handle)

    async def stop(self) -> None:
        """Give every run its last words and end all programs; the working folder stays as it is."""
        self._look.cancel()
        self._http.refuse_new()
        self._checkout.close()
        await asyncio.gather(self._runs.close(), *([self._parts.stop()] if self._parts else []))
        await all_ended()
        if self._is_whole_process:
            await end_everything()
        await self._writer.close()
        await self._http.stop(within=LAST_WORDS)
        self._journal.close()
        self._place.withdraw()
        logger.info("Sandbox %s has ended.", self._identity.handle)

    def _load_parts(self) -> Parts:
        from sandboxes.daemon.parts import Parts

        if self._parts is None:
            self._parts = Parts(
                PREFIX,
                self._place.root,
                self._checkout,
                boot_id=self._identity.boot_id,
                marks=self._marks,
                runs=lambda: (self._runs.active, self._runs.begun),
            )
        return self._parts

    def _health(self) -> dict[str, Any]:
        idle = {
            "idle": self._is_idle,
            "idleSeconds": round(self._loop.time() - self._last_request, 1),
        }
        return idle | (self._parts.health() if self._parts else NOT_CONFIGURED)

    @property
    def _is_idle(self) -> bool:
        return self._runs.is_idle and (self._parts is None or self._parts.is_idle)

    def _asked(self) -> None:
        self._last_request = self._loop.time()

    def _look_around(self) -> None:
        self._prune()
        self._runs.end_silent()
        run_in_background(asyncio.to_thread(children.reap_adopted), what="reaping orphans")
        if not self._is_idle:
            self._asked()  # the half hour begins when the last program is gone
        if self._loop.time() - self._last_request >= IDLE_FOR:
            self.over.set()
        self._look = self._loop.call_later(LOOK_EVERY, self._look_around)

    def _prune(self) -> None:
        has_more = self._journal.prune(now=time.time())
        self._writer.checkpoints.look()
        if has_more and not self.over.is_set():
            self._loop.call_later(PRUNE_PAUSE, self._prune)
