"""The endpoint for laptops: a raw ASGI application for the WebSocket ``/api/links/connect``.

Raw, because a Channels consumer would cost seven eighths of the throughput. The composition root
passes in the callbacks for a machine that connects or disconnects.
"""

from __future__ import annotations

import asyncio
import json
import logging
import weakref
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final
from uuid import UUID

from links import held_machines, services
from links.connection import Connection, Pulse
from links.core.presence import Fact, cause_of
from links.errors import BadToken, FromAPage, LinkUnknown
from links.held_machines import Held
from links.machine_clocks import MachineClock, clock_of
from links.sign_ins import SignIns
from links.wire.closing import NOT_REGISTERED, SIGNED_OUT, SUPERSEDED
from links.wire.errors import TunnelError, UpgradeRequired
from links.wire.messages import MachineStatus
from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY
from mesh.lib.asgi import Receive, Scope, Send
from mesh.lib.errors import AppError, StoreNotReady
from mesh.tokens import SignIn, WrongMachine, bearer, find_sign_in

logger = logging.getLogger(__name__)

HELLO_WITHIN: Final = 5.0
TRY_LATER: Final = 1013
FLUSH_AFTER: Final = 1.0  # seconds of heartbeats that are stored in one statement

OnUp = Callable[[UUID], Awaitable[None]]
OnDown = Callable[[UUID, str], Awaitable[None]]


def make_gateway(*, on_up: OnUp, on_down: OnDown, pulse: Pulse | None = None) -> Gateway:
    """Return the application; ``on_up`` and ``on_down`` run beside the connection.

    ``on_down`` gets the cause (``links.core.presence``) and is not called for a connection that
    a newer one of the same machine replaced.
    """
    return Gateway(on_up=on_up, on_down=on_down, pulse=pulse or Pulse())


