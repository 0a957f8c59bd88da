"""The tunnel's protocol without I/O: messages in, events out; calls in, messages out.

One class serves both ends. ``receive`` parses a message of the WebSocket into events; ``open``,
``answer``, ``send``, ``end`` and ``reset`` queue this end's frames, and ``pull`` returns the next
message to send. Bytes of a stream wait until the other end has granted credit; streams with
queued frames take turns, so that none starves.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from links.wire import frames, version
from links.wire.errors import (
    CreditExceeded,
    FrameTooLarge,
    HelloExpected,
    MalformedFrame,
    OutOfTurn,
    TooManyStreams,
    TunnelNotReady,
    UpgradeRequired,
)
from links.wire.frames import CREDIT, DATA, END, HEAD, OPEN, PART, PIECE, RESET, TEXT
from links.wire.heads import AnswerHead, RequestHead, unpack_answer, unpack_request
from links.wire.stream_state import AWAITS_HEAD, BODY, ENDED, NEXT

WINDOW: Final = 1024 * 1024  # bytes a stream may have in flight: 20 MB/s at 50 ms
# Bytes that a reader consumes before it grants them again, if less than half a window: so the
# sender of a long body over a slow line sees progress.
GRANT: Final = 128 * 1024
MAX_WINDOW: Final = 16 * 1024 * 1024
MAX_STREAMS: Final = 1024  # open at the same time, opened by the other end
MAX_END_PAYLOAD: Final = 125  # bytes of an END frame that are read
MAX_CONTROL: Final = 4096  # queued frames of the connection itself
OVERHEAD: Final = 64  # approximate bytes that a queued frame costs besides its payload
_CONNECTION: Final = 0

Side = Literal["server", "laptop"]


class Hello(NamedTuple):
    """The other end's greeting; ``info`` describes it."""

    info: dict[str, Any]


class Status(NamedTuple):
    """The laptop's capabilities, or what its probe found, have changed."""

    info: dict[str, Any]


class Pong(NamedTuple):
    payload: bytes


class Opened(NamedTuple):
    stream: int
    head: RequestHead


class Answered(NamedTuple):
    stream: int
    head: AnswerHead


class Received(NamedTuple):
    """Bytes of a body, or a WebSocket message; a piece of one if ``kind`` is PART."""

    stream: int
    data: bytes
    kind: int


class Ended(NamedTuple):
    """``payload``: of a WebSocket, how it was closed."""

    stream: int
    payload: bytes = b""


class Reset(NamedTuple):
    stream: int
    code: str


Event = Hello | Status | Pong | Opened | Answered | Received | Ended | Reset


@dataclass(slots=True, eq=False)
class _Stream:
    sending: str
    receiving: str
    websocket: bool
    credit: int  # bytes we may still send
    allowance: int  # bytes the other end may still send
    consumed: int = 0  # bytes consumed by our reader and not yet granted again
    waiting: deque[tuple[int, bytes | memoryview]] = field(default_factory=deque)
    queued: int = 0  # the cost of ``waiting``: an empty message is not free
    in_turn: bool = False  # whether its id is in the round
    moved: int = 0  # see ``Tunnel.moved``


