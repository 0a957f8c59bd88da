"""Connections that make no progress are closed: rude clients over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from mesh.http_protocol import Crowd, GuardedHttp
from mesh.http_server import HttpServer
from tests.mesh.slow_reader import SlowReader
from tests.waiting import auntil

PATIENCE = 20  # seconds that a test waits for what takes a moment
WHOLE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


class Hurried(GuardedHttp):
    head_within = body_silence = write_silence = 0.2


class Patient(GuardedHttp):
    head_within = body_silence = write_silence = 600.0


async def echo(scope, receive, send):
    """Answers with the body that it got; ``/large`` sends more than any buffer holds."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/large":
        for _ in range(1_000):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    await send({"type": "http.response.body", "body": body or b"nothing"})


@contextlib.asynccontextmanager
async def serving(protocol, **options):
    sock = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(echo, http=protocol, **options)
    await server.start(sock)
    try:
        yield server, sock.getsockname()[1]
    finally:
        await server.stop(within=0)


async def until_closed(reader):
    """Return what still comes until the server closes the connection."""
    async with asyncio.timeout(PATIENCE):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET", id="half a request line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost", id="half a header"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n", id="no end of the head"),
        pytest.param(b"\r\n", id="an empty line"),
        pytest.param(POST, id="a body that never comes"),
        pytest.param(POST + b"ab", id="half a body"),
    ],
)
async def test_half_a_request_times_out(sent):
    async with serving(Hurried, timeout_keep_alive=600) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)

        assert await until_closed(reader) == b""
        writer.close()


@pytest.mark.parametrize("begun", [b"GET", b"\r\n", POST + b"a"])
async def test_nor_is_a_second_one_on_the_same_connection(begun):
    async with serving(Hurried, timeout_keep_alive=600) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(WHOLE)
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(begun)

        assert await until_closed(reader) == b""
        writer.close()


async def test_a_head_that_trickles_in_has_no_more_time():
    async with serving(Hurried) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n")
        closed = asyncio.ensure_future(until_closed(reader))
        while not closed.done():
            writer.write(b"X-A: b\r\n")
            await asyncio.wait([closed], timeout=0.05)

        assert closed.result() == b""
        writer.close()


async def test_a_reader_that_takes_nothing_is_disconnected():
    async with serving(Hurried) as (server, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(WHOLE.replace(b"/ ", b"/large "))
        await auntil(lambda: server._state.connections, what="connected")
        await auntil(lambda: not server._state.connections, what="let go")
        writer.close()


@pytest.mark.parametrize("pieces", [[WHOLE], [WHOLE[:9], WHOLE[9:]], [POST, b"ab", b"cd"]])
async def test_a_whole_request_is_answered(pieces):
    async with serving(Patient) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            answer = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), PATIENCE)
            assert answer.startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_slow_answer_is_no_silence_of_the_client():
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        asked.set()
        await go_on.wait()
        await echo(scope, receive, send)

    sock = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(slow, http=Hurried)
    await server.start(sock)
    reader, writer = await asyncio.open_connection("127.0.0.1", sock.getsockname()[1])
    writer.write(WHOLE)
    await asyncio.wait_for(asked.wait(), PATIENCE)
    asyncio.get_running_loop().call_later(3 * Hurried.head_within, go_on.set)

    answer = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), PATIENCE)
    assert answer.startswith(b"HTTP/1.1 200")
    writer.close()
    await server.stop(within=0)


class Transport:
    """A connection that is open until it is told otherwise."""

    closing = False

    def is_closing(self):
        return self.closing


def test_an_address_has_so_many_connections_and_no_more():
    crowd = Crowd(lambda peer: peer == "127.0.0.1", most=2)
    first, second = Transport(), Transport()

    assert crowd.admits("192.0.2.1", first)
    assert crowd.admits("192.0.2.1", second)
    assert not crowd.admits("192.0.2.1", Transport())
    assert crowd.admits("192.0.2.2", Transport())
    crowd.leave("192.0.2.1", first)
    assert crowd.admits("192.0.2.1", Transport())


def test_an_ipv6_client_is_its_network():
    crowd = Crowd(lambda peer: False, most=1)

    assert crowd.admits("2001:db8::1", Transport())
    assert not crowd.admits("2001:db8::2", Transport())


def test_what_has_closed_makes_room_even_if_nobody_said_so():
    crowd = Crowd(lambda peer: False, most=1)
    first = Transport()
    crowd.admits("192.0.2.1", first)
    first.closing = True

    assert crowd.admits("192.0.2.1", Transport())


def test_a_proxy_has_as_many_as_it_likes():
    crowd = Crowd(lambda peer: peer == "10.0.0.1", most=1)

    assert all(crowd.admits("10.0.0.1", Transport()) for _ in range(9))


