"""Probes the dev server: every second while it starts, less often once it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from links.upstream import Pool, UpstreamError
from mesh.background import keep_running, run_in_background
from sandboxes.daemon.events import Events
from sandboxes.daemon.preview.rules import is_html
from sandboxes.daemon.setup.setup import Setup

SECONDS = 5.0  # for one response
STARTING_EVERY, RUNNING_EVERY = 1.0, 30.0
ALERT = 10  # probes at the faster pace after news of the server
MISSES = 3  # in a row, after which a running server counts as crashed
LOOPBACKS = ("127.0.0.1", "::1")
_CLOSING = ((b"connection", b"close"),)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A server that answered, with any status."""

    loopback: str
    is_html: bool


async def look(port: int) -> ProbeResult | None:
    """Return what answers HEAD / on the port within five seconds; ``None`` if nothing does."""
    for loopback in LOOPBACKS:
        pool = Pool(port, loopback=loopback)
        try:
            async with asyncio.timeout(SECONDS):
                answer = await pool.request("HEAD", "/", headers=_CLOSING, body=b"")
        except (UpstreamError, TimeoutError):
            continue
        answer.close()
        pool.close()
        return ProbeResult(loopback, is_html(answer.headers))
    return None


class Probe:
    """Moves the setup from starting to running, and from running to crashed and back."""

    def __init__(self, setup: Setup, events: Events) -> None:
        self._server, self._events = setup.server, events
        self._phases = setup.phases
        self._work: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()
        self._ran_at: int | None = None  # the port that answered last
        self._alert = 0
        self.on_up: Callable[[], None] = lambda: None
        self.loopback = LOOPBACKS[0]
        setup.server.on_start = self.begin
        setup.server.on_news = self.look_now

    def begin(self) -> None:
        """Probe a server that is being started, and forget the one before."""
        self.stop()
        self._ran_at = None
        what = "probing the dev server"
        self._work = run_in_background(keep_running(self._watch, what=what), what=what)

    def stop(self) -> None:
        """Stop probing. Safe to repeat."""
        if self._work is not None:
            self._work.cancel()

    def look_now(self) -> None:
        """Probe now, and more often for a while: a preview failed, or the server has news."""
        self._alert = ALERT
        self._soon.set()

    async def _watch(self) -> None:
        misses = 0
        while self._phases.kind in ("starting", "running", "crashed"):
            port = self._server.port
            seen = await look(port) if port is not None else None
            if port != self._server.port:
                continue  # another port was announced meanwhile: probe that one
            if seen is None and (seen := await self._look_elsewhere()):
                port = self._server.port
            if seen is not None:
                misses = 0
                self._is_up(port, seen)
            else:
                misses += 1
                if misses >= MISSES and not self._server.is_silent():
                    self._is_down(port)
            self._alert = max(0, self._alert - 1)
            await self._wait(STARTING_EVERY if misses or self._alert else RUNNING_EVERY)

    async def _look_elsewhere(self) -> ProbeResult | None:
        """Switch to the port that the server announced later, if something answers there."""
        port = self._server.moved_to
        seen = await look(port) if port is not None else None
        if seen is None or port != self._server.moved_to:
            return None
        self._server.port, self._server.moved_to = port, None
        self._publish_up(port, seen)
        return seen

    def _is_up(self, port: int | None, seen: ProbeResult) -> None:
        self.loopback = seen.loopback
        kind = self._phases.kind
        if kind == "running" or (kind == "crashed" and port != self._ran_at):
            return
        self._publish_up(port, seen)

    def _publish_up(self, port: int | None, seen: ProbeResult) -> None:
        self._ran_at = port
        self._events.publish_reload()
        self._phases.enter("running", port=port, htmlSupport=seen.is_html)
        self.on_up()

    def _is_down(self, port: int | None) -> None:
        if self._phases.kind == "running":
            reason = "The dev server no longer answers."
            self._phases.enter("crashed", port=port, reason=reason)

    async def _wait(self, seconds: float) -> None:
        self._soon.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._soon.wait()
        except TimeoutError:
            pass
