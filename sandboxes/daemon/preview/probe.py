"""Probes the dev server: often while it starts, seldom once it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from links.upstream import Pool, UpstreamError
from mesh.background import keep_running, run_in_background
from mesh.lib.errors import AppError
from sandboxes.daemon.events import Events
from sandboxes.daemon.preview.address import Address
from sandboxes.daemon.preview.rules import is_html
from sandboxes.daemon.setup.candidates import Candidate
from sandboxes.daemon.setup.setup import Setup

SECONDS = 5.0  # for one response
STARTING_EVERY, ALERT_EVERY, RUNNING_EVERY = 0.3, 1.0, 30.0
UNSEEN_AFTER = 20.0  # seconds of a start after which a person is told that nothing answers
ALERT = 10  # probes at the faster pace after news of the server
MISSES = 3  # in a row, after which a running server counts as crashed
LOOPBACKS = ("127.0.0.1", "::1")
_CLOSING = ((b"connection", b"close"),)
_REFUSES_HEAD = (405, 501)


class PortNotOwn(AppError):
    """It is somebody else's, or nobody's: the menu shows a project's own servers alone."""

    code = "port_not_own"
    hint = "Choose one of the ports in the menu, or write the port into mesh.toml."
    status = 409


class NotAWebServer(AppError):
    code = "not_a_web_server"
    hint = "Choose another of the ports in the menu."
    status = 409


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A server that answered, with any status; or that took the request and is slow to answer."""

    address: Address
    is_html: bool
    is_slow: bool = False


async def look(one: Candidate) -> ProbeResult | None:
    """Return what answers a request for / within five seconds; ``None`` if nothing listens there
    or speaks HTTP."""
    for is_secure in (one.is_secure, not one.is_secure):
        for loopback in LOOPBACKS:
            address = Address(one.port, loopback, is_secure, one.path)
            try:
                async with asyncio.timeout(SECONDS):
                    return await _ask(address)
            except TimeoutError:
                if is_secure == one.is_secure:
                    return ProbeResult(address, is_html=False, is_slow=True)
            except UpstreamError:
                pass  # the other family, or the other scheme, may be what it speaks
    return None


async def _ask(address: Address) -> ProbeResult:
    pool = Pool(address.port, loopback=address.loopback, tls=address.tls)
    try:
        for method in ("HEAD", "GET"):
            answer = await pool.request(method, "/", headers=_CLOSING, body=b"")
            answer.close()
            if answer.status not in _REFUSES_HEAD:
                break
        return ProbeResult(address, is_html(answer.headers))
    finally:
        pool.close()


def best(
    seen: Sequence[ProbeResult | None], *, wanted: int | None, chosen: int | None = None
) -> ProbeResult | None:
    """Return the server to show, of those seen at the candidates, in their order.

    That at the port ``wanted`` by a person, if it is there; else that ``chosen`` in the menu; else
    the first with a page, the first that answers, the first at all.
    """
    found = [one for one in seen if one is not None]
    ranks: list[Callable[[ProbeResult], bool]] = [
        lambda one: one.address.port == wanted,
        lambda one: one.address.port == chosen,
        lambda one: one.is_html and not one.is_slow,
        lambda one: not one.is_slow,
        lambda one: True,
    ]
    return next((one for rank in ranks for one in found if rank(one)), None)


class Probe:
    """Moves the setup from starting to running, and from running to crashed and back."""

    def __init__(self, setup: Setup, events: Events) -> None:
        self._setup, self._server, self._events = setup, setup.server, events
        self._phases = setup.phases
        self._work: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._begun = 0.0
        self._alert = 0
        self._seen_at: Address | None = None  # where the server of this start answered last
        self._told: list[int] = []  # the ports of the menu
        self._is_chosen_anew = False
        self.on_up: Callable[[], None] = lambda: None
        setup.server.on_start = self.begin
        setup.server.on_news = self.look_now

    @property
    def address(self) -> Address | None:
        """Where requests go: where the server answered, or else the port that is written down."""
        wanted = self._server.wanted
        return self._seen_at or (None if wanted is None else Address(wanted))

    def begin(self) -> None:
        """Probe a server that is being started, and forget the one before."""
        self.stop()
        self._seen_at = None
        self._begun = self._clock()
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

    async def choose(self, port: int | None) -> None:
        """Show the server at one of the project's own ports from now on; ``None``: the likeliest.

        Raises:
            PortNotOwn, NotAWebServer: nothing was changed.
            NotKept: the disk can't store it.
        """
        if port is not None:
            one = next((c for c in await self._server.candidates() if c.port == port), None)
            if one is None:
                if port not in self._server.ports:
                    raise PortNotOwn(f"No process of this project listens on port {port}.")
                one = Candidate(port)
            if await look(one) is None:
                raise NotAWebServer(f"What listens on port {port} is no web server.")
        await self._setup.choose_port(port)
        self._is_chosen_anew = True
        self.look_now()

    async def _watch(self) -> None:
        misses = 0
        while self._phases.kind in ("starting", "unseen", "running", "crashed"):
            seen = await self._look()
            if seen is not None:
                misses = 0
                self._is_up(seen)
            else:
                misses += 1
                has_left = misses >= MISSES or self._server.has_failed
                if has_left and not self._server.is_silent():
                    self._is_down(misses)
            self._alert = max(0, self._alert - 1)
            await self._wait(self._pause(misses))

    def _pause(self, misses: int) -> float:
        if self._phases.kind == "starting":
            return STARTING_EVERY
        return ALERT_EVERY if misses or self._alert else RUNNING_EVERY

    async def _look(self) -> ProbeResult | None:
        """Look where the server was; and if it is there no more, or a person wants another, at all
        that it may be."""
        candidates = await self._server.candidates()
        wanted, chosen = self._server.wanted, self._server.chosen
        at, is_anew, self._is_chosen_anew = self._seen_at, self._is_chosen_anew, False
        if at is not None and self._phases.kind == "running" and not is_anew:
            known = Candidate(at.port, at.path, at.is_secure)
            preferred = wanted or chosen or at.port
            if at.port == preferred and (seen := await look(known)):
                return seen
            # Of equals, the one that is shown stays.
            candidates = [known, *(one for one in candidates if one.port != at.port)]
        found = await asyncio.gather(*map(look, candidates))
        return best(found, wanted=wanted, chosen=chosen)

    def _is_up(self, seen: ProbeResult) -> None:
        is_same = self._seen_at is not None and self._seen_at.port == seen.address.port
        self._seen_at = seen.address
        port, path = seen.address.port, seen.address.path
        ports = sorted({port, *self._server.ports})
        if is_same and self._phases.kind == "running":
            if ports != self._told:
                self._told = ports
                self._phases.amend(ports=ports)
            return
        self._told = ports
        detail: dict[str, Any] = {"port": port, "htmlSupport": seen.is_html}
        if len(ports) > 1:
            detail["ports"] = ports
        if path != "/":
            detail["path"] = path
        if self._server.is_open(port):
            detail["isOpen"] = True
        self._events.publish_reload()
        self._phases.enter("running", **detail)
        self.on_up()

    def _is_down(self, misses: int) -> None:
        if self._phases.kind == "running" and misses >= MISSES:
            port = self._seen_at.port if self._seen_at else None
            self._phases.enter("crashed", port=port, reason="The dev server no longer answers.")
        elif self._phases.kind == "starting" and self._clock() - self._begun > UNSEEN_AFTER:
            self._phases.enter("unseen", **self._server.why_unseen())

    async def _wait(self, seconds: float) -> None:
        self._soon.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._soon.wait()
        except TimeoutError:
            pass