async def test_a_connection_too_many_is_closed_at_once():
    class Alone(Patient):
        crowd = Crowd(lambda peer: False, most=1)

    async with serving(Alone) as (_, port):
        first, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(WHOLE)
        await first.readuntil(b"0\r\n\r\n")
        second, other = await asyncio.open_connection("127.0.0.1", port)

        assert await until_closed(second) == b""
        writer.close()
        other.close()


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [
        pytest.param(b"GET /", b"a" * 65536, id="an address"),
        pytest.param(b"GET / HTTP/1.1\r\nX: ", b"a" * 65536, id="a header"),
        pytest.param(b"GET / HTTP/1.1\r\n", b"X: a\r\n" * 10_000, id="many headers"),
        pytest.param(CHUNKED + b"0\r\n", b"X: a\r\n" * 10_000, id="trailers"),
        pytest.param(CHUNKED + b"1;", b"a" * 65536, id="the extension of a chunk"),
        pytest.param(b"", b"\r\n" * 40_000, id="empty lines"),
    ],
)
async def test_what_is_no_body_has_an_end(begins, goes_on):
    async with serving(Patient) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begins)
        with contextlib.suppress(ConnectionError):
            for _ in range(5):
                writer.write(goes_on)
                await writer.drain()

        said = await until_closed(reader)

    assert said.startswith(b"HTTP/1.1 4") or not said


async def test_a_long_head_and_a_long_body_are_let_in():
    head = b"POST /%s HTTP/1.1\r\nHost: a\r\nX: %s\r\n" % (b"a" * 32_000, b"b" * 30_000)
    body = b"c" * 500_000
    async with serving(Patient) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + b"Connection: close\r\nContent-Length: 500000\r\n\r\n" + body)

        said = await until_closed(reader)

    assert body in said


async def test_a_body_may_come_in_a_thousand_small_chunks():
    async with serving(Patient) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CHUNKED.replace(b"Host", b"Connection: close\r\nHost"))
        for _ in range(20):
            writer.write(b"1\r\na\r\n" * 1_000)
            await writer.drain()
        writer.write(b"0\r\n\r\n")

        said = await until_closed(reader)

    assert said.count(b"a") >= 20_000


async def test_a_reader_that_is_slow_gets_all_of_an_answer_that_is_written_at_once():
    size = 12 * 1024 * 1024

    async def at_once(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(size)})

    sock = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(at_once, http=Hurried)
    await server.start(sock)
    reader = SlowReader(sock.getsockname()[1], WHOLE)
    try:
        assert await reader.read(size) >= size
    finally:
        reader.close()
        await server.stop(within=0)


class Lingering(GuardedHttp):
    linger_within, linger_silence, linger_bytes = 600.0, 600.0, 16 * 1024 * 1024


class Impatient(Lingering):
    linger_silence = 0.2


class Overwhelmed(Lingering):
    linger_bytes = 1024 * 1024


class InHaste(Lingering):
    linger_within = 0.2


REFUSAL = b"No. " * 1_000
LONG = 4 * 1024 * 1024
TOLD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % LONG
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def refuse(scope, receive, send):
    """Answers without a look at the body, as a limit of bodies does."""
    headers = [(b"content-length", b"%d" % len(REFUSAL)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": REFUSAL})


@contextlib.asynccontextmanager
async def refused(protocol, head):
    """Yield reader and writer of a request whose answer has been sent before its body came."""
    sock = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(refuse, http=protocol)
    await server.start(sock)
    reader, writer = await asyncio.open_connection("127.0.0.1", sock.getsockname()[1])
    writer.write(head)
    await auntil(lambda: server._state.total_requests, what="answered")
    try:
        yield reader, writer, server
    finally:
        writer.transport.abort()
        await server.stop(within=0)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param(TOLD, bytes(LONG), id="of a length that was told"),
        pytest.param(CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (LONG, bytes(LONG)), id="in chunks"),
    ],
)
async def test_a_client_that_sends_a_whole_body_first_still_reads_the_refusal(head, body):
    async with refused(Lingering, head) as (reader, writer, _):
        writer.write(body)
        await asyncio.wait_for(writer.drain(), PATIENCE)

        answer = await until_closed(reader)
        assert answer.startswith(b"HTTP/1.1 413")
        assert answer.endswith(REFUSAL)


@pytest.mark.parametrize("protocol", [Impatient, Overwhelmed, InHaste])
async def test_what_comes_behind_a_refusal_is_not_read_for_ever(protocol):
    async with refused(protocol, TOLD) as (_, writer, server):
        async with asyncio.timeout(PATIENCE):
            while server._state.connections:
                if protocol is not Impatient:
                    writer.write(bytes(1024 if protocol is InHaste else 64 * 1024))
                await asyncio.sleep(0.01)


async def test_a_request_that_came_whole_is_not_lingered_for():
    async with refused(Lingering, WHOLE) as (reader, _, server):
        assert (await until_closed(reader)).endswith(REFUSAL)
        await auntil(lambda: not server._state.connections, what="closed")
