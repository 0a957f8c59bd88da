"""Streams of the tunnel served by an ASGI application, both ends in memory."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from links.daemon.asgi import AnswerBroken, Server
from links.peer import StreamLost
from links.sockets import REFUSALS, TunnelSocket
from links.wire.closing import INTERNAL, Closed
from links.wire.heads import RequestHead
from tests.links.test_peer import Joined
from tests.waiting import auntil

SOCKET = RequestHead("GET", "/", [("sec-websocket-protocol", "a, b ,")], websocket=True)


@pytest.fixture
async def serve():
    """Return ``serve(app)``: a server of ``app``, and ``open(head)`` for a stream to it."""
    servers = []

    async def serving(app):
        joined, server = Joined(), Server(app)
        servers.append(server)
        joined.laptop.on_open = server.serve
        await asyncio.sleep(0)
        return SimpleNamespace(open=joined.server.peer.open, server=server)

    yield serving
    for server in servers:
        await server.close()


async def test_a_request_becomes_a_scope(serve):
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)

    stream = (await serve(app)).open(RequestHead("PUT", "/a%20b?x=%31", [("x-a", "1")]))
    await stream.head()

    (scope,) = scopes
    assert (scope["type"], scope["method"], scope["headers"]) == ("http", "PUT", [(b"x-a", b"1")])
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (
        "/a b",
        b"/a%20b",
        b"x=%31",
    )


async def test_an_answer_that_breaks_resets_the_stream_and_is_no_bug(serve, caplog):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise AnswerBroken("the sandbox is gone")

    caplog.set_level(logging.INFO)
    stream = (await serve(app)).open(RequestHead("GET", "/events", []))

    with pytest.raises(StreamLost, match="broken"):
        await stream.head()
    assert "request /events: answer aborted: the sandbox is gone" in caplog.text
    assert "Traceback" not in caplog.text


async def test_closing_the_server_cancels_its_requests(serve):
    states = []

    async def app(scope, receive, send):
        states.append("running")
        try:
            await asyncio.Event().wait()
        finally:
            states.append("cancelled")

    served = await serve(app)
    served.open(RequestHead("GET", "/", []))
    await auntil(lambda: states)

    await served.server.close()

    assert states == ["running", "cancelled"]


@pytest.mark.parametrize(
    ("is_accepted", "status", "closed"),
    [
        pytest.param(False, 500, Closed(), id="before it is accepted"),
        pytest.param(True, 101, Closed(INTERNAL), id="afterwards"),
    ],
)
async def test_a_websocket_whose_app_fails(serve, is_accepted, status, closed):
    async def app(scope, receive, send):
        if is_accepted:
            await send({"type": "websocket.accept"})
        raise RuntimeError("a bug")

    stream = (await serve(app)).open(SOCKET)

    assert (await stream.head()).status == status
    assert await TunnelSocket(stream).receive() == closed


@pytest.mark.parametrize(
    ("message", "status"),
    [
        pytest.param({"type": f"{REFUSALS}.start", "status": 404}, 404, id="with a status"),
        pytest.param({"type": "websocket.close", "code": 1008}, 403, id="by closing it"),
        pytest.param(None, 500, id="without an answer"),
    ],
)
async def test_a_websocket_that_the_app_refuses(serve, message, status):
    async def app(scope, receive, send):
        if message is not None:
            await send(message)

    stream = (await serve(app)).open(SOCKET)

    assert (await stream.head()).status == status


async def test_only_the_first_close_of_a_websocket_counts(serve):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000, "reason": "first"})
        await send({"type": "websocket.close", "code": 4001, "reason": "second"})

    stream = (await serve(app)).open(SOCKET)
    await stream.head()

    assert await TunnelSocket(stream).receive() == Closed(4000, "first")


async def test_the_app_chooses_among_the_offered_subprotocols(serve):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][-1]})
        await receive()  # websocket.connect
        await receive()  # until the client leaves

    stream = (await serve(app)).open(SOCKET)

    assert (await stream.head()).headers == [("sec-websocket-protocol", "b")]
