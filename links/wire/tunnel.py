"""The tunnel's rules without its sockets: messages in, events out; calls in, messages out.

One class serves both ends. ``receive`` takes what came over the WebSocket and returns what it
means; ``open``, ``head``, ``data``, ``end`` and ``reset`` queue what this end has to say, and
``pull`` returns the next message to send. Bytes of a stream wait until the other end has
granted credit; streams that have something to say take turns, so that none starves.
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

WINDOW: Final = 1024 * 1024  # bytes a stream may have under way: 20 MB/s at 50 ms
# Bytes that a reader takes before it grants them again, if that is less than half a window: the
# sender of a long body over a slow line sees that it moves.
GRANT: Final = 128 * 1024
MAX_WINDOW: Final = 16 * 1024 * 1024
MAX_STREAMS: Final = 1024  # opened by the other end at once
MAX_FAREWELL: Final = 125  # bytes of an END that are looked at
MAX_CONTROL: Final = 4096  # answers of the connection's own that may wait
OVERHEAD: Final = 64  # bytes that a frame which waits costs beside its payload, about
_CONNECTION: Final = 0

Side = Literal["server", "laptop"]


class Hello(NamedTuple):
    """The other end's greeting; ``info`` is what it says of itself."""

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
    """Bytes of a body, or a WebSocket message; its piece if ``kind`` is PART."""

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
    consumed: int = 0  # bytes taken by our reader and not yet granted again
    waiting: deque[tuple[int, bytes | memoryview]] = field(default_factory=deque)
    queued: int = 0  # what ``waiting`` costs: an empty message is not for nothing
    in_turn: bool = False  # its id is in the round
    moved: int = 0  # see ``Tunnel.moved``


