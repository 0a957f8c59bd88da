"""The sandbox process: builds its parts, starts them, and ends them in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from agents.harness.base import Adapter
from mesh import children
from mesh.background import run_in_background
from mesh.http_server import HttpServer
from mesh.version import VERSION
from sandboxes.daemon import own_servers, recovery, restored
from sandboxes.daemon.app import PREFIX, Identity, make_app
from sandboxes.daemon.attachments import Attachments
from sandboxes.daemon.checkout.checkout import Checkout
from sandboxes.daemon.descendants import Marks, end_everything
from sandboxes.daemon.journal import Journal
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.own_servers import SilentServers
from sandboxes.daemon.program import all_ended
from sandboxes.daemon.runs import Runs
from sandboxes.daemon.sandbox_folder import SandboxFolder
from sandboxes.daemon.warm_programs import WarmPrograms
from sandboxes.daemon.writer import Writer

if TYPE_CHECKING:
    from sandboxes.daemon.parts import Parts

logger = logging.getLogger(__name__)

IDLE_FOR = 30 * 60.0  # seconds without a run or a request until the sandbox exits
CHECK_EVERY = 60.0  # seconds between two checks for idle or expired state
PRUNE_PAUSE = 0.05  # seconds between two batches, so that runs are not held up
DRAIN_WITHIN = 0.5  # seconds for responses in flight: readers have had their last event

# What /health reports for a sandbox without a project configuration.
NOT_CONFIGURED: dict[str, Any] = {
    "ready": False,
    "configured": False,
    "orchestrator": {"running": False, "pending": 0},
    "phase": None,
}

Adapters = Mapping[str, Callable[[], Adapter]]


async def serve(
    folder: SandboxFolder, adapters: Adapters, *, is_whole_process: bool = False
) -> None:
    """Serve the sandbox in ``folder`` until SIGTERM, or until it has been idle for ``IDLE_FOR``.

    With ``is_whole_process`` it adopts orphans, and ends all its descendants before it returns.
    """
    sandbox = Sandbox(folder, adapters, is_whole_process=is_whole_process)
    await sandbox.start()
    try:
        await sandbox.ended.wait()
    finally:
        await sandbox.stop()


class Sandbox:
    """All parts of the process, and the order in which they start and end."""

    def __init__(
        self, folder: SandboxFolder, adapters: Adapters, *, is_whole_process: bool = False
    ) -> None:
        self.ended = asyncio.Event()
        self._is_whole_process = is_whole_process
        if is_whole_process:
            children.adopt_orphans()
        self._marks = Marks(folder.root)
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._journal = Journal(folder.root / "journal.db")
        recovery.close_unfinished_runs(self._journal)
        self._leftovers = run_in_background(
            recovery.end_leftovers(self._journal, self._marks),
            what="ending programs of an earlier process",
        )
        self._writer = Writer(self._journal)
        notices = Notices(folder.root)
        restored.note(folder.root, notices)
        self._checkout = Checkout(folder.spec, folder.root / "repo", notices)
        self._runs = Runs(
            journal=self._journal,
            writer=self._writer,
            checkout=self._checkout,
            adapters=adapters,
            warm=WarmPrograms(),
            marks=self._marks,
            notices=notices,
            # What the person's own servers do, all their sandboxes may know.
            silent=SilentServers(
                folder.root.with_name(own_servers.NAME) if folder.address is None else None
            ),
            leftovers_gone=self._leftovers,
        )
        self._last_request = self._loop.time()
        secrets = folder.secrets
        self._identity = Identity(
            folder.spec.handle, str(uuid4()), VERSION, secrets.server_key, secrets.token
        )
        self._parts: Parts | None = None
        app = make_app(
            self._runs,
            self._identity,
            attachments=Attachments(folder.root / "attachments"),
            on_request=self._note_request,
            more=lambda: self._load_parts().router(),
            health=self._health,
        )
        self._http = HttpServer(app)

    async def start(self) -> None:
        """Listen, write the pid file, and prepare the working folder in the background."""
        self._loop.add_signal_handler(signal.SIGTERM, self.ended.set)
        self._loop.add_signal_handler(signal.SIGINT, self.ended.set)
        await self._http.start(self._folder.listen())
        self._folder.announce(self._identity.boot_id)
        self._checkout.begin()
        if (self._folder.root / "config.json").exists():
            self._load_parts()  # resumes the setup that an earlier process was given
        self._next_check = self._loop.call_later(CHECK_EVERY, self._check)
        # Everything loaded by now lives as long as the process: no need to collect it again.
        gc.collect()
        gc.freeze()
        logger.info("sandbox %s: listening", self._identity.handle)

    async def stop(self) -> None:
        """End every run with a final event, then all programs; keep the working folder as it is."""
        self._next_check.cancel()
        self._http.refuse_new()
        self._checkout.close()
        await asyncio.gather(self._runs.close(), *([self._parts.stop()] if self._parts else []))
        await all_ended()
        if self._is_whole_process:
            await end_everything()
        await self._writer.close()
        await self._http.stop(within=DRAIN_WITHIN)
        self._journal.close()
        self._folder.withdraw()
        logger.info("sandbox %s: stopped", self._identity.handle)

    def _load_parts(self) -> Parts:
        from sandboxes.daemon.parts import Parts

        if self._parts is None:
            self._parts = Parts(
                PREFIX,
                self._folder.root,
                self._checkout,
                boot_id=self._identity.boot_id,
                marks=self._marks,
                runs=lambda: (self._runs.active, self._runs.started),
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

    def _note_request(self) -> None:
        self._last_request = self._loop.time()

    def _check(self) -> None:
        try:
            self._runs.write_ends()
            self._prune()
        except sqlite3.Error as exc:  # such as a full disk, which is no reason to stop looking
            logger.warning("tidying the journal failed, trying again later: %s", exc)
        self._runs.end_silent()
        run_in_background(asyncio.to_thread(children.reap_adopted), what="reaping orphans")
        if not self._is_idle:
            self._note_request()  # the idle time starts when the last program has exited
        if self._loop.time() - self._last_request >= IDLE_FOR:
            self.ended.set()
        self._next_check = self._loop.call_later(CHECK_EVERY, self._check)

    def _prune(self) -> None:
        has_more = self._journal.prune(now=time.time())
        self._writer.checkpoints.look()
        if has_more and not self.ended.is_set():
            self._loop.call_later(PRUNE_PAUSE, self._prune)
