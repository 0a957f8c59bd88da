"""Answers that would grow without end, from a real server on loopback; the sizes are harmless."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib
from contextlib import asynccontextmanager

import httpx
import httpx2
import pytest

from mesh.egress import Guard, GuardedTransport
from mesh.http_client import MIB, Limits, bounded_client
from mesh.lib.addresses import parse_allowed
from threads.decopilot.transport import Transport

LOOPBACK = parse_allowed("127.0.0.1")
SMALL = Limits(headers=20, body=8_000, refusal=2_000, stream=20_000, event=2_000, pieces=50)
LONG = b"long " * 8_000  # 40 kB


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def head(size=None, status="200 OK", **headers):
    lines = [f"HTTP/1.1 {status}", *(f"{n.replace('_', '-')}: {v}" for n, v in headers.items())]
    if size is not None:
        lines.append(f"content-length: {size}")
    return "\r\n".join([*lines, "connection: close", "", ""]).encode()


def answer(body, **headers):
    return head(len(body), **headers) + body


@asynccontextmanager
async def serving(*parts):
    """Serve the parts to each request; yields the address, and the heads of the requests."""
    heads = []

    async def talk(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            pass  # the client has had enough
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", heads


def guarded():
    transport = GuardedTransport(Guard(allowed=LOOPBACK), limits=SMALL)
    return httpx.AsyncClient(transport=transport)


def of_the_models():
    return httpx2.AsyncClient(transport=Transport(Guard(allowed=LOOPBACK), limits=SMALL))


def of_sandboxes():
    return bounded_client(httpx.AsyncHTTPTransport(), limits=SMALL)


CLIENTS = pytest.mark.parametrize(
    ("make", "library"),
    [
        pytest.param(guarded, httpx, id="guarded"),
        pytest.param(of_the_models, httpx2, id="the model libraries'"),
        pytest.param(of_sandboxes, httpx, id="sandboxes and laptops"),
    ],
)


async def read_whole(client, url):
    return (await client.get(url)).content


async def read_pieces(client, url):
    async with client.stream("GET", url) as reply:
        return b"".join([piece async for piece in reply.aiter_bytes()])


async def read_lines(client, url):
    async with client.stream("GET", url) as reply:
        return "\n".join([line async for line in reply.aiter_lines()]).encode()


READERS = pytest.mark.parametrize("read", [read_whole, read_pieces, read_lines])


@CLIENTS
async def test_bodies_are_asked_for_as_they_are(make, library):
    async with serving(answer(b"hi")) as (url, heads), make() as client:
        assert await read_whole(client, url) == b"hi"

    assert "accept-encoding: identity\r\n" in heads[0]


@CLIENTS
@READERS
@pytest.mark.parametrize(
    ("packing", "pack"),
    [
        pytest.param("identity", bytes, id="not at all"),
        pytest.param("gzip", gzip.compress, id="gzip"),
        pytest.param("X-GZIP", gzip.compress, id="gzip by its old name"),
        pytest.param("deflate", zlib.compress, id="deflate"),
        pytest.param("deflate", raw_deflate, id="deflate without its frame"),
        pytest.param("identity, gzip", gzip.compress, id="gzip, and nothing else"),
    ],
)
async def test_one_packing_is_taken_within_the_limit(make, library, read, packing, pack):
    short, long = answer(pack(LONG[:7_000]), content_encoding=packing), pack(LONG)
    async with serving(short) as (url, _), make() as client:
        assert await read(client, url) == LONG[:7_000]

    async with serving(answer(long, content_encoding=packing)) as (url, _), make() as client:
        with pytest.raises(library.ReadError, match="larger than 7 KiB"):
            await read(client, url)


@CLIENTS
@READERS
@pytest.mark.parametrize(
    ("body", "packing", "why"),
    [
        pytest.param(gzip.compress(gzip.compress(b"x")), "gzip, gzip", "more than once", id="two"),
        pytest.param(b"x", "br", "was not asked for", id="another"),
        pytest.param(b"x", "zstd", "was not asked for", id="yet another"),
        pytest.param(b"not packed", "gzip", "damaged", id="a lie"),
    ],
)
async def test_any_other_packing_is_refused(make, library, read, body, packing, why):
    reply = answer(body, content_encoding=packing)
    async with serving(reply) as (url, _), make() as client:
        with pytest.raises(library.ReadError, match=why):
            await read(client, url)


@CLIENTS
async def test_two_headers_are_two_packings(make, library):
    body = gzip.compress(gzip.compress(b"x"))
    reply = head(len(body)).replace(
        b"connection", b"content-encoding: gzip\r\n" * 2 + b"connection"
    )
    async with serving(reply + body) as (url, _), make() as client:
        with pytest.raises(library.ReadError, match="more than once"):
            await read_whole(client, url)


@CLIENTS
async def test_a_body_without_a_length_ends_at_the_limit(make, library):
    async with serving(head(), *[b"x" * 1_000] * 9) as (url, _), make() as client:
        with pytest.raises(library.ReadError, match="larger than 7 KiB"):
            await read_whole(client, url)


@CLIENTS
async def test_a_refusal_is_shorter(make, library):
    reply = answer(b"x" * 3_000, status="500 No")
    async with serving(reply) as (url, _), make() as client:
        with pytest.raises(library.ReadError, match="larger than 1 KiB"):
            await read_whole(client, url)


@CLIENTS
async def test_too_many_headers_are_refused(make, library):
    many = {f"x_{number}": "y" for number in range(30)}
    async with serving(answer(b"", **many)) as (url, _), make() as client:
        with pytest.raises(library.ReadError, match="more than 20 headers"):
            await client.get(url)


EVENT = b"data: " + b"x" * 500 + b"\n\n"


@CLIENTS
@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        pytest.param([b"data: ", *[b"x" * 900] * 3], "event is larger", id="a line without end"),
        pytest.param([b"data: x\n" * 300], "event is larger", id="an event without end"),
        pytest.param([b"a\n" * 60], "more than 50 pieces", id="many lines"),
        pytest.param([b"\r" + b":\r" * 60], "more than 50 pieces", id="many comments"),
        pytest.param([EVENT] * 50, "answer is larger", id="events without end"),
    ],
)
async def test_a_stream_of_events_has_limits(make, library, pieces, why):
    async with (
        serving(head(content_type="text/event-stream"), *pieces) as (url, _),
        make() as client,
    ):
        with pytest.raises(library.ReadError, match=why):
            await read_lines(client, url)


@CLIENTS
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
async def test_a_stream_may_be_longer_than_a_body(make, library, end):
    whole = (b"data: " + b"x" * 600 + end) * 25
    reply = head(content_type="text/event-stream; charset=utf-8") + whole
    async with serving(reply) as (url, _), make() as client:
        assert await read_pieces(client, url) == whole


@CLIENTS
async def test_other_tasks_have_their_turn_meanwhile(make, library):
    """Sixteen pieces of 64 kB, then whoever waits: a page of megabytes stops nobody."""
    body = gzip.compress(bytes(6 * 1024 * 1024))
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with serving(answer(body, content_encoding="gzip")) as (url, _), make() as client:
        async with client.stream("GET", url) as reply:
            reply.limits = Limits()
            counting, pieces, before = asyncio.create_task(count()), 0, 0
            async for _ in reply.aiter_bytes():
                pieces += 1
                before = before or turns
        counting.cancel()

    assert pieces >= 96
    assert turns - before >= pieces // 16 - 1


async def test_raw_bytes_are_passed_on_as_they_came():
    body = gzip.compress(LONG)
    reply = answer(body, content_encoding="gzip")
    async with (
        serving(reply) as (url, _),
        of_sandboxes() as client,
        client.stream("GET", url) as taken,
    ):
        assert b"".join([piece async for piece in taken.aiter_raw()]) == body
        assert taken.headers["content-encoding"] == "gzip"


async def test_a_head_that_drips_is_given_up():
    async def talk(reader, writer):
        for _ in range(1_000):
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server, guarded() as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(httpx.ReadTimeout, match="No answer in time"):
            await client.get(url, timeout=0.5)  # of which no single wait comes near


@asynccontextmanager
async def reading_slowly(pause, *, piece=32 * 1024):
    """Take a request's body a piece at a time, with a pause behind each; then answer."""

    async def talk(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        left = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while left > 0 and (data := await reader.read(piece)):
            left -= len(data)
            await asyncio.sleep(pause)
        writer.write(answer(b"taken"))
        writer.close()

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, piece)  # as far as the system lets us
    async with await asyncio.start_server(talk, sock=listener, limit=piece):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.parametrize(
    ("pause", "error"),
    [
        pytest.param(0.01, None, id="slow"),
        pytest.param(3600, httpx.WriteTimeout, id="silent"),
    ],
)
async def test_a_large_body_has_its_time_for_each_piece(pause, error):
    limit = httpx.Timeout(10, write=0.4)
    async with (
        reading_slowly(pause) as url,
        bounded_client(little_sent(httpx), timeout=limit) as client,
    ):
        asked = client.post(url, content=bytes(3 * MIB))
        if error is None:
            assert (await asked).content == b"taken"
        else:
            with pytest.raises(error):
                await asked


def little_sent(library):
    little = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)]
    return library.AsyncHTTPTransport(socket_options=little)


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_body_for_another_server_has_its_time_for_each_piece(library, monkeypatch):
    guard = Guard(allowed=LOOPBACK)
    wrapped = GuardedTransport(guard) if library is httpx else Transport(guard)
    wrapped._sender._inner["127.0.0.1"] = little_sent(library)
    limit = library.Timeout(0.4)
    async with (
        reading_slowly(0.01) as url,
        library.AsyncClient(transport=wrapped, timeout=limit, trust_env=False) as client,
    ):
        assert (await client.post(url, content=bytes(3 * MIB))).content == b"taken"