class Tunnel:
    """One end of a tunnel. The server opens odd streams, the laptop even ones."""

    def __init__(self, side: Side, info: dict[str, Any], *, window: int = WINDOW) -> None:
        self._window = window
        self._grant = min(GRANT, (window + 1) // 2)
        self._next_id = 1 if side == "server" else 2
        self._parity = self._next_id % 2
        self._newest_of_peer = 0
        self._peer_window = 0  # known from its greeting; until then nothing may be opened
        self._streams: dict[int, _Stream] = {}
        self._opened_here = 0
        self._control: deque[frames.Frame] = deque()
        self._round: deque[int] = deque()
        hello = {**info, "protocol": version.CURRENT, "window": window}
        self._control.append((frames.HELLO, _CONNECTION, frames.pack_json(hello)))

    # What this end has to say

    @property
    def is_ready(self) -> bool:
        """Whether the other end has greeted."""
        return self._peer_window > 0

    def open(self, head: RequestHead) -> int:
        """Queue a new stream's head; return the stream's id.

        Raises:
            TunnelNotReady: the other end has not greeted yet.
            TooManyStreams: as many are open as the other end takes.
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
        """Queue the head of an answer. Does nothing on a stream that is void by now."""
        self._say(number, HEAD, head.pack())

    def send(self, number: int, data: bytes | memoryview, kind: int = DATA) -> None:
        """Queue body bytes, or a whole WebSocket message; ``data`` may not change any more."""
        if data or kind == TEXT or self._is_websocket(number):
            self._say(number, kind, data)

    def end(self, number: int, payload: bytes = b"") -> None:
        """Queue the end of this direction. Does nothing on a stream that is void by now."""
        self._say(number, END, payload)

    def reset(self, number: int, code: str) -> None:
        """Void a stream: what it had queued is dropped, what still comes is ignored."""
        if number in self._streams:
            self._forget(number)
            self._control.append((RESET, number, code.encode()))

    def stop(self, number: int) -> None:
        """Void a stream after what it has queued went out: the answer is complete, and the
        rest of the request is of no use."""
        stream = self._streams.get(number)
        if stream is not None:
            self._queue(number, stream, RESET, b"done")

    def consumed(self, number: int, data: bytes) -> None:
        """Tell that the reader has taken ``data``: its room is granted again, ``GRANT`` bytes or
        half a window at a time."""
        stream = self._streams.get(number)
        if stream is None or stream.receiving == ENDED:
            return
        stream.consumed += len(data) or 1
        if stream.consumed >= self._grant:
            stream.allowance += stream.consumed
            self._control.append((CREDIT, number, frames.pack_credit(stream.consumed)))
            stream.consumed = 0

    def status(self, info: dict[str, Any]) -> None:
        """Queue what the machine can do now."""
        self._control.append((frames.STATUS, _CONNECTION, frames.pack_json(info)))

    def ping(self, payload: bytes) -> None:
        """Queue a ping; the other end's ``Pong`` carries ``payload``."""
        self._control.append((frames.PING, _CONNECTION, payload))

    def queued(self, number: int) -> int:
        """Return what a stream's frames cost that wait here, for credit or for their turn: their
        bytes, and ``OVERHEAD`` for each."""
        stream = self._streams.get(number)
        return stream.queued if stream else 0

    def moved(self, number: int) -> int:
        """Return a number that grows whenever something of the stream leaves this end, or the
        other end has taken more of it."""
        stream = self._streams.get(number)
        return stream.moved if stream else 0

    @property
    def has_output(self) -> bool:
        """Whether ``pull`` has something to return."""
        return bool(self._control or self._round)

    def pull(self) -> bytes | None:
        """Return the next message for the wire; ``None`` when nothing may be sent now.

        It carries about ``PIECE`` bytes at most: what the connection has to say, then one
        turn of each stream that may speak.
        """
        batch: list[frames.Frame] = []
        room = PIECE  # more than one piece may follow when little room is left: twice this at most
        while self._control and room > 0:
            batch.append(self._control.popleft())
            room -= len(batch[-1][2]) + frames.HEADER
        while self._round and room > 0:
            number = self._round.popleft()
            room = self._take_turn(number, self._streams[number], batch, room)
        return frames.pack(batch) if batch else None

    def _take_turn(self, number: int, stream: _Stream, batch: list[frames.Frame], room: int) -> int:
        """Move what the stream may say now into ``batch``; return the room that is left."""
        waiting = stream.waiting
        while waiting and room > 0:
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
            room -= size + frames.HEADER
        stream.in_turn = False
        if batch and batch[-1][0] == RESET:
            self._forget(number)
            return room
        if waiting:
            self._join_round(number, stream)
        else:
            self._forget_if_over(number, stream)
        return room

    def _say(self, number: int, kind: int, payload: bytes | memoryview) -> None:
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

    # What the other end says

    def receive(self, message: bytes) -> list[Event]:
        """Return what ``message`` means, in its order.

        Raises:
            TunnelError: the other end broke the protocol; the connection must be closed
                with the error's ``close_code``, and nothing of the message may be used.
        """
        events: list[Event] = []
        for kind, number, payload in frames.unpack(message):
            if kind not in frames.KNOWN:
                continue  # of a later version, which knows that we skip it
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
            raise OutOfTurn("A stream's frame came without a stream.")

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
                raise OutOfTurn("A frame came on a stream that nobody opened.")
            return  # void by now; these were under way
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
            raise OutOfTurn("A stream was opened under a number that is not free.")
        head = unpack_request(payload)
        self._check_listens()  # a refusal of the stream is an answer, too
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
            raise OutOfTurn("A WebSocket frame came on a stream that is none.")
        if kind == HEAD:
            events.append(Answered(number, unpack_answer(payload)))
        else:
            events.append(Ended(number, payload[:MAX_FAREWELL]))
            self._forget_if_over(number, stream)

    def _reply(self, frame: frames.Frame) -> None:
        self._check_listens()
        self._control.append(frame)

    def _check_listens(self) -> None:
        if len(self._control) >= MAX_CONTROL:
            raise OutOfTurn("The other end asks more than it listens.")

    # Both

    def _was_opened(self, number: int) -> bool:
        if number % 2 == self._parity:
            return number < self._next_id
        return number <= self._newest_of_peer

    def _forget_if_over(self, number: int, stream: _Stream) -> None:
        if stream.sending == ENDED and stream.receiving == ENDED and not stream.waiting:
            self._forget(number)

    def _forget(self, number: int) -> None:
        stream = self._streams.pop(number)
        if number % 2 == self._parity:
            self._opened_here -= 1
        if stream.in_turn:
            self._round.remove(number)
