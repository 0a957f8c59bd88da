"""MCP servers that are no help: each accepts and counts a request, then does as its name says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

HEADERS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
# What each kind of server says to a request before it falls silent.
SAYS = {
    "mute": b"",
    "headers only": HEADERS,
    "a comment": HEADERS + b": here\n\n",
    "unwell": b"HTTP/1.1 504 Gateway Timeout\r\ncontent-type: application/json\r\n"
    b"connection: close\r\n\r\n",
}


@dataclass
class FaultyServer:
    """``kind`` is a key of ``SAYS``; ``asked`` has the first line of each request."""

    kind: str = "mute"
    url: str = ""
    asked: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def serving_faulty(kind: str = "mute", body: bytes = b"{}") -> AsyncIterator[FaultyServer]:
    """Serve on loopback, in this loop; ``body`` is what an unwell one says."""
    server, open_now = FaultyServer(kind), set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.CancelledError):
            line = await reader.readline()
            server.asked.append(line.decode(errors="replace").strip())
            writer.write(SAYS[server.kind] + (body if server.kind == "unwell" else b""))
            await writer.drain()
            while server.kind != "unwell" and await reader.read(65536):
                pass
        writer.close()
        open_now.discard(asyncio.current_task())

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/mcp"
    try:
        yield server
    finally:
        listening.close()
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)
