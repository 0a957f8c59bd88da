"""A TCP relay between a laptop and its servers: it can be cut, and finds a server that lives."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator


class Relay:
    """Passes each connection on to the first port of ``targets`` that takes it."""

    def __init__(self, *targets: int) -> None:
        self.targets = list(targets)
        self.port = self.cuts = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._gone_at = self._back_at = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_up(self) -> bool:
        """Whether a connection goes through to a server."""
        return bool(self._writers)

    def is_good(self) -> bool:
        """Say whether a connection has held for half a second, and as long as none was there.

        A network that is bad for longer than it is good is not what a laptop adapts to.
        """
        away = self._back_at - self._gone_at
        return bool(self._writers) and time.monotonic() - self._back_at >= max(0.5, min(away, 5))

    def cut(self) -> None:
        """Break every connection, as a network that is gone."""

        async def abort() -> None:
            for writer in self._writers:
                writer.transport.abort()
            self.cuts += bool(self._writers)

        asyncio.run_coroutine_threadsafe(abort(), self._loop).result(5)
        self.settle()

    def settle(self) -> None:
        """Notice what has been closed up to now: from then on ``is_up`` is the present."""

        async def look() -> None:
            for _ in range(20):  # turns of the loop: read the end, leave the task, forget it
                await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(look(), self._loop).result(5)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in list(self.targets):
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                break
        else:
            writer.close()
            return
        with self._known(writer), self._known(far_writer):
            await asyncio.wait(
                [
                    asyncio.create_task(_pump(reader, far_writer)),
                    asyncio.create_task(_pump(far_reader, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )

    @contextlib.contextmanager
    def _known(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        if not self._writers:
            self._back_at = time.monotonic()
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            if not self._writers:
                self._gone_at = time.monotonic()
            writer.close()

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    def __enter__(self) -> Relay:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)
        return self

    def __exit__(self, *exc: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
