"""Fetching a page for the model: the text it gets, and the addresses it can't reach."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from mesh.egress import Guard
from mesh.lib.addresses import parse_allowed
from tests.mesh.test_egress import names, serving
from tests.mesh.test_http_client import answer as packed_answer
from tests.mesh.test_http_client import serving as serving_bytes
from threads.decopilot import fetch as fetching
from threads.decopilot.fetch import BYTES_LIMIT, fetch
from threads.decopilot.files import ToolFailed


def reply(body, kind="text/html; charset=utf-8", status="200 OK"):
    data = body.encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n"
    return f"{head}connection: close\r\n\r\n{body}"


async def get(answer):
    async with serving(answer) as (port, _):
        guard = Guard(
            allowed=parse_allowed("a.example"),
            plain=True,
            resolve=names(a_example=[["127.0.0.1"]]),
        )
        return await fetch(f"http://a.example:{port}/x", guard=guard)


async def test_a_page_is_read_as_text():
    page = (
        "<title>T</title><script>evil()</script><p>One <b>two</b></p><li><a href='https://x'>l</a>"
    )
    shown = await get(reply(page))

    assert shown.splitlines()[0].startswith("http://a.example:")
    assert "One two" in shown
    assert "- l (https://x)" in shown
    assert "evil" not in shown


async def test_an_unknown_charset_is_no_failure():
    assert "Grüße" in await get(reply("<p>Grüße", "text/html; charset=none"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply("x", "image/png"), "image/png"),
        (reply("x", status="404 Gone"), "answered 404"),
    ],
)
async def test_what_can_t_be_read_says_why(answer, words):
    with pytest.raises(ToolFailed, match=words):
        await get(answer)


async def get_bytes(*parts):
    async with serving_bytes(*parts) as (url, _):
        guard = Guard(allowed=parse_allowed("127.0.0.1"), plain=True)
        return await fetch(url, guard=guard)


async def test_a_packed_page_is_cut_like_any_other(monkeypatch):
    monkeypatch.setattr(fetching, "BYTES_LIMIT", 10_000)
    page = gzip.compress(b"word " * 10_000)
    shown = await get_bytes(packed_answer(page, content_encoding="gzip", content_type="text/plain"))

    assert shown.count("word") < 20_000


async def test_a_page_that_is_packed_twice_is_not_unpacked():
    page = gzip.compress(gzip.compress(b"hi"))
    with pytest.raises(ToolFailed, match="more than once"):
        await get_bytes(packed_answer(page, content_encoding="gzip, gzip"))


async def test_a_page_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(fetching, "WHOLE_WAIT", 0.3)

    async def drip(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.01)

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(ToolFailed, match="did not load within"):
            await fetch(url, guard=Guard(allowed=parse_allowed("127.0.0.1"), plain=True))


async def test_a_huge_page_is_cut():
    assert len(await get(reply("x" * (BYTES_LIMIT + 9), "text/plain"))) < 60_000


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://localhost:8000/", "http://169.254.169.254/", "http://[::1]/"],
)
async def test_nothing_inside_is_reached(url):
    with pytest.raises(ToolFailed, match="public"):
        await fetch(url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x", "x", "", "http://"])
async def test_what_is_no_web_address_is_refused(url):
    with pytest.raises(ToolFailed):
        await fetch(url)
