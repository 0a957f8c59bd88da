"""The client of unix sockets, against a server that answers by script."""

import asyncio
import socket
import threading

import pytest

from links.upload import Upload, UploadBroken
from links.upstream import HEAD_BYTES, HIGH_WATER, NotHttp, Pool, UpstreamError
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


INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
TRAILED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nset-cookie: a=1\r\n\r\n"
)
LENGTH, CHUNKS = (b"content-length", b"2"), (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        pytest.param(INTERIM + OK, [LENGTH], id="interim ones before it"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, [LENGTH], id="a go-ahead"),
        pytest.param(TRAILED, [CHUNKS], id="trailers behind it"),
        pytest.param(OK + OK.replace(b"ok", b"no"), [LENGTH], id="another behind it"),
        pytest.param(TRAILED.replace(b"2\r\n", b"2;a=b\r\n"), [CHUNKS], id="extensions of a chunk"),
    ],
)
async def test_an_answer_is_its_own_head_and_body_and_nothing_beside(pool, server, answer, headers):
    server.script = [answer]
    reply = await pool.request("GET", "/x", headers=(), body=b"")

    assert (reply.status, await reply.body(), reply.headers) == (200, b"ok", headers)
    reply.close()


async def test_an_interim_answer_may_come_long_before_the_answer(pool, server):
    server.script = [INTERIM]
    asking = asyncio.create_task(get(pool))
    await auntil(lambda: server.requests)
    server.writers[0].write(INTERIM)
    await server.writers[0].drain()
    server.writers[0].write(OK)

    assert await asking == (200, b"ok")


async def test_interim_answers_without_end_are_given_up(pool, server):
    server.script = [INTERIM * (HEAD_BYTES // len(INTERIM) + 1)]

    with pytest.raises(UpstreamError, match="too large"):
        await get(pool)


@pytest.mark.parametrize("status", [101, 600, 999])
async def test_a_status_that_no_answer_has(pool, server, status):
    server.script = [b"HTTP/1.1 %d Odd\r\ncontent-length: 0\r\n\r\n" % status]

    with pytest.raises(UpstreamError, match=str(status)):
        await get(pool)


@pytest.mark.parametrize(
    "more", [OK, OK.removesuffix(b"ok"), b"x"], ids=["an answer", "a head", "a byte"]
)
async def test_what_comes_behind_an_answer_is_never_the_next_one_s(pool, server, more):
    server.script = [OK + more.replace(b"ok", b"no"), OK]

    assert [await get(pool), await get(pool)] == [(200, b"ok"), (200, b"ok")]
    assert server.connections == 2


async def test_what_comes_unasked_on_a_kept_connection_is_never_the_next_one_s(pool, server):
    server.script = [OK, OK]
    await get(pool)
    (kept,) = pool._idle
    server.writers[0].write(OK.replace(b"ok", b"no"))
    await auntil(lambda: not kept.is_reusable)

    assert await get(pool) == (200, b"ok")
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok", id="lines without CR"),
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\nx: a\r\n b\r\n\r\n"), id="a folded header"),
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\nx: a\1\r\n\r\n"), id="a control character"),
        pytest.param(OK.replace(b": 2", b": 2\r\ncontent-length: 3"), id="two lengths"),
        pytest.param(CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n", 1), id="both"),
        pytest.param(CHUNKED.replace(b"2\r\n", b"2 \r\n", 1), id="a space behind a chunk's size"),
        pytest.param(CHUNKED.replace(b"2\r\n", b"2\n", 1), id="a chunk's size without CR"),
    ],
)
async def test_an_answer_that_could_be_read_in_two_ways_is_refused(pool, server, answer):
    server.script = [answer]

    with pytest.raises(UpstreamError, match="no HTTP"):
        await get(pool)


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        pytest.param("GET", "/", (b"x", b"a\r\nb: c"), id="a header's value"),
        pytest.param("GET", "/", (b"x\n", b"a"), id="a header's name"),
        pytest.param("GET", "/a\nb", (b"x", b"a"), id="the target"),
        pytest.param("GET\r\n", "/", (b"x", b"a"), id="the method"),
        pytest.param("GET", "/", (b"x", b"a\0"), id="a NUL"),
    ],
)
async def test_a_request_that_would_be_two_is_not_sent(pool, server, method, target, header):
    with pytest.raises(UpstreamError, match="the request"):
        await pool.request(method, target, headers=[header], body=b"")

    server.script = [OK]
    assert await get(pool) == (200, b"ok")
    assert len(server.requests) == 1


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


