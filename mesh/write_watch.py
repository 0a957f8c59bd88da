"""How a server notices that the other end of a connection has stopped reading.

The limit is on silence, not on the length of a transfer: a phone on a slow line may take minutes
for one message of megabytes. So while data waits to be sent, the watch checks from time to time
whether it is getting less, in the program's buffer and in the system's.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from contextlib import suppress
from typing import Final

LEAST: Final = 1024  # bytes between two checks: with less, some hundred clients block a server
UNSENT: Final = 128 * 1024  # bytes that the system may buffer: a ping waits behind no more
_SO_NWRITE: Final = 0x1024  # of macOS; Python has no name for it


class WriteWatch:
    """Aborts ``transport`` when its other end reads nothing for ``within`` seconds.

    ``start`` it when the write buffer is full, ``stop`` it when there is room again.
    """

    def __init__(self, transport: asyncio.Transport, *, within: float) -> None:
        self._transport, self._within = transport, within
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._left = 0

    def start(self) -> None:
        """Start checking. Safe to repeat."""
        if self._timer is None:
            self._look_later(unsent(self._transport))

    def stop(self) -> None:
        """Stop checking. Safe to repeat."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self, left: int) -> None:
        self._left = left
        self._timer = self._loop.call_later(self._within, self._look)

    def _look(self) -> None:
        self._timer = None
        left = unsent(self._transport)
        if left > self._left - LEAST:
            self._transport.abort()
        else:
            self._look_later(left)


def unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes the other end has not read yet, as far as the system knows."""
    sock = transport.get_extra_info("socket")
    return transport.get_write_buffer_size() + (_queued(sock) if sock is not None else 0)


def _queued(sock: socket.socket) -> int:
    """Return how many bytes the system still buffers for the other end; 0 if it is unknown."""
    with suppress(OSError):
        if sys.platform == "darwin":
            return sock.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
        queued = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
        return int(struct.unpack("i", queued)[0])
    return 0


def keep_little_unsent(transport: asyncio.BaseTransport) -> None:
    """Limit the system's send buffer, so that a ping is not stuck behind megabytes."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    sock = transport.get_extra_info("socket")
    if option is not None and sock is not None:
        with suppress(OSError):  # a unix socket has no such option
            sock.setsockopt(socket.IPPROTO_TCP, option, UNSENT)
