"""Starts, adopts and stops the sandboxes of this machine: one process each.

A sandbox is started detached, so that agents keep running when the link restarts; the next link
finds it by its ``pid`` file, checked against the process's start time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from links.daemon import sandbox_process
from links.daemon.errors import (
    SandboxBusy,
    SandboxDown,
    SandboxFailed,
    TooManySandboxes,
    UnknownHandle,
)
from links.daemon.removed_folders import RemovedFolders
from links.daemon.spec import SandboxSpec
from links.upstream import Headers, Pool, UpstreamError
from links.wire.names import is_handle
from mesh import processes
from mesh.lib.patience import Patience
from mesh.process_tree import end_tree

logger = logging.getLogger(__name__)

LIMIT: Final = 20
HEALTHY_WITHIN: Final = 20.0  # seconds from the start to the first healthy answer
HEALTH_WAIT: Final = 2.0  # seconds for one answer; a slow sandbox is not dead
TERM_WAIT: Final = 5.0  # seconds between SIGTERM and SIGKILL
_STEP: Final = 0.02


@dataclass(slots=True, eq=False)
class Sandbox:
    """A sandbox process that was found alive."""

    handle: str
    pid: int
    started: str
    token: str  # of a sandbox of an older version; else empty
    pool: Pool
    process: processes.Handle
    used_at: float = field(default_factory=time.monotonic)

    @property
    def is_alive(self) -> bool:
        sandbox_process.reap()
        return self.process.lives

    def close(self) -> None:
        self.pool.close()
        self.process.close()


class Supervisor:
    """All sandboxes below ``home``; ``command`` starts one (``--root DIR`` is added).

    ``environment`` tells ours from an earlier one; empty: it does not matter. One that was started
    in another is started again once it has no runs: it would look for programs where none are.

    ``server_key`` is the public key of the server whose requests they accept; without it none
    can be started.
    """

    def __init__(
        self,
        home: Path,
        *,
        server_key: Callable[[], str] = lambda: "",
        command: Sequence[str] = sandbox_process.COMMAND,
        environment: Callable[[], str] = lambda: "",
        limit: int = LIMIT,
        healthy_within: float = HEALTHY_WITHIN,
        term_wait: float = TERM_WAIT,
    ) -> None:
        self.home = home
        self._server_key = server_key
        self._removed = RemovedFolders(home)
        self._command = tuple(command)
        self._environment = environment
        self._limit = limit
        self._healthy_within = healthy_within
        self._term_wait = term_wait
        self._sandboxes: dict[str, Sandbox] = {}
        self._starting: set[str] = set()
        self._dead: dict[str, tuple[int, str]] = {}  # by handle: the dead process in its pid file
        # One at a time per handle: ensure, delete and eviction never overlap.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def reconcile(self) -> None:
        """Adopt the sandboxes that an earlier link left running; others start when needed."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for root in sorted(self.home.iterdir()):
            if is_handle(root.name) and root.is_dir() and (found := self._find_running(root.name)):
                logger.info("sandbox %s: adopted (pid %d)", found.handle, found.pid)

    def find(self, handle: str) -> Sandbox:
        """Return the running sandbox of that handle, and mark it as used.

        Raises:
            UnknownHandle: there is no such sandbox.
            SandboxDown: its process is gone.
        """
        sandbox = self._sandboxes.get(handle)
        if sandbox is None or not sandbox.is_alive:
            sandbox = self._find_running(handle)
        if sandbox is None:
            if (self.home / handle / "spec.json").is_file():
                raise SandboxDown
            raise UnknownHandle
        sandbox.used_at = time.monotonic()
        return sandbox

    async def on_unreachable(self, sandbox: Sandbox) -> None:
        """Forget a sandbox whose socket did not answer, if its process has ended."""
        if not await processes.is_alive(sandbox.pid, sandbox.started):
            self._forget(sandbox)

    def listing(self) -> list[dict[str, Any]]:
        """Return handle, state and pid of each running or starting sandbox."""
        alive = [sandbox for sandbox in self._sandboxes.values() if sandbox.is_alive]
        rows = [{"handle": s.handle, "state": "ready", "pid": s.pid} for s in alive]
        rows += [{"handle": h, "state": "starting", "pid": None} for h in self._starting]
        return sorted(rows, key=lambda row: str(row["handle"]))

    async def ensure(self, spec: SandboxSpec) -> Sandbox:
        """Return the sandbox of ``spec``, healthy; adopt or start it first. Safe to repeat.

        If its folder was removed, it is brought back.

        Raises:
            SandboxFailed: it did not become healthy; ``logTail`` has its last lines.
            TooManySandboxes: the limit is reached and all are busy.
        """
        async with self._locks[spec.handle]:
            try:
                sandbox = self.find(spec.handle)
                health = await self.health(sandbox)
                is_outdated = _has_no_runs(health) and (
                    self._has_other_environment(spec.handle)
                    or (
                        self._removed.may_be_wanted(spec.handle)
                        and await asyncio.to_thread(self._removed.is_wanted, spec.handle)
                    )
                )
                if self._trusts_our_server(sandbox, health) and not is_outdated:
                    return sandbox
                await self._end(sandbox)
            except (SandboxDown, UnknownHandle):
                pass
            except TimeoutError:
                logger.warning(
                    "sandbox %s: no answer to its health check in %.0f s; using it anyway",
                    spec.handle,
                    HEALTH_WAIT,
                )
                return sandbox
            return await self._start(spec)

    def _has_other_environment(self, handle: str) -> bool:
        ours = self._environment()
        return bool(ours) and ours != sandbox_process.read_environment(self.home / handle)

    def _trusts_our_server(self, sandbox: Sandbox, health: dict[str, Any]) -> bool:
        """Return whether a sandbox that an earlier link started can still be used.

        One with another key refuses everything from our server, even a stop. One of an older
        version accepts requests from anybody, and is restarted once it has no runs.
        """
        if sandbox.token:
            return not _has_no_runs(health)
        is_trusted = health.get("serverKey", self._server_key()) == self._server_key()
        if not is_trusted:
            logger.warning("sandbox %s: trusts another server key; restarting it", sandbox.handle)
        return bool(is_trusted)

    async def delete(self, handle: str, *, force: bool) -> None:
        """Stop the process and its group; its folder stays. Safe to repeat.

        Raises:
            SandboxBusy: an agent is working, without ``force``.
        """
        async with self.lock(handle):
            await self.end_locked(handle, force=force)

    def lock(self, handle: str) -> asyncio.Lock:
        """Return the lock that protects that sandbox from a concurrent start or stop."""
        return self._locks[handle]

    async def end_locked(self, handle: str, *, force: bool) -> None:
        """Stop a sandbox whose ``lock`` the caller holds. Safe to repeat.

        Raises:
            SandboxBusy: an agent is working, without ``force``.
        """
        try:
            sandbox = self.find(handle)
        except (SandboxDown, UnknownHandle):
            return
        if not force and await self._active_runs(sandbox):
            raise SandboxBusy
        await self._end(sandbox)

    async def health(self, sandbox: Sandbox) -> dict[str, Any]:
        """Return the sandbox's answer to a health check.

        Raises:
            SandboxDown: it does not listen, or does not answer like a sandbox.
            TimeoutError: it is slow.
        """
        try:
            async with asyncio.timeout(HEALTH_WAIT):
                answer = await sandbox.pool.request(
                    "GET", "/_sandbox/health", headers=authorization(sandbox), body=b""
                )
                try:
                    value = json.loads(await answer.body())
                finally:
                    answer.close()
        except (UpstreamError, ValueError, RecursionError) as exc:
            raise SandboxDown from exc
        if answer.status != 200 or not isinstance(value, dict):
            raise SandboxDown
        return value

    async def _start(self, spec: SandboxSpec) -> Sandbox:
        await self._ensure_capacity()
        self._starting.add(spec.handle)
        try:
            return await self._spawn(spec)
        finally:
            self._starting.discard(spec.handle)

    async def _spawn(self, spec: SandboxSpec) -> Sandbox:
        root = self.home / spec.handle
        await asyncio.to_thread(self._bring_back, spec.handle)
        sandbox_process.prepare(root, spec, environment=self._environment())
        key = self._server_key()
        spawning = asyncio.create_task(
            asyncio.to_thread(sandbox_process.spawn, self._command, root, server_key=key)
        )
        try:
            child = await asyncio.shield(spawning)
            started = await processes.find_start(child.pid)
            patience = Patience(self._healthy_within)
            while child.poll() is None and not patience.is_over:
                sandbox = self._find_running(spec.handle)
                if sandbox is not None and await self._is_healthy(sandbox):
                    logger.info("sandbox %s: started (pid %d)", spec.handle, sandbox.pid)
                    return sandbox
                await asyncio.sleep(_STEP)
        except BaseException:
            # Cancelled meanwhile, its OS thread starts it all the same.
            child = await spawning
            started = await processes.find_start(child.pid)
            await end_sandbox(child.pid, started, grace=self._term_wait)
            raise
        await end_sandbox(child.pid, started, grace=self._term_wait)
        self._sandboxes.pop(spec.handle, None)
        raise SandboxFailed(logTail=sandbox_process.log_tail(root))

    def _bring_back(self, handle: str) -> None:
        """Bring a removed folder back. Blocking."""
        if not self._removed.is_wanted(handle):
            return
        try:
            self._removed.bring_back(handle, is_told=True)
        except OSError as exc:
            why = f"Its removed folder can't be brought back: {exc.strerror}."
            raise SandboxFailed(why, logTail="") from exc

    async def _is_healthy(self, sandbox: Sandbox) -> bool:
        try:
            await self.health(sandbox)
        except (SandboxDown, TimeoutError):
            return False
        return True

    async def _active_runs(self, sandbox: Sandbox) -> int:
        try:
            return int((await self.health(sandbox)).get("activeRuns") or 0)
        except TimeoutError:
            return 1  # slow: it may be working, and is not stopped on a guess
        except (SandboxDown, ValueError, TypeError):
            return 0

    async def _ensure_capacity(self) -> None:
        """Stop one sandbox if the limit is reached.

        Idle ones go first, then those that run only a command or a server; among equals the
        least recently used one. One in which an agent is working is never stopped.

        Raises:
            TooManySandboxes: an agent is working in each.
        """
        patience = Patience(self._healthy_within)
        while True:
            alive = [sandbox for sandbox in self._sandboxes.values() if sandbox.is_alive]
            # A starting one is alive before it is healthy: count it once.
            if len({sandbox.handle for sandbox in alive} | self._starting) < self._limit:
                return
            if await self._evict_one(alive):
                continue
            if not self._starting or patience.is_over:
                raise TooManySandboxes
            await asyncio.sleep(_STEP)  # one that is starting may turn out to be idle

    async def _evict_one(self, alive: list[Sandbox]) -> bool:
        oldest_first = sorted(alive, key=lambda sandbox: sandbox.used_at)
        for may_evict in (_is_idle, _has_no_runs):
            for sandbox in oldest_first:
                if await self._evict(sandbox, may_evict):
                    return True
        return False

    async def _evict(self, sandbox: Sandbox, may_evict: Callable[[dict[str, Any]], bool]) -> bool:
        lock = self._locks[sandbox.handle]
        if lock.locked():
            return False  # another task is about to use or stop it
        async with lock:
            try:
                health = await self.health(sandbox)
            except TimeoutError:
                return False  # slow: it may be working, and is not stopped on a guess
            except SandboxDown:
                health = {}
            if not may_evict(health):
                return False
            logger.info("sandbox %s: ending, %d sandboxes run already", sandbox.handle, self._limit)
            await self._end(sandbox)
            return True

    async def _end(self, sandbox: Sandbox) -> None:
        await end_sandbox(sandbox.pid, sandbox.started, grace=self._term_wait)
        self._forget(sandbox)

    def _forget(self, sandbox: Sandbox) -> None:
        sandbox.close()
        if self._sandboxes.get(sandbox.handle) is sandbox:
            del self._sandboxes[sandbox.handle]

    def _find_running(self, handle: str) -> Sandbox | None:
        """Return (and remember) the sandbox that the ``pid`` file names, if it is alive."""
        sandbox_process.reap()
        known = self._sandboxes.get(handle)
        found = sandbox_process.read_pid_file(self.home / handle)
        if found is None or self._dead.get(handle) == (found.pid, found.started):
            return None
        if known and known.is_alive and (known.pid, known.started) == (found.pid, found.started):
            return known
        process = processes.Handle(found.pid)
        # Once per process that a file names, dead or alive: the check may start a program.
        if not processes.is_same(found.pid, found.started):
            process.close()
            self._dead[handle] = (found.pid, found.started)
            return None
        if known is not None:
            known.close()
        pool = Pool(found.socket)
        sandbox = Sandbox(handle, found.pid, found.started, found.token, pool, process)
        self._sandboxes[handle] = sandbox
        return sandbox


async def end_sandbox(pid: int, started: str, *, grace: float) -> None:
    """Stop a sandbox's process, which stops all that it started; then kill what is left.

    One that does not exit in time can't stop its programs, which have process groups of their own.
    """
    if not await processes.is_alive(pid, started):
        return
    processes.signal_group(pid, signal.SIGTERM)
    await end_tree(pid, started, after=grace)


def _has_no_runs(health: dict[str, Any]) -> bool:
    return not health.get("activeRuns")


def _is_idle(health: dict[str, Any]) -> bool:
    return _has_no_runs(health) and bool(health.get("idle", True))


def authorization(sandbox: Sandbox) -> Headers:
    """Return the header that authorizes requests to a sandbox of an older version."""
    return [(b"authorization", b"Bearer " + sandbox.token.encode())] if sandbox.token else []
