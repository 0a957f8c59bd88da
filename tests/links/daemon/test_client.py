"""The WebSocket that feeds the tunnel, against a bare server; how it breaks and is dialled."""

import asyncio

import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from links.daemon.asgi import Server
from links.daemon.client import connect_url, dial
from links.wire import frames
from links.wire.heads import RequestHead
from links.wire.tunnel import Answered, Ended, Received, Tunnel
from tests.waiting import auntil


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("http://127.0.0.1:8321", "ws://127.0.0.1:8321/api/links/connect"),
        ("https://mesh.example", "wss://mesh.example/api/links/connect"),
        ("https://mesh.example/team/", "wss://mesh.example/team/api/links/connect"),
    ],
)
def test_connect_url(server, url):
    assert connect_url(server) == url


class FarEnd:
    """The server's side of one socket: says frames, keeps events."""

    def __init__(self):
        self.tunnel = Tunnel("server", {})
        self.events = []
        self.socket = None
        self.fragment = False

    async def __call__(self, socket):
        self.socket = socket
        self.authorization = socket.request.headers["Authorization"]
        await self.say()
        try:
            async for message in socket:
                self.events += self.tunnel.receive(message)
                await self.say()
        except ConnectionClosed:
            pass

    async def say(self):
        while (message := self.tunnel.pull()) is not None:
            half = len(message) // 2
            cut = [message[:half], message[half:]]
            await self.socket.send(cut if self.fragment else message)


@pytest.fixture
async def far_end():
    far_end = FarEnd()
    async with serve(far_end, "127.0.0.1", 0, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        far_end.url = f"http://127.0.0.1:{port}"
        yield far_end


async def echo(scope, receive, send):
    body = b""
    while (message := await receive())["more_body"]:
        body += message["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def connection(far_end):
    connection = await dial(far_end.url, token="t0ken")
    server = Server(echo)
    connection.attach({"machineId": "m"}, on_open=server.serve)
    yield connection
    await server.close()
    await connection.close()


async def ask(far_end, body):
    await auntil(lambda: far_end.tunnel.is_ready)
    stream = far_end.tunnel.open(RequestHead("POST", "/", []))
    far_end.tunnel.send(stream, body)
    far_end.tunnel.end(stream)
    await far_end.say()
    got = b""
    while not any(isinstance(event, Ended) for event in far_end.events):
        await asyncio.sleep(0)
        for event in [e for e in far_end.events if isinstance(e, Received)]:
            far_end.events.remove(event)
            got += event.data
            far_end.tunnel.consumed(stream, event.data)
        await far_end.say()
    return got + b"".join(e.data for e in far_end.events if isinstance(e, Received))


async def test_it_greets_and_shows_its_token(connection, far_end):
    await auntil(lambda: far_end.events)

    assert far_end.events[0].info["machineId"] == "m"
    assert far_end.authorization == "Bearer t0ken"


async def test_what_comes_before_it_is_attached_is_kept(far_end):
    connection = await dial(far_end.url, token="t")
    await auntil(lambda: connection._early)
    peer = connection.attach({}, on_open=lambda stream: None)

    assert peer.tunnel.is_ready
    await connection.close()


@pytest.mark.parametrize("fragment", [False, True], ids=["whole", "fragmented by a proxy"])
async def test_a_request_is_answered(connection, far_end, fragment):
    far_end.fragment = fragment

    assert await ask(far_end, b"hello") == b"hello"
    assert any(isinstance(event, Answered) for event in far_end.events)


async def test_much_is_answered_whole(connection, far_end):
    body = bytes(range(256)) * 20_000

    assert await ask(far_end, body) == body


@pytest.mark.parametrize(
    ("message", "code"),
    [
        pytest.param("text", 1002, id="text"),
        pytest.param(b"\x12", 1002, id="no frame"),
        pytest.param(bytes(frames.MAX_MESSAGE + 1), 1009, id="too large"),
    ],
)
async def test_a_broken_rule_closes_it(connection, far_end, message, code):
    await auntil(lambda: far_end.events)
    await far_end.socket.send(message)
    await far_end.socket.wait_closed()

    assert far_end.socket.close_code == code


async def test_streams_are_lost_with_the_connection(connection, far_end):
    await auntil(lambda: connection._peer.tunnel.is_ready)
    stream = connection._peer.open(RequestHead("GET", "/", []))
    far_end.socket.transport.abort()

    await connection.wait_closed()
    assert stream.is_lost


async def test_a_refusal_is_reported():
    async def refuse(connection, request):
        return connection.respond(401, "no")

    async with serve(lambda socket: None, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(InvalidStatus) as refused:
            await dial(f"http://127.0.0.1:{port}", token="t")
    assert refused.value.response.status_code == 401


async def test_a_proxy_of_the_system_is_not_asked_about_loopback(far_end, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")

    connection = await dial(far_end.url, token="t")
    await connection.close()


async def test_a_token_goes_to_the_named_server_and_no_other():
    """A redirect is no answer: whoever is named in it would get the token."""
    elsewhere = []

    async def other(reader, writer):
        elsewhere.append(await reader.read(1000))

    there = await asyncio.start_server(other, "127.0.0.1", 0)
    location = f"http://127.0.0.1:{there.sockets[0].getsockname()[1]}/"

    async def sends_away(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        answer = f"HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
        writer.write(answer.encode())
        writer.close()

    here = await asyncio.start_server(sends_away, "127.0.0.1", 0)
    with pytest.raises(InvalidStatus):
        await dial(f"http://127.0.0.1:{here.sockets[0].getsockname()[1]}", token="t0ken")

    assert elsewhere == []
    here.close()
    there.close()