class Tunnel:
    """One end of a tunnel. The server opens odd streams, the laptop even ones."""

    def __init__(self, side: Side, info: dict[str, Any], *, window: int = WINDOW) -> None:
        self._window = window
        self._grant = min(GRANT, (window + 1) // 2)
        self._next_id = 1 if side == "server" else 2
        self._parity = self._next_id % 2
        self._newest_of_peer = 0
        self._peer_window = 0  # from its greeting; until then no stream may be opened
        self._streams: dict[int, _Stream] = {}
        self._opened_here = 0
        self._control: deque[frames.Frame] = deque()
        self._round: deque[int] = deque()
        hello = {**info, "protocol": version.CURRENT, "window": window}
        self._control.append((frames.HELLO, _CONNECTION, frames.pack_json(hello)))

    # Sending

    @property
    def is_ready(self) -> bool:
        """Whether the other end has greeted."""
        return self._peer_window > 0

    def open(self, head: RequestHead) -> int:
        """Queue a new stream's head; return the stream's id.

        Raises:
            TunnelNotReady: the other end has not greeted yet.
            TooManyStreams: the other end accepts no more.
        """
        if not self.is_ready:
            raise TunnelNotReady
        if self._opened_here >= MAX_STREAMS:
            raise TooManyStreams
        payload = head.pack()
        number = self._next_id
        self._next_id += 2
        self._opened_here += 1
        stream = _Stream(BODY, AWAITS_HEAD, head.websocket, self._peer_window, self._window)
        self._streams[number] = stream
        self._queue(number, stream, OPEN, payload)
        return number

    def answer(self, number: int, head: AnswerHead) -> None:
        """Queue the head of an answer. Does nothing on a stream that was reset."""
        self._send_frame(number, HEAD, head.pack())

    def send(self, number: int, data: bytes | memoryview, kind: int = DATA) -> None:
        """Queue body bytes, or a whole WebSocket message; ``data`` must not change afterwards."""
        if data or kind == TEXT or self._is_websocket(number):
            self._send_frame(number, kind, data)

    def end(self, number: int, payload: bytes = b"") -> None:
        """Queue the end of this direction. Does nothing on a stream that was reset."""
        self._send_frame(number, END, payload)

    def reset(self, number: int, code: str) -> None:
        """Reset a stream: its queued frames are dropped, and frames still arriving ignored."""
        if number in self._streams:
            self._forget(number)
            self._control.append((RESET, number, code.encode()))

    def stop(self, number: int) -> None:
        """Reset a stream after its queued frames were sent: the answer is complete, and the rest
        of the request is not needed."""
        stream = self._streams.get(number)
        if stream is not None:
            self._queue(number, stream, RESET, b"done")

    def consumed(self, number: int, data: bytes) -> None:
        """Record that the reader has consumed ``data``, and grant its bytes again: ``GRANT`` bytes
        or half a window at a time."""
        stream = self._streams.get(number)
        if stream is None or stream.receiving == ENDED:
            return
        stream.consumed += len(data) or 1
        if stream.consumed >= self._grant:
            stream.allowance += stream.consumed
            self._control.append((CREDIT, number, frames.pack_credit(stream.consumed)))
            stream.consumed = 0

    def status(self, info: dict[str, Any]) -> None:
        """Queue the machine's present capabilities."""
        self._control.append((frames.STATUS, _CONNECTION, frames.pack_json(info)))

    def ping(self, payload: bytes) -> None:
        """Queue a ping; the other end's ``Pong`` carries ``payload``."""
        self._control.append((frames.PING, _CONNECTION, payload))

    def queued(self, number: int) -> int:
        """Return the cost of a stream's frames that wait for credit or for their turn: their
        bytes, and ``OVERHEAD`` for each."""
        stream = self._streams.get(number)
        return stream.queued if stream else 0

    def moved(self, number: int) -> int:
        """Return a number that grows whenever a frame of the stream leaves this end, or the other
        end grants more credit."""
        stream = self._streams.get(number)
        return stream.moved if stream else 0

    @property
    def has_output(self) -> bool:
        """Whether ``pull`` has something to return."""
        return bool(self._control or self._round)

    def pull(self) -> bytes | None:
        """Return the next message for the wire; ``None`` when nothing may be sent now.

        It carries about ``PIECE`` bytes at most: frames of the connection, then one turn of
        each stream that may send.
        """
        batch: list[frames.Frame] = []
        budget = PIECE  # a whole piece may follow when little is left: twice this at most
        while self._control and budget > 0:
            batch.append(self._control.popleft())
            budget -= len(batch[-1][2]) + frames.HEADER
        while self._round and budget > 0:
            number = self._round.popleft()
            budget = self._take_turn(number, self._streams[number], batch, budget)
        return frames.pack(batch) if batch else None

    def _take_turn(
        self, number: int, stream: _Stream, batch: list[frames.Frame], budget: int
    ) -> int:
        """Move the frames that the stream may send to ``batch``; return the remaining budget."""
        waiting = stream.waiting
        while waiting and budget > 0:
            kind, payload = waiting[0]
            size = len(payload)
            if kind in frames.CARRIES_CREDIT:
                if stream.credit <= 0:
                    break
                most = min(stream.credit, PIECE)
                if size > most:
                    waiting[0] = (kind, memoryview(payload)[most:])
                    payload, size = payload[:most], most
                    kind = PART if stream.websocket else DATA
                else:
                    waiting.popleft()
                    stream.queued -= OVERHEAD
                stream.credit -= size or 1
                stream.queued -= size
            else:
                waiting.popleft()
            batch.append((kind, number, payload))
            stream.moved += size + frames.HEADER
            budget -= size + frames.HEADER
        stream.in_turn = False
        if batch and batch[-1][0] == RESET:
            self._forget(number)
            return budget
        if waiting:
            self._join_round(number, stream)
        else:
            self._forget_if_ended(number, stream)
        return budget

    def _send_frame(self, number: int, kind: int, payload: bytes | memoryview) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        following = NEXT.get((stream.sending, kind))
        if following is None:
            raise AssertionError(f"frame {kind:#x} may not follow {stream.sending} here")
        stream.sending = following
        self._queue(number, stream, kind, payload)

    def _queue(self, number: int, stream: _Stream, kind: int, payload: bytes | memoryview) -> None:
        stream.waiting.append((kind, payload))
        if kind in frames.CARRIES_CREDIT:
            stream.queued += len(payload) + OVERHEAD
        self._join_round(number, stream)

    def _join_round(self, number: int, stream: _Stream) -> None:
        if stream.in_turn or not stream.waiting:
            return
        if stream.credit > 0 or stream.waiting[0][0] not in frames.CARRIES_CREDIT:
            stream.in_turn = True
            self._round.append(number)

    def _is_websocket(self, number: int) -> bool:
        stream = self._streams.get(number)
        return stream is not None and stream.websocket

    # Receiving

    def receive(self, message: bytes) -> list[Event]:
        """Return the events in ``message``, in order.

        Raises:
            TunnelError: the other end violated the protocol; close the connection with the
                error's ``close_code``, and use nothing of the message.
        """
        events: list[Event] = []
        for kind, number, payload in frames.unpack(message):
            if kind not in frames.KNOWN:
                continue  # of a later version, which expects that we skip it
            if not self.is_ready and kind != frames.HELLO:
                raise HelloExpected
            if number == _CONNECTION:
                self._on_connection(kind, payload, events)
            else:
                self._on_stream(kind, number, payload, events)
        return events

    def _on_connection(self, kind: int, payload: bytes, events: list[Event]) -> None:
        if kind == frames.PING:
            if len(payload) > 64:
                raise FrameTooLarge("A ping of more than 64 bytes.")
            self._reply((frames.PONG, _CONNECTION, payload))
        elif kind == frames.PONG:
            events.append(Pong(payload))
        elif kind == frames.HELLO:
            events.append(self._on_hello(payload))
        elif kind == frames.STATUS:
            events.append(Status(frames.unpack_json(payload)))
        else:
            raise OutOfTurn("A stream's frame has no stream id.")

    def _on_hello(self, payload: bytes) -> Hello:
        if self.is_ready:
            raise OutOfTurn("The other end greeted twice.")
        info = frames.unpack_json(payload)
        protocol, window = info.get("protocol"), info.get("window")
        if type(protocol) is not int or type(window) is not int:
            raise MalformedFrame("A greeting names its protocol and its window.")
        if not version.is_supported(protocol):
            raise UpgradeRequired(machineId=info.get("machineId"))
        if not 0 < window <= MAX_WINDOW:
            raise MalformedFrame("The window is not a size that can be granted.")
        self._peer_window = window
        return Hello(info)

    def _on_stream(self, kind: int, number: int, payload: bytes, events: list[Event]) -> None:
        if kind == OPEN:
            self._on_open(number, payload, events)
            return
        stream = self._streams.get(number)
        if stream is None:
            if not self._was_opened(number):
                raise OutOfTurn("A frame arrived on a stream that was never opened.")
            return  # was reset meanwhile; the frame was in flight
        if kind == CREDIT:
            granted = frames.unpack_credit(payload)
            stream.credit += granted
            stream.moved += granted
            if stream.credit > MAX_WINDOW:
                raise CreditExceeded("More credit was granted than a window holds.")
            self._join_round(number, stream)
        elif kind == RESET:
            self._forget(number)
            events.append(Reset(number, payload[:64].decode(errors="replace")))
        else:
            self._on_direction(kind, number, stream, payload, events)

    def _on_open(self, number: int, payload: bytes, events: list[Event]) -> None:
        if number % 2 == self._parity or number <= self._newest_of_peer:
            raise OutOfTurn("A stream was opened under a number that is not available.")
        head = unpack_request(payload)
        self._check_is_reading()  # refusing the stream is an answer too
        self._newest_of_peer = number
        if len(self._streams) - self._opened_here >= MAX_STREAMS:
            self._reply((RESET, number, b"too_many_streams"))
            return
        self._streams[number] = _Stream(
            AWAITS_HEAD, BODY, head.websocket, self._peer_window, self._window
        )
        events.append(Opened(number, head))

    def _on_direction(
        self, kind: int, number: int, stream: _Stream, payload: bytes, events: list[Event]
    ) -> None:
        following = NEXT.get((stream.receiving, kind))
        if following is None:
            raise OutOfTurn(f"Frame {kind:#x} may not follow {stream.receiving}.")
        stream.receiving = following
        if kind in frames.CARRIES_CREDIT:
            stream.allowance -= len(payload) or 1
            if stream.allowance < 0:
                raise CreditExceeded
            if stream.websocket or kind == DATA:
                events.append(Received(number, payload, kind))
                return
            raise OutOfTurn("A WebSocket frame arrived on a plain stream.")
        if kind == HEAD:
            events.append(Answered(number, unpack_answer(payload)))
        else:
            events.append(Ended(number, payload[:MAX_END_PAYLOAD]))
            self._forget_if_ended(number, stream)

    def _reply(self, frame: frames.Frame) -> None:
        self._check_is_reading()
        self._control.append(frame)

    def _check_is_reading(self) -> None:
        if len(self._control) >= MAX_CONTROL:
            raise OutOfTurn("The other end sends requests without reading the answers.")

    # Both

    def _was_opened(self, number: int) -> bool:
        if number % 2 == self._parity:
            return number < self._next_id
        return number <= self._newest_of_peer

    def _forget_if_ended(self, number: int, stream: _Stream) -> None:
        if stream.sending == ENDED and stream.receiving == ENDED and not stream.waiting:
            self._forget(number)

    def _forget(self, number: int) -> None:
        stream = self._streams.pop(number)
        if number % 2 == self._parity:
            self._opened_here -= 1
        if stream.in_turn:
            self._round.remove(number)
