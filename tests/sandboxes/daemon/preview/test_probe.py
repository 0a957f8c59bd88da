"""What answers at the dev server's port, asked of servers that say what they are told to."""

import asyncio
import contextlib

import pytest

from sandboxes.daemon.preview import probe
from sandboxes.daemon.preview.probe import ProbeResult, look


@contextlib.asynccontextmanager
async def serving(answer):
    """Run a server that sends ``answer`` to whatever it is asked; yield its port and what it was
    asked."""
    asked = []

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], asked


def answer_of(status=b"200 OK", *headers):
    return b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"\r\n"])


@pytest.mark.parametrize(
    ("answer", "is_page"),
    [
        pytest.param(answer_of(b"200 OK", b"Content-Type: text/HTML; charset=x"), True, id="page"),
        pytest.param(answer_of(b"200 OK", b"content-type: text/plain"), False, id="no page"),
        pytest.param(answer_of(b"404 No", b"content-type: text/html"), True, id="an error's page"),
        pytest.param(answer_of(b"405 No"), False, id="one that refuses HEAD"),
        pytest.param(answer_of(b"200 OK", b"content-length: 9"), False, id="length of no body"),
        pytest.param(answer_of(b"103 Hints") + answer_of(), False, id="hints before it"),
    ],
)
async def test_a_server_that_answers_is_seen_whatever_it_says(answer, is_page):
    async with serving(answer) as (port, asked):
        assert await look(port) == ProbeResult("127.0.0.1", is_page)

    assert asked[0].startswith(b"HEAD / HTTP/1.1\r\nhost: localhost:%d\r\n" % port)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-x\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, id="a head without end"),
        pytest.param(b"", id="silence"),
    ],
)
async def test_what_does_not_answer_in_http_is_not_seen(answer, monkeypatch):
    monkeypatch.setattr(probe, "SECONDS", 0.2)
    async with serving(answer) as (port, _):
        assert await look(port) is None


async def test_where_nobody_listens_nothing_is_seen():
    async with serving(b"") as (port, _):
        pass

    assert await look(port) is None