class Reader:
    """A program that reads a request as far as the test lets it."""

    def __init__(self):
        self.head, self.body = b"", bytearray()
        self.may_read, self.has_head = asyncio.Event(), asyncio.Event()
        self.answer, self.is_early = OK, False
        self.ended = asyncio.Event()

    async def serve(self, reader, writer):
        self.head = await reader.readuntil(b"\r\n\r\n")
        self.has_head.set()
        if self.is_early:
            writer.write(self.answer)
        await self.may_read.wait()
        while not self._is_whole():
            piece = await reader.read(64 * 1024)
            if not piece:
                self.ended.set()
                return
            self.body += piece
        writer.write(self.answer)
        await reader.read()
        self.ended.set()
        writer.close()

    def _is_whole(self):
        if b"chunked" in self.head:
            return self.body.endswith(b"0\r\n\r\n")
        size = int(self.head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return len(self.body) >= size


@pytest.fixture
async def reading(tmp_path):
    reader = Reader()
    listening = await asyncio.start_unix_server(reader.serve, str(tmp_path / "r"))
    reader.pool = Pool(str(tmp_path / "r"))
    yield reader
    reader.pool.close()
    listening.close()


class Pieces:
    """An upload that counts the pieces that were taken of it; ``then`` is how it goes on."""

    def __init__(self, *pieces, length=None, then="ends"):
        self.left, self.then, self.taken = list(pieces), then, 0
        self.upload = Upload(self.receive, length)

    async def receive(self):
        if not self.left and self.then == "leaves":
            return {"type": "http.disconnect"}
        self.taken += 1
        piece = self.left.pop(0) if self.left else b""
        more = bool(self.left) or self.then == "leaves"
        return {"type": "http.request", "body": piece, "more_body": more}


@pytest.mark.parametrize(
    ("length", "header", "body"),
    [
        pytest.param(5, b"content-length: 5", b"hello", id="as it declares"),
        pytest.param(
            None,
            b"transfer-encoding: chunked",
            b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            id="in chunks",
        ),
    ],
)
async def test_an_upload_is_sent_as_it_arrives(reading, length, header, body):
    reading.may_read.set()
    given = Pieces(b"he", b"", b"llo", length=length)

    answer = await reading.pool.request("POST", "/", headers=(), body=given.upload)

    assert (answer.status, await answer.body()) == (200, b"ok")
    assert header in reading.head
    assert reading.body == body
    answer.close()


async def test_a_program_that_reads_nothing_stops_the_upload(reading):
    piece = bytes(64 * 1024)
    given = Pieces(*[piece] * 1_000, length=1_000 * len(piece))
    asking = asyncio.create_task(reading.pool.request("POST", "/", headers=(), body=given.upload))
    await reading.has_head.wait()
    # All buffers on the way are full: no more is taken, however long it takes.
    taken = -1
    while given.taken != taken:
        taken = given.taken
        for _ in range(200):
            await asyncio.sleep(0)

    assert given.taken < 200
    reading.may_read.set()
    answer = await asking
    assert (answer.status, len(reading.body)) == (200, 1_000 * len(piece))
    answer.close()


async def test_an_answer_may_come_before_the_upload_is_over(reading):
    reading.is_early = True
    reading.answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"
    given = Pieces(*[bytes(64 * 1024)] * 1_000, length=1_000 * 64 * 1024)

    answer = await reading.pool.request("POST", "/", headers=(), body=given.upload)

    assert (answer.status, await answer.body()) == (413, b"no")
    answer.close()
    reading.may_read.set()
    await asyncio.wait_for(reading.ended.wait(), 60)  # the connection is not kept
    assert len(reading.body) < 1_000 * 64 * 1024


def answer_and_reset(listener, answer, is_over):
    """Answer once the head has come, and close with the body unread, which resets."""
    wire, _ = listener.accept()
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += wire.recv(4096)
    wire.sendall(answer)
    wire.close()
    is_over.set()


async def test_an_answer_counts_although_its_connection_was_reset_before_it_was_read():
    """The loop has not read it when the next piece is written, and that fails."""
    is_over, piece = threading.Event(), bytes(64 * 1024)

    async def receive():
        if taken:
            assert is_over.wait(60)  # the loop stands still meanwhile
        taken.append(piece)
        return {"type": "http.request", "body": piece, "more_body": True}

    taken = []
    answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer_and_reset, args=(listener, answer, is_over))
        server.start()
        pool = Pool(listener.getsockname()[1])
        upload = Upload(receive, 1_000 * len(piece))

        got = await pool.request("POST", "/", headers=(), body=upload)

        assert (got.status, await got.body()) == (413, b"large")
        got.close()
        pool.close()
        server.join()


async def test_an_upload_that_breaks_off_breaks_its_connection(reading):
    reading.may_read.set()
    given = Pieces(b"half", length=8, then="leaves")

    with pytest.raises(UploadBroken):
        await reading.pool.request("POST", "/", headers=(), body=given.upload)
    await asyncio.wait_for(reading.ended.wait(), 60)


@pytest.mark.parametrize("length", [3, 9], ids=["longer", "shorter"])
async def test_an_upload_of_another_length_than_it_declares_is_not_sent(reading, length):
    reading.may_read.set()

    with pytest.raises(UpstreamError, match="than it declares"):
        await reading.pool.request(
            "POST", "/", headers=(), body=Pieces(b"hello", length=length).upload
        )


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * HEAD_BYTES + b"y" * 9],
    ids=["another protocol", "a head without end"],
)
async def test_what_is_no_http_is_told_apart_from_nothing(pool, server, answer):
    server.script = [answer]

    with pytest.raises(NotHttp):
        await get(pool)