class Gateway:
    """Authenticates and greets machines, and registers their connections."""

    def __init__(self, *, on_up: OnUp, on_down: OnDown, pulse: Pulse) -> None:
        self._on_up = on_up
        self._on_down = on_down
        self._pulse = pulse
        self._tasks: set[asyncio.Task[None]] = set()
        self._sign_ins = SignIns()
        self._heartbeats: dict[str, Connection] = {}
        self._flushing = False
        self._statuses: dict[str, MachineStatus] = {}  # to be stored, by connection
        # Two connections of one machine claim the row and ``held_machines`` in the same order.
        self._locks: weakref.WeakValueDictionary[tuple[int, str], asyncio.Lock] = (
            weakref.WeakValueDictionary()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if any(name == b"origin" for name, _ in scope["headers"]):
            # Programs send no Origin; browsers always do, and a page is not a machine.
            await _refuse(scope, send, FromAPage())
            return
        token = bearer(_header(scope, b"authorization"))
        try:
            found = await database_pool.rights.run(find_sign_in, token) if token else None
        except DATABASE_AWAY:
            await _refuse(scope, send, StoreNotReady())
            return
        if found is None:
            await _refuse(scope, send, BadToken())
            return
        await send({"type": "websocket.accept"})
        await self._serve(found, receive, send)

    async def _serve(self, sign_in: SignIn, receive: Receive, send: Send) -> None:
        connection = Connection(
            send,
            on_received=self._note_heartbeat,
            on_status_change=self._store_status,
            pulse=self._pulse,
        )
        writer = asyncio.create_task(_write(connection))
        self._sign_ins.add(connection, sign_in)
        try:
            if await self._admit(sign_in, connection, receive):
                await _receive_until_closed(connection, receive)
        finally:
            connection.lose("disconnected")
            self._sign_ins.remove(connection)
            if connection.closed_with is None:
                connection.close(1000, "", connection.ended_by)  # ends a waiting writer
            try:
                # Before the close frame is sent: to a silent machine that may take a while.
                await self.release(connection)
            finally:
                connection.released.set()
                await asyncio.wait([writer], timeout=5)
                writer.cancel()

    async def _admit(self, sign_in: SignIn, connection: Connection, receive: Receive) -> bool:
        try:
            if not await _greeted(connection, receive):
                return False
        except TimeoutError:
            connection.close(1008, "hello timeout")
            return False
        except TunnelError as exc:
            connection.close(exc.close_code, exc.code)
            if isinstance(exc, UpgradeRequired):
                await self._note_outdated(sign_in, _text_of(exc.extra, "machineId"))
            return False
        return await self._claim(sign_in, connection)

    async def _note_outdated(self, sign_in: SignIn, machine_id: str) -> None:
        if not sign_in.speaks_for(machine_id):
            return
        try:
            await database_pool.presence.run(
                services.refuse_outdated, user=sign_in.user, machine_id=machine_id[:64]
            )
        except DATABASE_AWAY as exc:
            logger.warning(
                "machine %s: outdated deco_link refused, not recorded; database unavailable: %s",
                machine_id[:64],
                exc,
            )

    async def _claim(self, sign_in: SignIn, connection: Connection) -> bool:
        """Claim the machine, in its row and in ``held_machines``; return whether that succeeded."""
        assert connection.hello is not None
        machine_id = _text_of(connection.hello, "machineId")
        fingerprint = _text_of(connection.hello, "secretFingerprint")
        server_key = connection.hello.get("serverKey")
        lock = self._locks.setdefault((sign_in.user.pk, machine_id), asyncio.Lock())
        clock = MachineClock()
        clock.learn(connection.hello.get("clock"))
        async with lock:
            try:
                connection.claimed = await database_pool.presence.run(
                    services.claim,
                    user=sign_in.user,
                    machine_id=machine_id,
                    secret_fingerprint=fingerprint,
                    server_key=None if server_key is None else str(server_key),
                    connection_id=connection.id,
                    node_address=held_machines.address(),
                    slept=connection.hello.get("slept"),
                    clock_ahead=clock.ahead,
                    sign_in=sign_in,
                )
            except (LinkUnknown, WrongMachine) as exc:
                connection.close(NOT_REGISTERED, exc.code)
                return False
            except DATABASE_AWAY:
                connection.close(TRY_LATER, StoreNotReady.code)
                return False
            self._correct_clock(connection.claimed.link_id, ahead=clock.ahead)
            self.register(connection.claimed.link_id, connection)
        connection.watch()
        return True

    def _correct_clock(self, link_id: UUID, *, ahead: int) -> None:
        clock_of(link_id).ahead = ahead
        if ahead:
            logger.warning("link %s: its clock is %+d s off; signing by that clock", link_id, ahead)

    def register(self, link_id: UUID, connection: Held) -> None:
        """Add a claimed machine to ``held_machines``, and announce that it is up."""
        older = held_machines.put(link_id, connection)
        if older is not None:
            older.close(SUPERSEDED, "superseded")
        self._run(self._on_up(link_id), what=f"link {link_id}: announcing that it is up")
        logger.info("link %s: connected", link_id)

    async def release(self, connection: Held) -> None:
        """Remove a machine from ``held_machines`` and its row, and announce that it is down.

        Does nothing for a connection that was never claimed.
        """
        if connection.claimed is None:
            return
        link_id, fact = connection.claimed.link_id, connection.ended_by
        held_machines.remove(link_id, connection)
        self._heartbeats.pop(connection.id, None)
        try:
            cause = await database_pool.presence.run(
                services.release, connection_id=connection.id, fact=fact
            )
        except DATABASE_AWAY as exc:
            # The deadline does it later; runs on this tunnel must be notified now.
            logger.warning(
                "link %s: not marked offline until its deadline; database unavailable: %s",
                link_id,
                exc,
            )
            cause = cause_of(fact)
        logger.info("link %s: disconnected: %s", link_id, cause or fact.value)
        # Also if the row is no longer ours (it was revoked, say): runs on this tunnel must be
        # notified, unless a newer connection took over.
        is_replaced = connection.is_superseded or held_machines.find(link_id) is not None
        if cause or not is_replaced:
            down = self._on_down(link_id, cause or cause_of(fact))
            self._run(down, what=f"link {link_id}: announcing that it is down")

    # Presence, outside the path of the frames

    def _note_heartbeat(self, connection: Connection) -> None:
        if connection.claimed is None:
            return
        self._heartbeats[connection.id] = connection
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(FLUSH_AFTER, self._start_flush)

    def _start_flush(self) -> None:
        self._run(self._flush(), what="links: storing heartbeats")

    async def _flush(self) -> None:
        received, self._heartbeats = self._heartbeats, {}
        self._flushing = False
        try:
            lost = await database_pool.heartbeats.run(
                services.keep_online, connection_ids=received.keys()
            )
        except DATABASE_AWAY as exc:
            logger.warning(
                "links: %d heartbeats not stored; database unavailable: %s", len(received), exc
            )
            return
        await self.judge([received[connection_id] for connection_id in lost])

    async def judge(self, connections: Collection[Held]) -> None:
        """Close the connections whose machines' rows say that they are no longer ours."""
        by_id = {one.id: one for one in connections}
        holds = [one.hold for one in connections if one.hold is not None]
        if not holds:
            return
        closing = await database_pool.presence.run(
            services.judge_holds, holds=holds, node_address=held_machines.address()
        )
        for connection_id, verdict in closing.items():
            fact = Fact.SIGN_IN_ENDED if verdict.code == SIGNED_OUT else Fact.CLOSED_HERE
            by_id[connection_id].close(verdict.code, verdict.reason, fact)

    def _store_status(self, connection: Connection, status: MachineStatus) -> None:
        """Store the newest status: one write at a time, however often a machine reports one."""
        is_storing = connection.id in self._statuses
        self._statuses[connection.id] = status
        if not is_storing:
            storing = self._store_statuses(connection.id)
            self._run(storing, what=f"link {connection.link_id}: storing its status")

    async def _store_statuses(self, connection_id: str) -> None:
        stored = None
        try:
            while (status := self._statuses[connection_id]) is not stored:
                stored = status
                await database_pool.presence.run(
                    services.change_status, connection_id=connection_id, status=status
                )
        finally:
            del self._statuses[connection_id]

    def _run(self, work: Awaitable[None], *, what: str) -> None:
        """Run ``work`` beside the connection; its failure is logged and stops nothing."""
        task = asyncio.ensure_future(_logged(work, what=what))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _greeted(connection: Connection, receive: Receive) -> bool:
    async with asyncio.timeout(HELLO_WITHIN):
        while connection.hello is None:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return False
            connection.take(message)
    return True


async def _receive_until_closed(connection: Connection, receive: Receive) -> None:
    """Feed the tunnel until the WebSocket is lost, or we close it.

    Does not wait for the answer to our close frame, which a silent machine would delay.
    """
    reader = asyncio.create_task(_receive_all(connection, receive))
    try:
        either: set[asyncio.Future[Any]] = {reader, connection.closing}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if reader.done():
            reader.result()
    finally:
        reader.cancel()


async def _receive_all(connection: Connection, receive: Receive) -> None:
    """Feed the tunnel until the WebSocket is lost; record why."""
    try:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                if connection.closed_with is None and message.get("code") == 1012:
                    connection.ended_by = Fact.SERVER_STOPS
                return
            connection.take(message)
    except TunnelError as exc:
        logger.warning(
            "link %s: closing after a protocol error: %s (%s)", connection.link_id, exc.code, exc
        )
        connection.close(exc.close_code, exc.code)


async def _write(connection: Connection) -> None:
    try:
        await connection.write()
    except Exception as exc:  # each ASGI server has its own exception for a lost connection
        logger.debug("link %s: WebSocket lost while sending: %r", connection.link_id, exc)


async def _logged(work: Awaitable[None], *, what: str) -> None:
    try:
        await work
    except AppError as exc:
        logger.warning("%s failed: %s (%s)", what, exc.code, exc)
    except Exception:
        logger.exception("%s failed", what)


async def _refuse(scope: Scope, send: Send, why: AppError) -> None:
    """Answer with ``why`` if the ASGI server supports it, else refuse the handshake (403)."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"application/json")]
    start = {"type": "websocket.http.response.start", "status": why.status, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": json.dumps(why.body()).encode()})


def _text_of(hello: Mapping[str, Any], name: str) -> str:
    """Return a field of a greeting as text; empty if a database query can't contain it."""
    text = str(hello.get(name, ""))
    return text if text.isprintable() else ""


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return ""
