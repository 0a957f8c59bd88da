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

FIRST_ANSWER: Final = 30.0  # for an answer's head, and between two pieces of its body
CHECK_WITHIN: Final = 2.5  # for the answer to "are you there?", which somebody waits for

NOTED_EVERY: Final = 1.0  # seconds in which all words of a machine count as one


@dataclass(frozen=True, slots=True)
class Pulse:
    """How often a machine is asked whether it is there; see ``links.wire.timing``."""

    every: float = timing.PING_EVERY
    missed: int = timing.PINGS_MISSED
    last_wait: float = timing.LAST_WAIT
    check_within: float = CHECK_WITHIN


class Connection:
    """Carries messages between a WebSocket and a ``Peer``, and watches that it lives."""

    def __init__(
        self,
        send: Send,
        *,
        heard: Callable[[Connection], None],
        status_changed: Callable[[Connection, MachineStatus], None],
        pulse: Pulse,
    ) -> None:
        self.id = secrets.token_hex(16)
        self.claimed: Claimed | None = None
        self.hello: dict[str, Any] | None = None
        self.closed_with: tuple[int, str] | None = None
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.peer = Peer(Tunnel("server", {"version": VERSION}), self, self._wake)
        self.ended_by = Fact.BREAK  # until something better is known
        self.released = asyncio.Event()  # the machine's row says that it is gone
        self.heard_at = 0.0
        self._pulse = pulse
        self._send = send
        self._heard = heard
        self._status_changed = status_changed
        self._wakeup: asyncio.Future[None] | None = None
        self._unanswered = 0
        self._noted_at = -NOTED_EVERY
        self._timer: asyncio.TimerHandle | None = None

    @cached_property
    def client(self) -> httpx.AsyncClient:
        """The client whose requests go, signed, through this connection."""
        assert self.claimed is not None
        return bounded_client(
            TunnelTransport(self.peer),
            limits=LAPTOP,
            base_url="http://laptop",
            auth=Signed(self.claimed.secret),
            timeout=httpx.Timeout(FIRST_ANSWER),
        )

    @property
    def link_id(self) -> UUID | None:
        """The machine's link, once it is claimed."""
        return None if self.claimed is None else self.claimed.link_id

    @property
    def hold(self) -> Hold | None:
        """What this process says it holds, once the machine is claimed."""
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
            raise TunnelError("Text came where frames are due.")
        self.heard_at = now = asyncio.get_running_loop().time()
        self._unanswered = 0  # a pong may stand behind megabytes that move slowly
        if now - self._noted_at >= NOTED_EVERY:
            self._noted_at = now
            self._heard(self)
        self.peer.feed(data)

    async def write(self) -> None:
        """Send what the tunnel has to say, for as long as the connection lasts.

        What piles up while one message is being sent goes out together with the next; the
        first is never held back.
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
            Refused: by the laptop, or it can't be reached.
        """
        assert self.claimed is not None
        asked = [*headers, *handshake_proof(self.claimed.secret, target).items()]
        if protocols:
            asked.append((PROTOCOLS, ", ".join(protocols)))
        return await opened(
            self.peer, RequestHead("GET", target, asked, websocket=True), within=FIRST_ANSWER
        )

    async def check(self) -> float | None:
        """Return how many seconds a signed request and its answer take just now.

        ``None`` when there is no answer in time. A machine that did not say a single word
        meanwhile is taken for gone and its socket closed; one that did is slow, not dead.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.peer.tunnel.ping(b"")  # answered even where the control plane has much to do
        try:
            answer = await self.client.get("/api/sandboxes", timeout=self._pulse.check_within)
        except httpx.TransportError:
            if self.heard_at < began:
                self.close(SILENT, "silent", Fact.SILENCE)
            return None
        return loop.time() - began if answer.is_success else None

    def close(self, code: int, reason: str, fact: Fact = Fact.BREAK) -> None:
        """Say nothing more and close the WebSocket. The first code counts."""
        if self.closed_with is None:
            self.closed_with, self.ended_by = (code, reason), fact
            self.closing.set_result(None)
            self._wake()

    def lose(self, reason: str) -> None:
        """Let go of everything: the WebSocket is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self.peer.lose(reason)

    def watch(self) -> None:
        """Ask the machine at each pulse whether it is there, and close when it is not."""
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

    # What the peer tells

    def on_hello(self, info: dict[str, Any]) -> None:
        self.hello = info

    def on_status(self, info: dict[str, Any]) -> None:
        self._status_changed(self, MachineStatus.parse(info))

    def on_pong(self, payload: bytes) -> None:
        self._heard(self)

    def on_open(self, stream: Stream) -> None:
        # The laptop has nothing to ask of the server over the tunnel.
        stream.close("refused")
