"""Sandboxes that the server reaches directly at their own address, with a token."""

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
from sandboxes.providers.draining_connections import DrainingTransport
from sandboxes.providers.sandbox_client import Endpoint, HttpProvider
from sandboxes.providers.signature import clock_at, handshake

logger = logging.getLogger(__name__)

PORT: Final = 9000  # on which the sandbox listens
POLL_EVERY: Final = 0.1  # seconds, while a sandbox starts
KEPT: Final = (
    200  # sandboxes whose connections are kept; those of the least recently used are closed
)


class DirectProvider(HttpProvider):
    """A kind whose sandboxes are reached over the network, at ``address_of`` their handle.

    ``token_of`` returns the token of a handle. It is the same in each server process, so that each
    can reach a sandbox that another one started. A subclass must find, start, end and remove a
    sandbox, and say whether one that does not answer has failed.
    """

    unreachable = SandboxDown  # if nothing listens at the address, the sandbox has ended
    start_limit = 30.0  # seconds from the start to the first successful health check
    hung_after = 20.0  # seconds without an answer, after which one that ran before is restarted

    def __init__(self, *, token_of: Callable[[str], str]) -> None:
        self.token_of = token_of
        self._endpoints: OrderedDict[str, tuple[Endpoint, DrainingTransport]] = OrderedDict()
        # One operation at a time for each handle, so that ensure and remove don't interleave. A
        # lock exists while it is in use.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._starting: set[str] = set()
        self._ending: Counter[str] = Counter()  # callers waiting to end a sandbox, by handle

    @abstractmethod
    async def address_of(self, handle: str) -> str:
        """Return host:port of a running sandbox, or ""."""

    @abstractmethod
    async def start(self, place: Place) -> None:
        """Start the sandbox, which is created if necessary. Safe to repeat."""

    @abstractmethod
    async def take_down(self, place: Place, *, removes: bool) -> None:
        """End the sandbox, with ``removes`` also its files. Safe to repeat."""

    @abstractmethod
    async def failure_reason(self, handle: str) -> str:
        """Return why a sandbox will not start, or "" while it still may."""

    async def restart(self, place: Place) -> None:
        """End a sandbox that hangs, and start it again with its files.

        Raises:
            NotOffered: its files would be lost.
            TimeoutError: it did not end.
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
        # One that another process is starting runs as well; it only needs more time.
        if ran_before and not await self._answers(place, within=self.hung_after):
            await self._restart(place)
        if not await self._answers(place, within=self.start_limit):
            why = f"it did not answer within {self.start_limit:.0f} s"
            raise _failed(why)

    async def _restart(self, place: Place) -> None:
        logger.warning(
            "sandbox %s: no answer within %.0f s, restarting it", place.handle, self.hung_after
        )
        try:
            await self.restart(place)
        except NotOffered as exc:
            raise _failed(f"it hangs and can't be restarted. {exc}") from exc
        except TimeoutError as exc:
            raise _failed("it hangs and could not be ended.") from exc

    async def stop(self, place: Place, *, force: bool = False) -> None:
        await self._end(place, force=force, removes=False)

    async def remove(self, place: Place, *, force: bool = False) -> None:
        await self._end(place, force=force, removes=True)

    async def endpoint(self, place: Place) -> Endpoint:
        if place.handle not in self._endpoints:
            address = await self.address_of(place.handle)
            if not address:
                raise SandboxDown
            if place.handle not in self._endpoints:  # another caller may have been faster
                self._endpoints[place.handle] = self._connect_to(place.handle, address)
        self._endpoints.move_to_end(place.handle)
        endpoint, _ = self._endpoints[place.handle]
        if len(self._endpoints) > KEPT:
            await self.forget(next(iter(self._endpoints)))
        return endpoint

    def _connect_to(self, handle: str, address: str) -> tuple[Endpoint, DrainingTransport]:
        wire = DrainingTransport(
            httpx.AsyncHTTPTransport(
                trust_env=False,  # ignore this machine's proxy settings
                socket_options=LITTLE_UNSENT,
            )
        )
        client = bounded_client(
            wire,
            limits=LAPTOP,
            base_url=f"http://{address}",
            headers={"authorization": f"Bearer {self.token_of(handle)}"},
        )
        return Endpoint(client, "/_sandbox"), wire

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
        """Drop the cached address, which may have changed, so that the next use looks it up.

        Its connections are closed once the streams that use them have ended.
        """
        _, wire = self._endpoints.pop(handle, (None, None))
        if wire is not None:
            await wire.drain()

    def _lock(self, handle: str) -> asyncio.Lock:
        return self._locks.setdefault(handle, asyncio.Lock())

    async def _socket(self, place: Place, target: str, scope: Scope, headers: Pairs) -> FarSocket:
        try:
            endpoint = await self.endpoint(place)
        except AppError as exc:
            raise Refused(502) from exc
        address = str(endpoint.client.base_url).replace("http", "ws", 1).rstrip("/")
        subprotocols = [Subprotocol(name) for name in scope.get("subprotocols", [])]
        proof = ("authorization", f"Bearer {self.token_of(place.handle)}")
        return await connected(
            NoRedirectConnect(  # a redirect could send the token to an address that an agent chose
                address_of(address, target),
                additional_headers=[
                    *headers,
                    proof,
                    handshake(target, handle=place.handle, clock=clock_at(place)),
                ],
                subprotocols=subprotocols or None,
                compression=None,
                max_size=MAX_MESSAGE,
                user_agent_header=None,
                ping_interval=None,
                proxy=None,
            )
        )

    async def _end(self, place: Place, *, force: bool, removes: bool) -> None:
        # Ending outranks starting, and no agent works in a sandbox that has not started.
        force = force or place.handle in self._starting
        self._ending[place.handle] += 1
        try:
            async with self._lock(place.handle):
                if not force and await self._is_at_work(place):
                    raise DispatchRefused(
                        "sandbox_busy", "An agent is working in the sandbox.", "Stop its run first."
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
            return True  # slow: an agent may be working, so don't end it on a guess

    async def _answers(self, place: Place, *, within: float) -> bool:
        """Wait until the sandbox answers; return whether it did.

        Raises:
            DispatchRefused: it has failed, or a caller ends it.
        """
        try:
            async with asyncio.timeout(within):
                while not await self._is_healthy(place):
                    if self._ending[place.handle]:
                        raise DispatchRefused(
                            "sandbox_deleted",
                            "The sandbox was ended while it was starting.",
                            "Start it again if you still need it.",
                        )
                    if why := await self.failure_reason(place.handle):
                        raise _failed(why)
                    await asyncio.sleep(POLL_EVERY)
        except TimeoutError:
            return False
        return True


def _failed(why: str) -> DispatchRefused:
    return DispatchRefused("sandbox_failed", f"The sandbox did not start: {why}", "")
