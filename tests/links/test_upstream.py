"""The client of unix sockets, against a server that answers by script."""

import asyncio

import pytest

from links.upstream import HIGH_WATER, Pool, UpstreamError
from tests.waiting import auntil

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Scripted:
    """Answers each request with the next of ``script``; ``None`` hangs up."""

    def __init__(self, path):
        self.path = str(path)
        self.script = []
        self.requests = []
        self.connections = 0
        self.writers = []

    async def serve(self, reader, writer):
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(size))
                answer = self.script.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


@pytest.fixture
async def server(tmp_path):
    scripted = Scripted(tmp_path / "s")
    listening = await asyncio.start_unix_server(scripted.serve, scripted.path)
    yield scripted
    listening.close()
    for writer in scripted.writers:
        writer.close()


@pytest.fixture
def pool(server):
    pool = Pool(server.path)
    yield pool
    pool.close()


async def get(pool, path="/x", **what):
    answer = await pool.request("GET", path, headers=what.get("headers", ()), body=b"")
    try:
        return answer.status, await answer.body()
    finally:
        answer.close()


async def test_what_is_asked(pool, server):
    server.script = [OK]
    answer = await pool.request("PUT", "/a?b", headers=[(b"x-some", b"1")], body=b"body")
    answer.close()

    assert server.requests == [
        b"PUT /a?b HTTP/1.1\r\nhost: sandbox\r\nx-some: 1\r\ncontent-length: 4\r\n\r\nbody"
    ]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000, id="a line without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, id="lines without end"),
    ],
)
async def test_a_head_without_end_is_given_up(pool, server, answer):
    server.script = [answer]
    with pytest.raises(UpstreamError):
        await get(pool)


async def test_a_body_that_is_read_whole_has_a_limit(pool, server):
    server.script = [OK]
    answer = await pool.request("GET", "/x", headers=(), body=b"")
    with pytest.raises(UpstreamError, match="too large"):
        await answer.body(1)
    answer.close()


async def test_connections_are_kept(pool, server):
    server.script = [OK, OK]

    assert [await get(pool), await get(pool)] == [(200, b"ok"), (200, b"ok")]
    assert server.connections == 1


async def test_one_that_was_idle_for_long_is_not_used_again(pool, server, monkeypatch):
    monkeypatch.setattr("links.upstream.IDLE_FOR", 0)
    server.script = [OK, OK]
    await get(pool)
    await get(pool)

    assert server.connections == 2


async def test_one_that_the_server_closes_is_not_used_again(pool, server):
    closing = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
    server.script = [closing, OK]
    await get(pool)
    await get(pool)

    assert server.connections == 2


async def test_an_answer_that_ends_with_its_connection(pool, server):
    server.script = [b"HTTP/1.0 200 OK\r\n\r\nall of it"]
    answer = await pool.request("GET", "/", headers=(), body=b"")
    server.writers[0].close()

    assert await answer.body() == b"all of it"


async def test_a_head_has_no_body(pool, server):
    server.script = [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", OK]
    answer = await pool.request("HEAD", "/", headers=(), body=b"")

    assert (answer.status, await answer.body()) == (200, b"")
    answer.close()
    assert await get(pool) == (200, b"ok")


async def test_one_whose_answer_was_not_read_is_dropped(pool, server):
    server.script = [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", OK]
    answer = await pool.request("GET", "/", headers=(), body=b"")
    answer.close()

    assert await get(pool) == (200, b"ok")
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            b"abc",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
    ],
    ids=["chunked", "none", "empty"],
)
async def test_bodies(pool, server, answer, body):
    server.script = [answer]

    assert (await get(pool))[1] == body


@pytest.mark.parametrize(
    "answer",
    [None, b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nx"],
    ids=["hangs up", "another protocol", "hangs up in the head"],
)
async def test_no_answer(pool, server, answer):
    server.script = [answer, None]
    asking = asyncio.create_task(get(pool))
    await auntil(lambda: server.requests)
    for writer in server.writers:
        await auntil(lambda: not server.script or len(server.script) == 1)
        writer.close()

    with pytest.raises(UpstreamError):
        await asking


async def test_a_body_that_breaks_off(pool, server):
    server.script = [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"]
    answer = await pool.request("GET", "/", headers=(), body=b"")
    server.writers[0].close()

    with pytest.raises(UpstreamError):
        await answer.body()
    answer.close()


async def test_nobody_listens(tmp_path):
    with pytest.raises(UpstreamError):
        await get(Pool(str(tmp_path / "absent")))


async def test_a_slow_reader_stops_the_program(pool, server):
    size = 32 * 1024 * 1024
    server.script = [b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size)]
    answer = await pool.request("GET", "/", headers=(), body=b"")
    wire = answer._wire
    await auntil(lambda: wire._is_paused)

    assert wire._size < HIGH_WATER + 1024 * 1024
    assert len(await answer.body(size)) == size
    answer.close()
