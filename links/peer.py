"""A tunnel's end in asyncio: streams to read from and write to. Used at both ends.

The owner of the WebSocket passes each message to ``feed``, and sends what ``next_message``
returns whenever ``wake`` is called. There is no task and no queue per stream: a waiting reader is
one future, and bytes go from the message to the reader without another hop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from links.wire.frames import DATA
from links.wire.heads import AnswerHead, RequestHead
from links.wire.tunnel import (
    Answered,
    Ended,
    Hello,
    Opened,
    Pong,
    Received,
    Reset,
    Status,
    Tunnel,
)
from mesh.lib.errors import AppError

HIGH_WATER = 256 * 1024  # a writer waits once more bytes of its stream are queued …
LOW_WATER = 64 * 1024  # … until no more than this are
JOINED = 64 * 1024  # at most so many bytes of queued chunks are joined for one read
# A queued chunk of one byte costs far more memory than its byte.
MAX_CHUNKS = 256  # of a body that may be queued before they are joined
MAX_MESSAGES = 16 * 1024  # of a WebSocket, and their pieces, that may be queued: not joinable


class StreamLost(AppError):
    """The stream was reset by the other end, or the tunnel was lost."""

    code = "stream_lost"
    text = "The connection to the machine was lost."
    hint = "It reconnects automatically; try again in a moment."
    status = 502

    def __init__(self, reason: str) -> None:
        super().__init__(f"The stream to the machine ended early ({reason}).")
        self.reason = reason


class Stream:
    """One request and its answer, as one end sees them."""

    __slots__ = (
        "_chunks",
        "_ended",
        "_is_websocket",
        "_join_at",
        "_lost",
        "_peer",
        "_waiter",
        "answer_head",
        "end_payload",
        "id",
        "on_lost",
        "request_head",
    )

    def __init__(
        self,
        peer: Peer,
        number: int,
        request_head: RequestHead | None,
        *,
        is_websocket: bool = False,
    ) -> None:
        self.id = number
        self.request_head = request_head  # of a stream that the other end opened
        self.answer_head: AnswerHead | None = None
        self.end_payload = b""  # the close code and reason of a WebSocket
        self.on_lost: Callable[[], None] | None = None  # called once, when a reset arrives
        self._peer = peer
        self._chunks: deque[Received] = deque()
        self._is_websocket = is_websocket
        self._join_at = MAX_MESSAGES if is_websocket else MAX_CHUNKS
        self._ended = False
        self._lost = ""
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_lost(self) -> bool:
        return bool(self._lost)

    @property
    def moved(self) -> int:
        """A number that grows whenever written data makes progress."""
        return self._peer.tunnel.moved(self.id)

    @property
    def has_unsent(self) -> bool:
        """Whether written data is still queued at this end."""
        return self._peer.tunnel.queued(self.id) > 0

    @property
    def is_complete(self) -> bool:
        """Whether the other end's direction has arrived completely (read or not)."""
        return self._ended

    async def head(self) -> AnswerHead:
        """Return the answer's head once it has arrived.

        Raises:
            StreamLost: it will not arrive.
        """
        while self.answer_head is None:
            self._check()
            await self._wait()
        return self.answer_head

    @property
    def has_data(self) -> bool:
        """Whether ``read`` would return without waiting."""
        return bool(self._chunks) or self._ended

    async def read(self) -> bytes:
        """Return the next bytes of the body; empty at its end.

        Small queued chunks are joined, so that a slow reader catches up faster.

        Raises:
            StreamLost: the body is incomplete.
        """
        chunk = await self.read_message()
        if chunk is None:
            return b""
        if not self._chunks:
            return chunk.data
        parts, remaining = [chunk.data], JOINED - len(chunk.data)
        while self._chunks and len(self._chunks[0].data) <= remaining:
            data = self._chunks.popleft().data
            self._peer.consumed(self.id, data)
            parts.append(data)
            remaining -= len(data)
        return b"".join(parts)

    async def read_message(self) -> Received | None:
        """Return the next chunk with its kind (of a WebSocket: a message or a piece of one)."""
        while not self._chunks:
            if self._ended:
                return None
            self._check()
            await self._wait()
        chunk = self._chunks.popleft()
        self._peer.consumed(self.id, chunk.data)
        return chunk

    def answer(self, head: AnswerHead) -> None:
        self._peer.tunnel.answer(self.id, head)
        self._peer.wake()

    async def write(self, data: bytes, kind: int = DATA) -> None:
        """Queue ``data``; wait only while much of this stream is already queued.

        Raises:
            StreamLost: it can't be delivered.
        """
        if self._lost:
            raise StreamLost(self._lost)
        tunnel = self._peer.tunnel
        tunnel.send(self.id, data, kind)
        self._peer.wake()
        if tunnel.queued(self.id) > HIGH_WATER:
            await self._peer.drained(self.id)
            if self._lost:
                raise StreamLost(self._lost)

    def end(self, payload: bytes = b"") -> None:
        self._peer.tunnel.end(self.id, payload)
        self._peer.wake()

    def close(self, reason: str) -> None:
        """Release the stream; reset it unless both directions are complete. Repeatable."""
        self._peer.release(self, reason)

    def finish(self) -> None:
        """Release an answered stream: the whole answer is sent, the rest of the request refused."""
        self._peer.finish(self)

    # Called by the peer

    def deliver(self, chunk: Received) -> None:
        if not chunk.data and not self._is_websocket:
            self._peer.consumed(self.id, b"")  # a reader would take an empty chunk for the end
            return
        self._chunks.append(chunk)
        if len(self._chunks) >= self._join_at:
            self._reduce_queue()
        self._wake()

    def _reduce_queue(self) -> None:
        """Join a body's queued chunks; reset a WebSocket."""
        if self._is_websocket:
            self._chunks.clear()
            self._peer.release(self, "too_many_messages")
            self.lose("too_many_messages")
            return
        joined: deque[Received] = deque()
        parts: list[bytes] = []
        size = 0
        for chunk in self._chunks:
            if parts and size + len(chunk.data) > JOINED:
                joined.append(Received(self.id, b"".join(parts), DATA))
                parts, size = [], 0
            parts.append(chunk.data)
            size += len(chunk.data)
        joined.append(Received(self.id, b"".join(parts), DATA))
        self._chunks = joined
        self._join_at = len(joined) + MAX_CHUNKS

    def deliver_head(self, head: AnswerHead) -> None:
        self.answer_head = head
        self._wake()

    def deliver_end(self, payload: bytes) -> None:
        self._ended, self.end_payload = True, payload
        self._wake()

    def lose(self, reason: str) -> None:
        self._lost = reason
        self._wake()
        if self.on_lost is not None:
            self.on_lost()

    def _check(self) -> None:
        if self._lost:
            raise StreamLost(self._lost)

    async def _wait(self) -> None:
        # One reader per stream: a second one would overwrite the first one's future.
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Handlers(Protocol):
    """A peer's callbacks, called synchronously while it reads a message."""

    def on_hello(self, info: dict[str, Any]) -> None: ...
    def on_status(self, info: dict[str, Any]) -> None: ...
    def on_pong(self, payload: bytes) -> None: ...
    def on_open(self, stream: Stream) -> None: ...


