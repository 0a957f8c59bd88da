"""Calls machines at their own addresses: the same signed requests, without a tunnel.

One process claims each machine that registered such an address and sends heartbeats, and checks
periodically whether it answers: only an answer extends its deadline, so that an unreachable
machine is not shown as online.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import ssl
from collections.abc import Sequence
from functools import cached_property, lru_cache, partial
from typing import Final
from uuid import UUID

import httpx
from websockets.typing import Subprotocol

from links import held_machines, services
from links.connection import CHECK_WITHIN, FIRST_ANSWER, Pulse
from links.core.ownership import Hold
from links.core.presence import Fact
from links.gateway import Gateway
from links.machine_clocks import clock_of
from links.services import Claimed
from links.services.direct_machines import Reachable
from links.sockets import (
    MAX_MESSAGE,
    AbortingConnection,
    ClientSocket,
    NoRedirectConnect,
    address_of,
    connected,
)
from links.transport import LAPTOP, Signed, handshake_proof
from links.wire.closing import SILENT, SUPERSEDED
from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY
from mesh.http_client import LITTLE_UNSENT, bounded_client

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 3.0  # seconds between two searches for machines that no process calls
RETRY_AFTER: Final = 2.0  # seconds after a check that failed: the deadline is near


class DirectConnection:
    """Has the interface of a tunnel's ``Connection`` (``held_machines.Held``)."""

    def __init__(self, machine: Reachable) -> None:
        self.id = secrets.token_hex(16)
        self.machine = machine
        self.claimed: Claimed | None = None
        self.closed_with: tuple[int, str] | None = None
        self.ended_by = Fact.BREAK
        self.released = asyncio.Event()
        self.closing = asyncio.Event()

    @cached_property
    def client(self) -> httpx.AsyncClient:
        """The client that sends signed requests to the machine's address, and nowhere else."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        # Without the server's HTTP proxy.
        wire = httpx.AsyncHTTPTransport(
            verify=_tls(), limits=limits, trust_env=False, socket_options=LITTLE_UNSENT
        )
        return bounded_client(
            wire,
            limits=LAPTOP,
            base_url=self.machine.url,
            auth=Signed(self.machine.secret, clock_of(self.machine.link_id)),
            timeout=httpx.Timeout(FIRST_ANSWER),
        )

    @property
    def hold(self) -> Hold:
        return Hold(self.machine.link_id, self.id, self.machine.fingerprint)

    @property
    def is_superseded(self) -> bool:
        return self.closed_with is not None and self.closed_with[0] == SUPERSEDED

    async def websocket(
        self, target: str, headers: Sequence[tuple[str, str]], protocols: Sequence[str]
    ) -> ClientSocket:
        """Return a WebSocket to ``target`` of the laptop's control plane.

        Raises:
            Refused: the laptop refused, or can't be reached.
        """
        url = self.machine.url.replace("http", "ws", 1)
        proof = handshake_proof(self.machine.secret, target, clock_of(self.machine.link_id))
        opening = NoRedirectConnect(
            address_of(url, target),
            create_connection=AbortingConnection,
            additional_headers=[*headers, *proof.items()],
            subprotocols=[Subprotocol(name) for name in protocols] or None,
            ssl=_tls() if url.startswith("wss") else None,
            proxy=None,
            compression=None,
            max_size=MAX_MESSAGE,
            user_agent_header=None,
            open_timeout=FIRST_ANSWER,
            ping_interval=None,
        )
        return await connected(opening)

    async def check(self, within: float = CHECK_WITHIN) -> float | None:
        """Return the round-trip time of a signed request, in seconds; ``None`` if none answers."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await self.client.get("/api/sandboxes", timeout=within)
        except httpx.TransportError:
            return None
        return loop.time() - began if answer.is_success else None

    def close(self, code: int, reason: str, fact: Fact = Fact.BREAK) -> None:
        """Stop calling the machine. Only the first call counts."""
        if self.closed_with is None:
            self.closed_with, self.ended_by = (code, reason), fact
            self.closing.set()


class Directs:
    """Finds the machines that wait to be called, and holds each as long as it answers."""

    def __init__(self, gateway: Gateway, *, pulse: Pulse | None = None) -> None:
        self._gateway = gateway
        self._pulse = pulse or Pulse()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._searching: asyncio.Task[None] | None = None
        self._holding: dict[UUID, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Start, once, if the operator allows direct machines."""
        if self._searching is None and services.is_enabled():
            self._loop = asyncio.get_running_loop()
            self._searching = asyncio.create_task(self._search_periodically())

    async def stop(self) -> None:
        """Release every machine, so that another process can claim it."""
        tasks = [*filter(None, [self._searching]), *self._holding.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop = self._searching = None

    def notify(self, link_id: UUID) -> None:
        """Search now: a machine changed. Safe from any OS thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    async def look(self) -> None:
        """Start to call every machine that waits for it."""
        for machine in await database_pool.presence.run(services.list_reachable):
            if machine.link_id not in self._holding:
                task = asyncio.create_task(self._hold(machine))
                self._holding[machine.link_id] = task
                task.add_done_callback(partial(self._forget, machine.link_id))

    def _forget(self, link_id: UUID, _: asyncio.Task[None]) -> None:
        self._holding.pop(link_id, None)

    async def _search_periodically(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self.look()
            except DATABASE_AWAY as exc:
                logger.warning(
                    "direct links: retrying in %.0f s; database unavailable: %s", LOOK_EVERY, exc
                )
            except Exception:
                logger.exception(
                    "direct links: listing machines failed; retrying in %.0f s", LOOK_EVERY
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._changed.wait()

    async def _hold(self, machine: Reachable) -> None:
        connection = DirectConnection(machine)
        try:
            if await connection.check() is None:
                await database_pool.presence.run(services.note_unreachable, machine=machine)
                return  # the next search finds it again
            connection.claimed = await database_pool.presence.run(
                services.claim_reachable,
                machine=machine,
                connection_id=connection.id,
                node_address=held_machines.address(),
            )
            if connection.claimed is not None:
                self._gateway.register(machine.link_id, connection)
                await self._watch(connection)
        except DATABASE_AWAY as exc:
            logger.warning("link %s: releasing; database unavailable: %s", machine.link_id, exc)
        finally:
            await self._gateway.release(connection)
            connection.released.set()
            await connection.client.aclose()

    async def _watch(self, connection: DirectConnection) -> None:
        """Return when the machine stops answering, or is no longer ours."""
        missed = 0
        while not await self._closes_within(
            connection, RETRY_AFTER if missed else self._pulse.every
        ):
            if await connection.check(self._pulse.last_wait) is None:
                missed += 1
                if missed >= self._pulse.missed:
                    connection.close(SILENT, "silent", Fact.SILENCE)
                continue
            missed = 0
            if await database_pool.heartbeats.run(
                services.keep_online, connection_ids=[connection.id]
            ):
                await self._gateway.judge([connection])

    async def _closes_within(self, connection: DirectConnection, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await connection.closing.wait()
        return connection.closing.is_set()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Honours SSL_CERT_FILE: an operator's own certificate authority.
    return ssl.create_default_context()
