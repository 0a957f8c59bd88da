"""Calls machines at their own addresses: the same signed requests, without a tunnel.

A machine that registered such an address and sends heartbeats is taken by one process, which
asks it now and then whether it answers: only an answer moves its deadline, so that one that
can't be reached is not called online.
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
from links.services import Claimed
from links.services.direct_machines import Reachable
from links.sockets import MAX_MESSAGE, ClientSocket, Parting, Straight, address_of, connected
from links.transport import LAPTOP, Signed, handshake_proof
from links.wire.closing import SILENT, SUPERSEDED
from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY
from mesh.http_client import LITTLE_UNSENT, bounded_client

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 3.0  # seconds between two looks for machines that nobody calls
AGAIN: Final = 2.0  # seconds after an answer that did not come: its deadline is near


class DirectConnection:
    """To the rest of the server what a tunnel's ``Connection`` is."""

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
        """The client whose requests go, signed, to the machine's address, and nowhere else."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        # No proxy of ours stands between.
        wire = httpx.AsyncHTTPTransport(
            verify=_tls(), limits=limits, trust_env=False, socket_options=LITTLE_UNSENT
        )
        return bounded_client(
            wire,
            limits=LAPTOP,
            base_url=self.machine.url,
            auth=Signed(self.machine.secret),
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
            Refused: by the laptop, or it can't be reached.
        """
        url = self.machine.url.replace("http", "ws", 1)
        proof = handshake_proof(self.machine.secret, target)
        opening = Straight(
            address_of(url, target),
            create_connection=Parting,
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
        """Return how many seconds a signed request and its answer take; ``None``: no answer."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await self.client.get("/api/sandboxes", timeout=within)
        except httpx.TransportError:
            return None
        return loop.time() - began if answer.is_success else None

    def close(self, code: int, reason: str, fact: Fact = Fact.BREAK) -> None:
        """Call the machine no more. The first code counts."""
        if self.closed_with is None:
            self.closed_with, self.ended_by = (code, reason), fact
            self.closing.set()


class Directs:
    """Finds the machines that wait to be called, and calls them for as long as they answer."""

    def __init__(self, gateway: Gateway, *, pulse: Pulse | None = None) -> None:
        self._gateway = gateway
        self._pulse = pulse or Pulse()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Task[None] | None = None
        self._kept: dict[UUID, asyncio.Task[None]] = {}
        self._rung = asyncio.Event()

    async def start(self) -> None:
        """Begin, once, if the operator lets machines be called."""
        if self._looking is None and services.is_used():
            self._loop = asyncio.get_running_loop()
            self._looking = asyncio.create_task(self._look_around())

    async def stop(self) -> None:
        """Let go of every machine, so that another process can call it."""
        tasks = [*filter(None, [self._looking]), *self._kept.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop = self._looking = None

    def notify(self, link_id: UUID) -> None:
        """Look at once: a machine changed. Safe from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._rung.set)

    async def look(self) -> None:
        """Begin to call every machine that waits for it."""
        for machine in await database_pool.presence.run(services.list_reachable):
            if machine.link_id not in self._kept:
                task = asyncio.create_task(self._keep(machine))
                self._kept[machine.link_id] = task
                task.add_done_callback(partial(self._forget, machine.link_id))

    def _forget(self, link_id: UUID, _: asyncio.Task[None]) -> None:
        self._kept.pop(link_id, None)

    async def _look_around(self) -> None:
        while True:
            self._rung.clear()
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
                    await self._rung.wait()

    async def _keep(self, machine: Reachable) -> None:
        connection = DirectConnection(machine)
        try:
            if await connection.check() is None:
                await database_pool.presence.run(services.note_unreachable, machine=machine)
                return  # looked at again in a moment
            connection.claimed = await database_pool.presence.run(
                services.claim_reachable,
                machine=machine,
                connection_id=connection.id,
                node_address=held_machines.address(),
            )
            if connection.claimed is not None:
                self._gateway.took(machine.link_id, connection)
                await self._watch(connection)
        except DATABASE_AWAY as exc:
            logger.warning("link %s: releasing; database unavailable: %s", machine.link_id, exc)
        finally:
            await self._gateway.release(connection)
            connection.released.set()
            await connection.client.aclose()

    async def _watch(self, connection: DirectConnection) -> None:
        """Return when the machine answers no more, or is not ours any more."""
        missed = 0
        while not await self._closes_within(connection, AGAIN if missed else self._pulse.every):
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
    # Also honours SSL_CERT_FILE: an operator's own authority.
    return ssl.create_default_context()
