"""The preview over the real socket, against a server of the test's own: D-WS1–5 and headers."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import html
import socket

import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from links.transport import STREAMED
from sandboxes.providers.signature import handshake, sign_request
from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.preview.upstream import PAGE, Upstream
from tests.waiting import auntil

pytestmark = pytest.mark.programs

A_BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PATHS = ["http://sandbox/_sandbox/preview", "http://sandbox"]


@pytest.fixture
async def upstream():
    async with Upstream().running() as upstream:
        yield upstream


@pytest.fixture
async def sandbox(make_sandbox, upstream):
    """A sandbox whose dev server is the test's own."""
    sandbox = make_sandbox()
    await begin(sandbox, upstream.port)
    async with looking_on(sandbox) as told:
        await told.phase("running")
    return sandbox


async def begin(sandbox, port):
    await sandbox.post("/write", {"path": "mesh.toml", "content": 'dev = ["sleep", "600"]'})
    return await sandbox.post("/config", {"application": {"port": port}})


def dial(sandbox, path="/", **options):
    return unix_connect(
        sandbox.facts["socket"],
        f"ws://sandbox/_sandbox/preview{path}",
        additional_headers=[
            handshake(f"/_sandbox/preview{path}", handle=sandbox.handle),
            *options.pop("headers", {}).items(),
        ],
        **options,
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("start", PATHS)
async def test_a_page_comes_through(sandbox, upstream, start):
    upstream.pages["/a b"] = (200, {"content-type": "text/plain"}, b"plain")

    page = await sandbox.client.get(f"{start}/")
    other = await sandbox.client.get(f"{start}/a%20b?x=%2F&y")

    assert page.status_code == 200
    assert "<title>x</title>" in page.text
    assert other.status_code == 404  # the path goes on as it was written
    assert upstream.heads("/a%20b?x=%2F&y")


async def test_what_the_dev_server_is_told(sandbox, upstream):
    headers = {
        "cookie": "theirs=1",
        "accept-encoding": "gzip",
        "x-forwarded-host": "h.preview.mesh.example",
        "origin": "https://h.preview.mesh.example",
        "x-own": "kept",
    }
    await sandbox.client.get("/preview/asked", headers=headers)

    [seen] = upstream.heads("/asked")
    assert seen["host"] == f"localhost:{upstream.port}"
    assert seen["origin"] == f"http://localhost:{upstream.port}"
    assert (seen["cookie"], seen["x-own"]) == ("theirs=1", "kept")
    assert "x-mesh-server-signature" not in seen
    assert seen["accept-encoding"] == "gzip"
    assert "x-forwarded-host" not in seen


async def test_a_foreign_origin_stays_foreign(sandbox, upstream):
    headers = {"x-forwarded-host": "h.preview.mesh.example", "origin": "https://evil.example"}
    await sandbox.client.get("/preview/asked", headers=headers)

    assert upstream.heads("/asked")[0]["origin"] == "https://evil.example"


async def test_what_the_browser_is_told(sandbox, upstream):
    headers = {
        "content-type": "text/html",
        "x-frame-options": "DENY",
        "content-security-policy": "default-src 'none'",
        "location": f"http://localhost:{upstream.port}/next?a=1",
        "set-cookie": "theirs=1; Path=/",
    }
    upstream.pages["/framed"] = (302, headers, b"<html><head></head></html>")

    reply = await sandbox.client.get("/preview/framed")

    assert reply.status_code == 302
    assert "x-frame-options" not in reply.headers
    assert "content-security-policy" not in reply.headers
    assert reply.headers["location"] == "/next?a=1"
    assert reply.headers["set-cookie"] == "theirs=1; Path=/"


async def test_a_page_is_given_the_script_and_nothing_else(sandbox, upstream):
    upstream.pages["/data"] = (200, {"content-type": "application/json"}, b'{"html": "<head>"}')

    page = (await sandbox.client.get("/preview/")).text
    data = (await sandbox.client.get("/preview/data")).text

    assert page.count("window.WebSocket") == 2
    assert "<head lang=en><script>" in page
    assert "eval" not in page
    assert "addEventListener" not in page
    assert data == '{"html": "<head>"}'


@pytest.mark.parametrize("kind", ["application/javascript", "text/event-stream"])
async def test_a_compressed_answer_arrives_as_it_was(sandbox, upstream, kind):
    packed = gzip.compress(b"x" * 10_000)
    headers = {"content-type": kind, "content-encoding": "gzip", "etag": '"1"'}
    upstream.pages["/packed"] = (200, headers, packed)

    async with sandbox.client.stream("GET", "/preview/packed") as reply:
        raw = b"".join([piece async for piece in reply.aiter_raw()])

    assert raw == packed
    assert (reply.headers["content-encoding"], reply.headers["etag"]) == ("gzip", '"1"')
    assert reply.headers["content-length"] == str(len(packed))


async def test_a_page_that_is_compressed_unasked_gets_the_script(sandbox, upstream):
    headers = {"content-type": "text/html", "content-encoding": "gzip"}
    upstream.pages["/packed"] = (200, headers, gzip.compress(PAGE))

    reply = await sandbox.client.get("/preview/packed", headers={"accept": "text/html"})

    assert "content-encoding" not in reply.headers
    assert "<head lang=en><script>" in reply.text


async def test_a_page_in_a_compression_we_cannot_read_goes_without_the_script(sandbox, upstream):
    headers = {"content-type": "text/html", "content-encoding": "zstd"}
    upstream.pages["/packed"] = (200, headers, b"\x28\xb5\x2f\xfd\x20\x02\x11\x00\x00hi")

    async with sandbox.client.stream("GET", "/preview/packed") as reply:
        raw = b"".join([piece async for piece in reply.aiter_raw()])

    assert raw == upstream.pages["/packed"][2]
    assert reply.headers["content-encoding"] == "zstd"


async def test_a_page_that_did_not_change_is_not_sent_again(sandbox, upstream):
    upstream.pages["/same"] = (304, {"content-type": "text/html", "etag": '"1"'}, b"")

    reply = await sandbox.client.get("/preview/same")

    assert (reply.status_code, reply.headers["etag"], reply.text) == (304, '"1"', "")


async def test_a_body_goes_up_and_down(make_sandbox):
    sandbox = make_sandbox()

    async def echo(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(size)
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + body)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        await begin(sandbox, server.sockets[0].getsockname()[1])
        await auntil(lambda: _is_up(sandbox))
        reply = await sandbox.client.post("/preview/x", content=b"ab" * 1_000_000)

    assert reply.content == b"ab" * 1_000_000


async def test_an_endless_answer_ends_when_its_reader_leaves(make_sandbox):
    sandbox = make_sandbox()
    gone = asyncio.Event()

    async def stream(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
        if b"/endless" in head:
            await reader.read()
            gone.set()
        writer.close()

    async with await asyncio.start_server(stream, "127.0.0.1", 0) as server:
        await begin(sandbox, server.sockets[0].getsockname()[1])
        await auntil(lambda: _is_up(sandbox))
        async with sandbox.client.stream("GET", "/preview/endless") as reply:
            assert await anext(reply.aiter_raw()) == b"data: 1\n\n"
        await asyncio.wait_for(gone.wait(), 60)


async def _is_up(sandbox):
    return (await sandbox.client.get("/preview/x")).status_code == 200


async def test_nothing_of_ours_is_asked_of_the_dev_server(sandbox, upstream):
    reply = await sandbox.client.get("/nothing/like/this")

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    assert not upstream.heads("/_sandbox/nothing/like/this")


async def test_without_the_signature_there_is_no_preview(sandbox, upstream):
    for start in PATHS:
        reply = await sandbox.client.get(f"{start}/secret", auth=None)
        assert reply.status_code == 401
    assert not upstream.heads("/secret")


async def test_echo_and_protocol(sandbox, upstream):  # D-WS1, D-IN4–6
    async with dial(sandbox, "/hmr?token=1", subprotocols=["vite-hmr"]) as ws:
        await ws.send("text")
        await ws.send(b"\x00bytes")

        assert [await ws.recv(), await ws.recv()] == ["text", b"\x00bytes"]
        assert ws.subprotocol == "vite-hmr"
    assert upstream.heads("/hmr?token=1")


async def test_how_the_server_says_goodbye(sandbox):  # D-WS2
    with contextlib.suppress(ConnectionClosed):
        async with dial(sandbox, "/goodbye") as ws:
            await ws.recv()

    assert (ws.close_code, ws.close_reason) == (4009, "server done")


async def test_a_client_s_goodbye_is_heard(sandbox, upstream):  # D-WS5
    async with dial(sandbox) as ws:
        await ws.send("x")
        await ws.recv()

    await auntil(lambda: upstream.closes)
    assert upstream.closes[0] in (1000, 1005)


async def test_a_dead_port(make_sandbox):  # D-WS3
    sandbox = make_sandbox()
    await begin(sandbox, free_port())
    async with looking_on(sandbox) as told:
        await told.phase("starting")
    await auntil(lambda: _has_port(sandbox))

    async with dial(sandbox) as ws:
        with pytest.raises(ConnectionClosed):
            await ws.recv()
    page = await sandbox.client.get("/preview/", headers=A_BROWSER)
    other = await sandbox.client.get("/preview/x.js", headers=A_BROWSER)
    program = await sandbox.client.get("/preview/")

    assert (ws.close_code, ws.close_reason) == (1011, "upstream not reachable")
    assert (page.status_code, page.headers["retry-after"]) == (503, "1")
    assert 'http-equiv=refresh content="1"' in page.text
    for told in (other, program):
        assert (told.status_code, told.json()["error"]["code"]) == (502, "dev_server_down")


async def _has_port(sandbox):
    return (await sandbox.client.get("/preview/x.js")).status_code == 502


async def test_no_port(make_sandbox):  # D-WS4
    sandbox = make_sandbox()

    async with dial(sandbox) as ws:
        with pytest.raises(ConnectionClosed):
            await ws.recv()
    page = await sandbox.client.get("/preview/", headers=A_BROWSER)
    program = await sandbox.client.get("/preview/")

    assert (program.status_code, program.headers["retry-after"]) == (503, "2")
    assert program.json()["error"]["code"] == "dev_server_starting"
    assert (ws.close_code, ws.close_reason) == (1011, "no upstream dev server")
    assert page.status_code == 503
    assert 'http-equiv=refresh content="2"' in page.text
    assert "<script" not in page.text


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
async def test_a_server_on_the_other_loopback(make_sandbox):
    sandbox = make_sandbox()
    async with Upstream().running(host="::1") as upstream:
        await begin(sandbox, upstream.port)
        async with looking_on(sandbox) as told:
            await told.phase("running")

        assert "page" in (await sandbox.client.get("/preview/")).text


async def test_a_server_that_goes_and_comes_back(make_sandbox):
    sandbox = make_sandbox()

    async def is_crashed():
        await sandbox.client.get("/preview/")  # which makes the probe look
        return "crashed" in told.phases

    async with looking_on(sandbox) as told:
        async with Upstream().running() as upstream:
            await begin(sandbox, upstream.port)
            await told.phase("running")
        await auntil(is_crashed)
        async with Upstream().running(upstream.port):
            await auntil(lambda: told.phases[-1] == "running")
            assert "page" in (await sandbox.client.get("/preview/")).text


class Receiver:
    """A dev server that counts what it is sent; "/early" refuses it unread, "/never" is silent."""

    def __init__(self):
        self.left = asyncio.Event()
        self.asked = asyncio.Event()

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"/early" in head:
            writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge")
            writer.close()
            return
        if b"/never" in head:
            self.asked.set()
            await reader.read()
            self.left.set()
            return
        size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        count = 0
        while count < size:
            count += len(await reader.read(256 * 1024))
        # HTTP/1.0: the answer ends with its connection.
        writer.write(b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\n%d" % count)
        writer.close()

    @contextlib.asynccontextmanager
    async def behind(self, sandbox):
        async with await asyncio.start_server(self.serve, "127.0.0.1", 0) as server:
            await begin(sandbox, server.sockets[0].getsockname()[1])
            async with looking_on(sandbox) as told:
                await told.phase("running")
            yield self


SIZE = 64 * 1024 * 1024  # more than is ever read whole


async def pieces(size=SIZE):
    for _ in range(size // (1024 * 1024)):
        yield bytes(1024 * 1024)


def upload(sandbox, path, **headers):
    return sandbox.client.build_request(
        "POST",
        f"http://sandbox/_sandbox{path}",
        content=pieces(),
        headers={"content-length": str(SIZE), **headers},
        extensions={STREAMED: True},
    )


async def send_signed(sandbox, request):
    signed = sign_request(request, handle=sandbox.handle)
    return await sandbox.client.send(signed, auth=None)


async def test_an_upload_of_any_length_reaches_the_dev_server(make_sandbox):
    sandbox = make_sandbox()
    async with Receiver().behind(sandbox):
        reply = await send_signed(sandbox, upload(sandbox, "/preview/files"))

    assert (reply.status_code, reply.text) == (200, str(SIZE))


async def test_the_dev_server_may_refuse_an_upload_before_it_has_come(make_sandbox):
    sandbox = make_sandbox()
    async with Receiver().behind(sandbox):
        reply = await send_signed(sandbox, upload(sandbox, "/preview/early"))

    assert (reply.status_code, reply.text) == (413, "large")


@pytest.mark.parametrize("path", ["/write", "/dispatch", "/previews"])
async def test_the_sandbox_s_own_routes_take_no_body_that_is_not_signed(make_sandbox, path):
    sandbox = make_sandbox()

    reply = await send_signed(sandbox, upload(sandbox, path))

    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "bad_server_signature")


async def test_a_long_poll_whose_reader_leaves_is_given_up(make_sandbox):
    sandbox = make_sandbox()
    async with Receiver().behind(sandbox) as receiver:
        asking = asyncio.create_task(sandbox.client.get("/preview/never", timeout=None))
        await asyncio.wait_for(receiver.asked.wait(), 60)
        asking.cancel()

        await asyncio.wait_for(receiver.left.wait(), 60)


NONSENSE = {
    "another protocol": b"-ERR unknown command\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 100_000,
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "no status": b"HTTP/1.1 1000 What\r\ncontent-length: 0\r\n\r\n",
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_named_and_never_waited_for(make_sandbox, said):
    sandbox = make_sandbox()

    async def answer(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        await begin(sandbox, server.sockets[0].getsockname()[1])
        await auntil(lambda: _is_asked(sandbox))
        page = await sandbox.client.get("/preview/some/page", headers=A_BROWSER)
        program = await sandbox.client.get("/preview/")

    assert page.status_code == program.status_code == 502
    assert "The dev server can't be shown" in html.unescape(page.text)
    assert "http-equiv=refresh" not in page.text
    assert program.json()["error"]["code"] == "dev_server_bad_answer"


async def _is_asked(sandbox):
    reply = await sandbox.client.get("/preview/x")
    return reply.status_code == 502 and reply.json()["error"]["code"] == "dev_server_bad_answer"


LONGEST = 16 * 1024 * 1024


async def test_the_longest_message_passes_both_ways(sandbox):
    message = bytes(range(256)) * (LONGEST // 256)
    async with dial(sandbox, max_size=LONGEST) as ws:
        await ws.send(message)

        assert await ws.recv() == message


async def test_many_subprotocols_are_offered_as_they_were(sandbox, upstream):
    offered = ["bokeh", "eyJzZXNz.aW9u-x_1", "streamlit", "2|10", *(f"v{n}" for n in range(30))]
    async with dial(sandbox, "/ws", subprotocols=offered) as ws:
        assert ws.subprotocol == "bokeh"

    [seen] = upstream.heads("/ws")
    assert seen["sec-websocket-protocol"].replace(" ", "").split(",") == offered
