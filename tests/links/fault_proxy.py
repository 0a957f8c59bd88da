"""A TCP proxy with the faults of real networks, between a laptop and its server."""

import asyncio
import contextlib

BLOCK = 64 * 1024


class FaultProxy:
    """Passes bytes on, until it is told to do worse. What it opened it closes."""

    def __init__(self, port):
        self._to = port
        self._tasks = set()
        self._writers = set()
        self.port = 0
        self.connections = 0
        self.up = self.down = True  # whether bytes pass: a half-open connection loses one of them
        self.open = True  # whether anybody gets in
        self.delay = 0.0
        self.at_once = BLOCK

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def pull(self):
        """Lose every byte from now on, and let nobody in; no connection learns of it."""
        self.up = self.down = self.open = False

    def plug(self):
        """Be a network again; connections that lost bytes meanwhile are of no use."""
        self.cut()
        self.up = self.down = self.open = True

    def cut(self):
        """Break every connection, as a router does that starts anew."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader, writer):
        self.connections += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if not self.open:
                writer.transport.abort()
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            self._writers.add(far_writer)
            await asyncio.gather(
                self._pass(reader, far_writer, "up"), self._pass(far_reader, writer, "down")
            )
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _pass(self, reader, writer, way):
        while data := await reader.read(BLOCK):
            if not getattr(self, way):
                continue
            for start in range(0, len(data), self.at_once):
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data[start : start + self.at_once])
                await writer.drain()
        if getattr(self, way):
            writer.transport.abort()