class Peer:
    """All streams of one tunnel connection, at one end."""

    def __init__(self, tunnel: Tunnel, handlers: Handlers, wake: Callable[[], None]) -> None:
        self.tunnel = tunnel
        self.wake = wake
        self._handlers = handlers
        self._streams: dict[int, Stream] = {}
        self._writers: dict[int, asyncio.Future[None]] = {}
        self._lost = ""

    def open(self, head: RequestHead) -> Stream:
        """Return a new stream whose request begins with ``head``.

        Raises:
            StreamLost: the connection was lost.
            TooManyStreams, TunnelNotReady: see ``Tunnel.open``.
        """
        if self._lost:
            raise StreamLost(self._lost)
        stream = Stream(self, self.tunnel.open(head), None, is_websocket=head.websocket)
        self._streams[stream.id] = stream
        self.wake()
        return stream

    def feed(self, message: bytes) -> None:
        """Process a message from the WebSocket.

        Raises:
            TunnelError: close the connection with the error's ``close_code``.
        """
        for event in self.tunnel.receive(message):
            # The most frequent first.
            if isinstance(event, Received):
                if stream := self._streams.get(event.stream):
                    stream.deliver(event)
            elif isinstance(event, Answered):
                if stream := self._streams.get(event.stream):
                    stream.deliver_head(event.head)
            elif isinstance(event, Ended):
                if stream := self._streams.get(event.stream):
                    stream.deliver_end(event.payload)
            elif isinstance(event, Opened):
                stream = Stream(self, event.stream, event.head, is_websocket=event.head.websocket)
                self._streams[event.stream] = stream
                self._handlers.on_open(stream)
            elif isinstance(event, Reset):
                self._on_reset(event)
            else:
                self._on_connection(event)
        if self.tunnel.has_output:
            self.wake()

    def next_message(self) -> bytes | None:
        """Return the next message for the WebSocket, if there is one to send now."""
        message = self.tunnel.pull()
        if self._writers:
            for number in [n for n in self._writers if self.tunnel.queued(n) <= LOW_WATER]:
                self._wake_writer(number)
        return message

    def lose(self, reason: str) -> None:
        """Notify every stream that the connection was lost."""
        self._lost = reason
        for number in list(self._writers):
            self._wake_writer(number)
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.lose(reason)

    def consumed(self, number: int, data: bytes) -> None:
        self.tunnel.consumed(number, data)
        if self.tunnel.has_output:
            self.wake()

    async def drained(self, number: int) -> None:
        """Wait until little of the stream is queued, or it was reset."""
        if self._lost:
            return
        future = self._writers.get(number)
        if future is None:
            future = self._writers[number] = asyncio.get_running_loop().create_future()
        await asyncio.shield(future)  # a cancelled writer must not wake the others

    def release(self, stream: Stream, reason: str) -> None:
        if self._streams.pop(stream.id, None) is not None and not self._lost:
            self.tunnel.reset(stream.id, reason)
            self._wake_writer(stream.id)
            self.wake()

    def finish(self, stream: Stream) -> None:
        if self._streams.pop(stream.id, None) is not None and not stream.is_complete:
            self.tunnel.stop(stream.id)
            self.wake()

    def _on_reset(self, event: Reset) -> None:
        self._wake_writer(event.stream)
        stream = self._streams.pop(event.stream, None)
        if stream is not None:
            stream.lose(event.code)

    def _on_connection(self, event: Hello | Status | Pong) -> None:
        if isinstance(event, Hello):
            self._handlers.on_hello(event.info)
        elif isinstance(event, Status):
            self._handlers.on_status(event.info)
        else:
            self._handlers.on_pong(event.payload)

    def _wake_writer(self, number: int) -> None:
        future = self._writers.pop(number, None)
        if future is not None and not future.done():
            future.set_result(None)
