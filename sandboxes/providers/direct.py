"""Sandboxes that the server reaches at an address of their own, with a token."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

import httpx
from websockets.typing import Subprotocol

from agents.repositories import check_from_here
from links.sockets import (
    MAX_MESSAGE,
    FarSocket,
    NoRedirectConnect,
    Refused,
    address_of,
    connected,
    join,
)
from links.transport import LAPTOP
from mesh.http_client import LITTLE_UNSENT, bounded_client
from mesh.lib.asgi import Receive, Scope, Send
from mesh.lib.errors import AppError
from mesh.lib.targets import checked_target
from sandboxes.providers.base import (
    DispatchRefused,
    NotOffered,
    Pairs,
    Place,
    SandboxDown,
    StreamCut,
)
from sandboxes.providers.draining_connections import RetiringTransport
from sandboxes.providers.sandbox_client import SpeakingProvider, Way
from sandboxes.providers.signature import handshake

logger = logging.getLogger(__name__)

PORT: Final = 9000  # at which the sandbox listens
LOOK_EVERY: Final = 0.1  # seconds, while one starts
KEPT: Final = 200  # sandboxes whose connections are kept; the least recently used lose theirs


class DirectProvider(SpeakingProvider):
    """A kind whose sandboxes are reached over the network, at ``address_of`` their handle.

    ``token_of`` gives the token of a handle, the same in each server process, so that any of
    them reaches what another one started. A subclass must find and start a sandbox, end and
    remove one, and say whether one that does not answer may still come.
    """

    unreachable = SandboxDown  # an address at which nobody listens is a sandbox that has ended
    start_limit = 30.0  # seconds from start to the first good health
    hung_after = 20.0  # seconds without an answer, then what ran before is started anew

    def __init__(self, *, token_of: Callable[[str], str]) -> None:
        self.token_of = token_of
        self._ways: OrderedDict[str, tuple[Way, RetiringTransport]] = OrderedDict()
        # One at a time for each handle: ensure and remove never cross. Kept while one is held.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._starting: set[str] = set()
        self._ending: Counter[str] = Counter()  # who waits to end a sandbox

    @abstractmethod
    async def address_of(self, handle: str) -> str:
        """Return host:port of a sandbox that runs, or ""."""

    @abstractmethod
    async def start(self, place: Place) -> None:
        """Have the sandbox started, made first if need be. Safe to repeat."""

    @abstractmethod
    async def take_down(self, place: Place, *, removes: bool) -> None:
        """End the sandbox; ``removes``: with its files. Safe to repeat."""

    @abstractmethod
    async def why_not(self, handle: str) -> str:
        """Return why a sandbox will not come any more, or "" while it may."""

    async def restart(self, place: Place) -> None:
        """End a sandbox that hangs, and start it again with its files.

        Raises:
            NotOffered: its files would be lost.
            TimeoutError: it does not end.
        """
        await self.take_down(place, removes=False)
        await self.start(place)

    async def ensure(self, place: Place) -> None:
        async with self._lock(place.handle):
            if await self._is_healthy(place):
                return
            if place.repo:
                await check_from_here(place.repo["cloneUrl"])
            self._starting.add(place.handle)
            try:
                await self._start(place)
            finally:
                self._starting.discard(place.handle)

    async def _start(self, place: Place) -> None:
        await self.forget(place.handle)
        ran_before = bool(await self.address_of(place.handle))
        await self.start(place)
        # One that another process starts just now runs, too, and is only given its time.
        if ran_before and not await self._answers(place, within=self.hung_after):
            await self._restart(place)
        if not await self._answers(place, within=self.start_limit):
            why = f"it does not answer after {self.start_limit:.0f} s"
            raise _failed(why)

    async def _restart(self, place: Place) -> None:
        logger.warning("Sandbox %s hangs, and is started again.", place.handle)
        try:
            await self.restart(place)
        except NotOffered as exc:
            raise _failed(f"it hangs, and can't be started again. {exc}") from exc
        except TimeoutError as exc:
            raise _failed("it hangs, and does not end.") from exc

    async def stop(self, place: Place, *, force: bool = False) -> None:
        await self._end(place, force=force, removes=False)

    async def remove(self, place: Place, *, force: bool = False) -> None:
        await self._end(place, force=force, removes=True)

    async def way(self, place: Place) -> Way:
        if place.handle not in self._ways:
            address = await self.address_of(place.handle)
            if not address:
                raise SandboxDown
            if place.handle not in self._ways:  # another caller may have been first
                self._ways[place.handle] = self._way_to(place.handle, address)
        self._ways.move_to_end(place.handle)
        way, _ = self._ways[place.handle]
        if len(self._ways) > KEPT:
            await self.forget(next(iter(self._ways)))
        return way

    def _way_to(self, handle: str, address: str) -> tuple[Way, RetiringTransport]:
        wire = RetiringTransport(
            httpx.AsyncHTTPTransport(
                trust_env=False,  # no proxy of this machine has a part in it
                socket_options=LITTLE_UNSENT,
            )
        )
        client = bounded_client(
            wire,
            limits=LAPTOP,
            base_url=f"http://{address}",
            headers={"authorization": f"Bearer {self.token_of(handle)}"},
        )
        return Way(client, "/_sandbox"), wire

    async def join(
        self,
        place: Place,
        path: str,
        *,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Pairs = (),
    ) -> None:
        target = checked_target(f"/_sandbox/{path}")
        await join(scope, receive, send, self._socket(place, target, scope, headers))

    async def forget(self, handle: str) -> None:
        """Look up the address anew at the next use; it may be another one by then.

        The connections are closed when the streams that read through them have ended.
        """
        _, wire = self._ways.pop(handle, (None, None))
        if wire is not None:
            await wire.retire()

    def _lock(self, handle: str) -> asyncio.Lock:
        return self._locks.setdefault(handle, asyncio.Lock())

    async def _socket(self, place: Place, target: str, scope: Scope, headers: Pairs) -> FarSocket:
        try:
            way = await self.way(place)
        except AppError as exc:
            raise Refused(502) from exc
        address = str(way.client.base_url).replace("http", "ws", 1).rstrip("/")
        wanted = [Subprotocol(name) for name in scope.get("subprotocols", [])]
        proof = ("authorization", f"Bearer {self.token_of(place.handle)}")
        return await connected(
            NoRedirectConnect(  # a redirect would send the token wherever an agent likes
                address_of(address, target),
                additional_headers=[*headers, proof, handshake(target, handle=place.handle)],
                subprotocols=wanted or None,
                compression=None,
                max_size=MAX_MESSAGE,
                user_agent_header=None,
                ping_interval=None,
                proxy=None,
            )
        )

    async def _end(self, place: Place, *, force: bool, removes: bool) -> None:
        # Its start gives way, and nobody can be at work in what has not started.
        force = force or place.handle in self._starting
        self._ending[place.handle] += 1
        try:
            async with self._lock(place.handle):
                if not force and await self._is_at_work(place):
                    raise DispatchRefused(
                        "sandbox_busy", "An agent is at work in the sandbox.", "Stop its run first."
                    )
                await self.forget(place.handle)
                await self.take_down(place, removes=removes)
        finally:
            self._ending[place.handle] -= 1
            if not self._ending[place.handle]:
                del self._ending[place.handle]

    async def _is_healthy(self, place: Place) -> bool:
        try:
            return (await self.request(place, "GET", "health", limit=2)).is_success
        except (SandboxDown, StreamCut):
            await self.forget(place.handle)
            return False

    async def _is_at_work(self, place: Place) -> bool:
        try:
            answer = await self.request(place, "GET", "health", limit=5)
            return bool(answer.json().get("activeRuns"))
        except SandboxDown:
            return False
        except (StreamCut, ValueError, AttributeError, RecursionError):
            return True  # slow: it may be at work, and is not ended on a guess

    async def _answers(self, place: Place, *, within: float) -> bool:
        """Wait until the sandbox answers; say whether it does.

        Raises:
            DispatchRefused: it will not, or somebody ends it meanwhile.
        """
        try:
            async with asyncio.timeout(within):
                while not await self._is_healthy(place):
                    if self._ending[place.handle]:
                        raise DispatchRefused(
                            "sandbox_deleted",
                            "The sandbox was ended while it started.",
                            "Start it again if it is still needed.",
                        )
                    if why := await self.why_not(place.handle):
                        raise _failed(why)
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError:
            return False
        return True


def _failed(why: str) -> DispatchRefused:
    return DispatchRefused("sandbox_failed", f"The sandbox did not start: {why}", "")
