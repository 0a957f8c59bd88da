"""The server's end of one laptop's tunnel."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import httpx

from links.core.ownership import Hold
from links.core.presence import Fact
from links.machine_clocks import clock_of
from links.peer import Peer, Stream
from links.services import Claimed
from links.sockets import PROTOCOLS, TunnelSocket, opened
from links.transport import LAPTOP, Signed, TunnelTransport, handshake_proof
from links.wire import timing
from links.wire.closing import SILENT, SUPERSEDED
from links.wire.errors import TunnelError
from links.wire.heads import RequestHead
from links.wire.messages import MachineStatus
from links.wire.tunnel import Tunnel
from mesh.http_client import bounded_client
from mesh.lib.asgi import Message, Send
from mesh.version import VERSION

logger = logging.getLogger(__name__)

FIRST_ANSWER: Final = 30.0  # seconds to an answer's head, and between two pieces of its body
CHECK_WITHIN: Final = 2.5  # seconds for the answer to a check, which a person waits for

NOTED_EVERY: Final = 1.0  # seconds in which all messages of a machine count as one heartbeat


@dataclass(frozen=True, slots=True)
class Pulse:
    """How often a machine is pinged; see ``links.wire.timing``."""

    every: float = timing.PING_EVERY
    missed: int = timing.PINGS_MISSED
    last_wait: float = timing.LAST_WAIT
    check_within: float = CHECK_WITHIN


class Connection:
    """Carries messages between a WebSocket and a ``Peer``, and closes it when it is silent."""

    def __init__(
        self,
        send: Send,
        *,
        on_received: Callable[[Connection], None],
        on_status_change: Callable[[Connection, MachineStatus], None],
        pulse: Pulse,
    ) -> None:
        self.id = secrets.token_hex(16)
        self.claimed: Claimed | None = None
        self.hello: dict[str, Any] | None = None
        self.closed_with: tuple[int, str] | None = None
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.peer = Peer(Tunnel("server", {"version": VERSION}), self, self._wake)
        self.ended_by = Fact.BREAK  # until the cause is known
        self.released = asyncio.Event()  # set once the machine's row is released
        self.heard_at = 0.0
        self._pulse = pulse
        self._send = send
        self._on_received = on_received
        self._on_status_change = on_status_change
        self._wakeup: asyncio.Future[None] | None = None
        self._unanswered = 0
        self._noted_at = -NOTED_EVERY
        self._timer: asyncio.TimerHandle | None = None

    @cached_property
    def client(self) -> httpx.AsyncClient:
        """The client that sends signed requests through this connection."""
        assert self.claimed is not None
        return bounded_client(
            TunnelTransport(self.peer),
            limits=LAPTOP,
            base_url="http://laptop",
            auth=Signed(self.claimed.secret, clock_of(self.claimed.link_id)),
            timeout=httpx.Timeout(FIRST_ANSWER),
        )

    @property
    def link_id(self) -> UUID | None:
        """The machine's link, once it is claimed."""
        return None if self.claimed is None else self.claimed.link_id

    @property
    def hold(self) -> Hold | None:
        """This process's claim, once the machine is claimed."""
        if self.claimed is None:
            return None
        return Hold(self.claimed.link_id, self.id, self.claimed.fingerprint)

    @property
    def is_superseded(self) -> bool:
        return self.closed_with is not None and self.closed_with[0] == SUPERSEDED

    def take(self, message: Message) -> None:
        """Feed one message of the WebSocket to the tunnel.

        Raises:
            TunnelError: it breaks the protocol.
        """
        data = message.get("bytes")
        if data is None:
            raise TunnelError("A text message arrived; frames are binary.")
        self.heard_at = now = asyncio.get_running_loop().time()
        self._unanswered = 0  # a pong may be queued behind megabytes on a slow line
        if now - self._noted_at >= NOTED_EVERY:
            self._noted_at = now
            self._on_received(self)
        self.peer.feed(data)

    async def write(self) -> None:
        """Send the tunnel's messages until the connection is closed.

        Frames that queue up while one message is being sent go out in the next; the first is
        never delayed.
        """
        while self.closed_with is None:
            message = self.peer.next_message()
            if message is not None:
                await self._send({"type": "websocket.send", "bytes": message})
            else:
                self._wakeup = asyncio.get_running_loop().create_future()
                await self._wakeup
        code, reason = self.closed_with
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def websocket(
        self, target: str, headers: Sequence[tuple[str, str]], protocols: Sequence[str]
    ) -> TunnelSocket:
        """Return a WebSocket to ``target`` of the laptop's control plane.

        Raises:
            Refused: the laptop refused, or can't be reached.
        """
        assert self.claimed is not None
        clock = clock_of(self.claimed.link_id)
        sent = [*headers, *handshake_proof(self.claimed.secret, target, clock).items()]
        if protocols:
            sent.append((PROTOCOLS, ", ".join(protocols)))
        return await opened(
            self.peer, RequestHead("GET", target, sent, websocket=True), within=FIRST_ANSWER
        )

    async def check(self) -> float | None:
        """Return the round-trip time of a signed request, in seconds; ``None`` if none answers.

        A machine that sent nothing at all meanwhile is considered gone and its socket is closed;
        one that sent anything is slow, not dead.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.peer.tunnel.ping(b"")  # answered even if the control plane is busy
        try:
            answer = await self.client.get("/api/sandboxes", timeout=self._pulse.check_within)
        except httpx.TransportError:
            if self.heard_at < began:
                self.close(SILENT, "silent", Fact.SILENCE)
            return None
        return loop.time() - began if answer.is_success else None

    def close(self, code: int, reason: str, fact: Fact = Fact.BREAK) -> None:
        """Stop sending and close the WebSocket. Only the first call counts."""
        if self.closed_with is None:
            self.closed_with, self.ended_by = (code, reason), fact
            self.closing.set_result(None)
            self._wake()

    def lose(self, reason: str) -> None:
        """Release everything: the WebSocket is lost."""
        if self._timer is not None:
            self._timer.cancel()
        self.peer.lose(reason)

    def watch(self) -> None:
        """Ping the machine at each pulse, and close the connection if it does not answer."""
        if self._unanswered >= self._pulse.missed:
            logger.info("link %s: no answer to %d pings; closing", self.link_id, self._unanswered)
            self.close(SILENT, "silent", Fact.SILENCE)
            return
        self._unanswered += 1
        self.peer.tunnel.ping(b"")
        self._wake()
        is_last = self._unanswered >= self._pulse.missed
        wait = self._pulse.last_wait if is_last else self._pulse.every
        self._timer = asyncio.get_running_loop().call_later(wait, self.watch)

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    # Callbacks of the peer

    def on_hello(self, info: dict[str, Any]) -> None:
        self.hello = info

    def on_status(self, info: dict[str, Any]) -> None:
        self._on_status_change(self, MachineStatus.parse(info))

    def on_pong(self, payload: bytes) -> None:
        self._on_received(self)

    def on_open(self, stream: Stream) -> None:
        # A laptop has no requests for the server over the tunnel.
        stream.close("refused")
