"""What starts and ends with a server process, through the application that the server runs."""

from __future__ import annotations

import asyncio

import pytest

from mesh import asgi
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


class Lifespan:
    """A server's side of the lifespan protocol."""

    def __init__(self):
        self.to_app, self.from_app = asyncio.Queue(), asyncio.Queue()
        self.task = asyncio.ensure_future(
            asgi.application({"type": "lifespan"}, self.to_app.get, self.from_app.put)
        )

    async def say(self, kind):
        await self.to_app.put({"type": kind})
        return (await asyncio.wait_for(self.from_app.get(), timeout=PATIENCE))["type"]


async def test_the_writer_and_the_dispatcher_live_as_long_as_the_server():
    server = Lifespan()

    assert await server.say("lifespan.startup") == "lifespan.startup.complete"
    assert asgi.runtime.writer._thread.is_alive()
    thread = asgi.runtime.writer._thread
    assert await server.say("lifespan.shutdown") == "lifespan.shutdown.complete"

    await server.task
    assert not thread.is_alive()


async def test_a_second_life_begins_afresh():
    for _ in range(2):
        server = Lifespan()
        assert await server.say("lifespan.startup") == "lifespan.startup.complete"
        assert await server.say("lifespan.shutdown") == "lifespan.shutdown.complete"
        await server.task


async def test_a_server_without_lifespan_starts_with_its_first_request():
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": "/nowhere", "headers": []}
    await asgi.application(scope, receive, send)

    assert sent == [{"type": "websocket.close", "code": 4404}]
    assert asgi.runtime.writer._thread.is_alive()
    await asgi.runtime.stop()
    await asgi.runtime.stop()  # safe to repeat
