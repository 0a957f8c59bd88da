"""uvicorn's HTTP protocol with the limits it has no option for.

uvicorn buffers a request head of any length: one of 50 MB takes a gigabyte. It waits without limit
for the rest of a head, for the next piece of a body, and for a client that reads nothing: a few
hundred idle sockets then use up a server's file descriptors. Here every connection either makes
progress or is closed. Nor does uvicorn check where a response ends: see ``mesh.framing``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from mesh.framing import IS_STREAM, framed
from mesh.lib.proxies import limit_key
from mesh.write_watch import WriteWatch, keep_little_unsent

HEAD_WITHIN: Final = 20.0  # seconds for a whole request head, however slowly it arrives
BODY_SILENCE: Final = 30.0  # seconds between two pieces of a body
WRITE_SILENCE: Final = 60.0  # seconds in which a client must read some of what waits for it
HEAD_BYTES: Final = 64 * 1024  # of a head, of trailers, or of anything else outside a body
# After a response that was sent before the whole body had arrived: the rest is read and discarded.
# If the connection were closed immediately, the client's system would discard the response instead
# (RFC 9112, section 9.6), and a proxy would turn it into a 502.
LINGER_WITHIN: Final = 30.0  # seconds in total
LINGER_SILENCE: Final = 5.0  # seconds between two pieces
LINGER_BYTES: Final = 64 * 1024 * 1024
MOST_PER_ADDRESS: Final = 500  # connections; an office behind one address has fewer
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)


class Crowd:
    """Counts the open connections of each address; those of ``is_exempt`` are not limited."""

    def __init__(self, is_exempt: Callable[[str], bool], *, most: int = MOST_PER_ADDRESS) -> None:
        self._is_exempt, self._most = is_exempt, most
        self._open: dict[str, set[asyncio.BaseTransport]] = {}

    def admits(self, address: str, transport: asyncio.BaseTransport) -> bool:
        """Count a new connection; return whether it may stay."""
        if self._is_exempt(address):
            return True
        mine = self._open.setdefault(limit_key(address), set())
        if len(mine) >= self._most:
            # A connection that became a WebSocket ends without a call of ``leave``.
            mine.difference_update([each for each in mine if each.is_closing()])
        if len(mine) >= self._most:
            return False
        mine.add(transport)
        return True

    def leave(self, address: str, transport: asyncio.BaseTransport) -> None:
        """Forget a connection; safe to repeat."""
        key = limit_key(address)
        mine = self._open.get(key, set())
        mine.discard(transport)
        if not mine:
            self._open.pop(key, None)


class Lingering:
    """Discards further input, up to a limit, and then closes the connection."""

    def __init__(
        self, transport: asyncio.Transport, *, within: float, silence: float, left: int
    ) -> None:
        self._transport, self._silence, self._left = transport, silence, left
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.call_later(within, transport.abort)
        self._silent = self._loop.call_later(silence, transport.abort)

    def take(self, size: int) -> None:
        """Discard ``size`` bytes."""
        self._left -= size
        self._silent.cancel()
        if self._left < 0:
            self._transport.abort()
        else:
            self._silent = self._loop.call_later(self._silence, self._transport.abort)

    def stop(self) -> None:
        self._end.cancel()
        self._silent.cancel()


class Ending:
    """A transport as one request's response sees it; ``end`` is called instead of its close."""

    def __init__(self, transport: asyncio.Transport, end: Callable[[], None]) -> None:
        self._transport = transport
        self.close = end
        self.write, self.is_closing = transport.write, transport.is_closing


class GuardedHttp(HttpToolsProtocol):
    """Closes connections that stall in the middle of a request or a response."""

    head_within: ClassVar[float] = HEAD_WITHIN
    body_silence: ClassVar[float] = BODY_SILENCE
    write_silence: ClassVar[float] = WRITE_SILENCE
    linger_within: ClassVar[float] = LINGER_WITHIN
    linger_silence: ClassVar[float] = LINGER_SILENCE
    linger_bytes: ClassVar[int] = LINGER_BYTES
    crowd: ClassVar[Crowd | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = framed(self.app)

    _guard: asyncio.TimerHandle | None = None
    _writes: WriteWatch | None = None
    _lingering: Lingering | None = None
    _received_at = 0.0
    _beside_body = 0  # bytes since the last piece of a body, or since a head was complete
    _is_websocket = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        if self.crowd is not None and not self.crowd.admits(address, transport):
            transport.abort()
            return
        keep_little_unsent(transport)  # or a slow client's progress shows in steps of megabytes
        self._writes = WriteWatch(transport, within=self.write_silence)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relax()
        if self._lingering is not None:
            self._lingering.stop()
        self.resume_writing()
        if self.crowd is not None and self.client:
            self.crowd.leave(self.client[0], self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingering is not None:
            self._lingering.take(len(data))
            return
        self._received_at = self.loop.time()
        self._beside_body += len(data)
        super().data_received(data)
        if self._beside_body > HEAD_BYTES and not self.transport.is_closing():
            self._refuse_head()
            return
        is_idle = not self._is_websocket and (self.cycle is None or self.cycle.response_complete)
        if is_idle and self._guard is None and self.timeout_keep_alive_task is None:
            self._await_head()  # data arrived, but no request started: perhaps empty lines

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._guard is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._relax()
        self._beside_body = 0
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:  # not so for a WebSocket
            ending = Ending(self.transport, partial(self._end, self.cycle))
            self.cycle.transport = ending  # type: ignore[assignment]  # it has all that is used
        self._guard = self.loop.call_later(self.body_silence, self._look_at_body)

    def on_body(self, body: bytes) -> None:
        self._beside_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._relax()
        self._beside_body = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._lingering is None:
            super().on_response_complete()
        else:  # this connection reads no further request
            self.server_state.total_requests += 1

    def handle_websocket_upgrade(self) -> None:
        self._is_websocket = True
        self._relax()
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._writes is not None:
            self._writes.start()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writes is not None:
            self._writes.stop()

    def end_stream(self) -> None:
        """Close the connection if its response is a stream of events, which would not end."""
        if self.cycle is not None and self.cycle.scope.get(IS_STREAM):
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()  # a close would wait for a client that reads nothing

    def _end(self, cycle: RequestResponseCycle) -> None:
        """Close the connection after a response: immediately if the whole request has arrived."""
        is_early = cycle.response_complete and cycle.more_body
        if not is_early or self.pipeline or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._relax()
        self.flow.resume_reading()
        self.transport.write_eof()  # tells the client that nothing follows
        self._lingering = Lingering(
            self.transport,
            within=self.linger_within,
            silence=self.linger_silence,
            left=self.linger_bytes,
        )

    def _refuse_head(self) -> None:
        self._relax()
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        else:  # in the middle of another response
            self.transport.abort()

    def _await_head(self) -> None:
        self._relax()
        self._guard = self.loop.call_later(self.head_within, self.transport.abort)

    def _look_at_body(self) -> None:
        waits_for_us = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if waits_for_us:
            self._received_at = self.loop.time()
        left = self._received_at + self.body_silence - self.loop.time()
        if left <= 0:
            self.transport.abort()
        else:
            self._guard = self.loop.call_later(left, self._look_at_body)

    def _relax(self) -> None:
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None


def guarded(*, is_exempt: Callable[[str], bool]) -> type[GuardedHttp]:
    """Return the protocol of a public server, which also limits connections by address."""
    options: dict[str, Any] = {"crowd": Crowd(is_exempt)}
    return type("GuardedHttp", (GuardedHttp,), options)
