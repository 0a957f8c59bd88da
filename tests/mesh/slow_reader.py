"""A client behind a slow line: its buffer is small, and it takes a little at a time."""

from __future__ import annotations

import asyncio
import socket

BUFFER = 64 * 1024
PAUSE = 0.01


class SlowReader:
    """Sends ``request`` as it is, then reads what comes; close it."""

    def __init__(self, port, request):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.sock.send(request)

    async def read(self, size):
        """Return how many bytes came of ``size``, with a pause behind each piece."""
        loop, count = asyncio.get_running_loop(), 0
        while count < size and (data := await loop.sock_recv(self.sock, BUFFER)):
            count += len(data)
            await asyncio.sleep(PAUSE)
        return count

    def close(self):
        self.sock.close()
