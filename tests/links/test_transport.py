"""httpx over a tunnel in memory; the laptop's end is the real ASGI server of the daemon."""

import asyncio
import json

import httpx
import pytest

from links.daemon.asgi import Server
from links.transport import STREAMED, Signed, TunnelTransport
from links.wire import signing
from links.wire.frames import PIECE
from links.wire.nonces import Nonces
from links.wire.tunnel import MAX_STREAMS
from tests.links.test_peer import Joined
from tests.waiting import auntil


class Program:
    """The ASGI program on the laptop; keeps what it was asked."""

    def __init__(self):
        self.asked = []
        self.cancelled = asyncio.Event()

    async def __call__(self, scope, receive, send):
        path = scope["path"]
        if path == "/broken":
            raise RuntimeError("a bug")
        if path == "/silent":
            await self.silent()
        elif path == "/early":
            await self.reply(send, 413, b"too large")
        elif path == "/half":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise RuntimeError("a bug in the middle")
        elif path != "/mute":
            await self.echo(scope, receive, send)

    async def echo(self, scope, receive, send):
        body = b""
        while (message := await receive())["more_body"]:
            body += message["body"]
        self.asked.append((scope, body))
        await self.reply(send, 200, body)

    async def silent(self):
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def reply(self, send, status, body):
        headers = [(b"x-seen", b"1"), (b"x-seen", b"2")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def program():
    return Program()


@pytest.fixture
async def joined(program):
    joined = Joined()
    server = Server(program)
    joined.laptop.on_open = server.serve
    await asyncio.sleep(0)
    yield joined
    await server.close()


@pytest.fixture
async def client(joined):
    transport = TunnelTransport(joined.server.peer)
    async with httpx.AsyncClient(transport=transport, base_url="http://laptop") as client:
        yield client


async def test_method_path_query_headers_and_body_arrive(client, program):
    answer = await client.put(
        "/a%20b/c?x=%2F&y", content=b"body", headers={b"X-Some": "ä".encode()}
    )

    scope, body = program.asked[0]
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("PUT", "/a b/c", b"/a%20b/c")
    assert (scope["query_string"], body) == (b"x=%2F&y", b"body")
    assert (b"x-some", "ä".encode()) in scope["headers"]
    assert (answer.status_code, answer.content) == (200, b"body")
    assert answer.headers.get_list("x-seen") == ["1", "2"]


async def test_a_streamed_question(client, program):
    async def body():
        for n in range(100):
            yield b"%03d" % n

    answer = await client.post("/", content=body())

    assert answer.content == b"".join(b"%03d" % n for n in range(100))


async def test_big_bodies_both_ways(client):
    body = bytes(range(256)) * 20_000

    assert (await client.post("/", content=body)).content == body


class SlowLine:
    """Carries one message of the server's at a time, with a pause behind each; none when cut."""

    PAUSE = 0.02

    def __init__(self, joined):
        self.joined, self.is_cut = joined, False
        joined.carry = self.carry

    def carry(self):
        self.joined.due = True  # nobody hurries the next message
        server, laptop = self.joined.server.peer, self.joined.laptop.peer
        while (message := laptop.next_message()) is not None:
            server.feed(message)
        if not self.is_cut and (message := server.next_message()) is not None:
            laptop.feed(message)
        asyncio.get_running_loop().call_later(self.PAUSE, self.joined.carry)


async def test_a_body_may_take_longer_than_the_limit_while_it_moves(client, joined):
    SlowLine(joined)
    limit = 0.4
    body = bytes(PIECE) * int(2 * limit / SlowLine.PAUSE)

    assert (await client.post("/", content=body, timeout=limit)).content == body


async def test_a_body_that_moves_no_more_is_given_up(client, joined):
    SlowLine(joined).is_cut = True

    with pytest.raises(httpx.WriteTimeout):
        await client.post("/", content=bytes(10 * PIECE), timeout=0.05)


async def test_a_program_that_has_the_whole_body_and_says_nothing_is_given_up(client):
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/silent", content=b"body", timeout=0.05)


async def test_many_at_once(client):
    answers = await asyncio.gather(*(client.post("/", content=b"%d" % n) for n in range(200)))

    assert [answer.content for answer in answers] == [b"%d" % n for n in range(200)]


async def test_an_early_answer_to_an_endless_question(client):
    async def endless():
        while True:
            yield bytes(100_000)

    answer = await client.post("/early", content=endless())

    assert (answer.status_code, answer.content) == (413, b"too large")


@pytest.mark.parametrize("path", ["/broken", "/mute"])
async def test_a_program_that_fails_is_a_500(client, path):
    assert (await client.get(path)).status_code == 500


async def test_half_an_answer_is_not_taken_for_a_whole(client):
    with pytest.raises(httpx.TransportError, match="failed"):
        await client.get("/half")


async def test_a_caller_that_gives_up_stops_the_program(client, joined, program):
    asking = asyncio.create_task(client.get("/silent"))
    await auntil(lambda: joined.laptop.peer._streams)
    asking.cancel()

    await asyncio.wait_for(program.cancelled.wait(), 60)


async def test_silence_is_a_timeout_and_stops_the_program(client, program):
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/silent", timeout=0.01)

    await asyncio.wait_for(program.cancelled.wait(), 60)


async def test_a_tunnel_that_breaks_is_a_transport_error(client, joined):
    asking = asyncio.create_task(client.get("/silent"))
    await auntil(lambda: joined.laptop.peer._streams)
    joined.server.peer.lose("disconnected")

    with pytest.raises(httpx.RemoteProtocolError):
        await asking
    with pytest.raises(httpx.ConnectError):
        await client.get("/")


async def test_too_many_at_once_is_a_connect_error(client, joined):
    asking = [asyncio.create_task(client.get("/silent")) for _ in range(MAX_STREAMS)]
    await auntil(lambda: len(joined.server.peer._streams) == MAX_STREAMS)

    with pytest.raises(httpx.ConnectError, match="too many open"):
        await client.get("/")
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


@pytest.mark.parametrize("content", [b"", b"{}", "stream"], ids=["empty", "bytes", "stream"])
async def test_what_is_signed_passes_the_verifier(joined, program, content):
    async def stream():
        yield b"a"
        yield b"b"

    transport = TunnelTransport(joined.server.peer)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://laptop", auth=Signed("secret")
    ) as client:
        given = stream() if content == "stream" else content
        await client.post("/_sandbox/h/dispatch?x=1", content=given)

    scope, body = program.asked[0]
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    signing.verify(
        "secret",
        method="POST",
        target="/_sandbox/h/dispatch?x=1",
        headers=headers,
        body=body,
        now=int(headers["x-mesh-timestamp"]),
        nonces=Nonces(),
    )
    assert json.dumps(headers).count("secret") == 0


async def test_a_streamed_body_is_signed_by_its_head_and_not_read_before(joined, program):
    async def stream():
        yield b"a"
        assert joined.laptop.peer._streams  # the head is there
        yield b"b"

    transport = TunnelTransport(joined.server.peer)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://laptop", auth=Signed("secret")
    ) as client:
        request = client.build_request("POST", "/x", content=stream(), extensions={STREAMED: True})
        answer = await client.send(request)

    scope, body = program.asked[0]
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    assert (answer.content, body) == (b"ab", b"ab")
    assert signing.is_streamed(headers)
    assert signing.prove_head("secret", method="POST", target="/x", headers=headers)


async def test_a_body_whose_source_fails_is_never_taken_for_whole(client, program):
    async def failing():
        yield b"half"
        raise OSError("the source is gone")

    with pytest.raises(httpx.TransportError):
        await asyncio.wait_for(client.post("/", content=failing(), timeout=None), 60)
    assert program.asked == []
