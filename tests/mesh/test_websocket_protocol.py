"""Readers of a WebSocket that are slow, and readers that are gone: over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from websockets.asyncio.client import connect

from mesh.http_server import HttpServer
from mesh.lib.asgi import allow_messages
from mesh.websocket_protocol import GuardedWebSocket
from tests.mesh.slow_reader import BUFFER, PAUSE, SlowReader
from tests.waiting import auntil

SILENCE = 0.4
LARGE = 12 * 1024 * 1024  # bytes of a message: more than all buffers between the two hold
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Hurried(GuardedWebSocket):
    write_silence = SILENCE


class Page:
    """Sends one large message, and then another."""

    def __init__(self):
        self.is_sent, self.is_over = asyncio.Event(), False

    async def __call__(self, scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(LARGE)})
        self.is_sent.set()
        try:
            await send({"type": "websocket.send", "text": "and more"})
            await send({"type": "websocket.close"})
        except OSError:
            self.is_over = True


@contextlib.asynccontextmanager
async def reader_of(page):
    listening = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(page, ws=Hurried)
    await server.start(listening)
    reader = SlowReader(listening.getsockname()[1], HANDSHAKE)
    try:
        yield reader
    finally:
        reader.close()
        await server.stop(within=0)


async def test_a_reader_that_is_slow_gets_all_of_a_large_message():
    """All of it takes several times as long as a reader may be silent."""
    page = Page()
    assert LARGE / BUFFER * PAUSE > 3 * SILENCE

    async with reader_of(page) as reader:
        assert await reader.read(LARGE) >= LARGE
    assert not page.is_over


async def test_a_reader_that_takes_nothing_is_disconnected():
    page = Page()
    async with reader_of(page):
        await page.is_sent.wait()

        await auntil(lambda: page.is_over, what="the sender that waits is told")


USUAL, LONG = 1024, 64 * 1024


@pytest.mark.parametrize(
    ("allowed", "size", "code"),
    [
        pytest.param(None, USUAL, None, id="as long as usual"),
        pytest.param(None, USUAL + 1, 1009, id="longer than usual"),
        pytest.param(LONG, LONG, None, id="as long as the app allows"),
        pytest.param(LONG, LONG + 1, 1009, id="longer than that"),
    ],
)
async def test_an_app_may_allow_longer_messages_than_usual(allowed, size, code):
    taken = []

    async def app(scope, receive, send):
        if allowed:
            allow_messages(scope, allowed)
        await receive()
        await send({"type": "websocket.accept"})
        taken.append(await receive())
        await send({"type": "websocket.close"})

    listening = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app, ws_max_size=USUAL)
    await server.start(listening)
    try:
        async with connect(f"ws://127.0.0.1:{listening.getsockname()[1]}", proxy=None) as client:
            await client.send(bytes(size))
            await client.wait_closed()
    finally:
        await server.stop(within=0)

    assert client.close_code == (code or 1000)
    assert [len(message.get("bytes") or b"") for message in taken] == [0 if code else size]
