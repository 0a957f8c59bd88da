"""Requests to addresses that others wrote, with a real server on loopback to be kept from."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from ipaddress import ip_address

import httpx
import pytest

from mesh.egress import (
    AddressRefused,
    BadAddress,
    Guard,
    GuardedTransport,
    split_address,
)
from mesh.lib.addresses import parse_allowed

LOOPBACK = ip_address("127.0.0.1")


@asynccontextmanager
async def serving(answer="HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"):
    """Serve one answer on loopback; yields the port and the heads of the requests."""
    heads = []

    async def talk(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(answer.encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], heads


def names(**table):
    """A resolver that knows these names, and answers each one in turn."""
    turns = {name.replace("_", "."): list(answers) for name, answers in table.items()}

    async def resolve(host, port):
        answers = turns.get(host, [])
        found = answers.pop(0) if len(answers) > 1 else answers[0] if answers else []
        return [ip_address(text) for text in found]

    return resolve


async def get(url, *, allowed="", resolve=None, plain=True, **settings):
    given = {"resolve": resolve} if resolve else {}
    guard = Guard(allowed=parse_allowed(allowed), plain=plain, **given)
    transport = GuardedTransport(guard)
    async with httpx.AsyncClient(transport=transport, **settings) as client:
        return await client.get(url)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"],
)
async def test_this_machine_is_not_reached_however_it_is_written(host):
    async with serving() as (port, heads):
        with pytest.raises(AddressRefused):
            await get(f"http://{host}:{port}/")

    assert heads == []


async def test_a_cloud_s_metadata_is_not_reached():
    with pytest.raises(AddressRefused):
        await get("http://169.254.169.254/latest/meta-data/")


async def test_a_name_that_points_to_a_private_address_is_refused():
    with pytest.raises(AddressRefused):
        await get("https://evil.example/", resolve=names(evil_example=[["10.0.0.1"]]))


async def test_the_operator_may_allow_a_host_and_its_name_is_sent():
    async with serving() as (port, heads):
        reply = await get(
            f"http://llm.corp:{port}/v1",
            allowed=f"llm.corp:{port}",
            resolve=names(llm_corp=[["127.0.0.1"]]),
        )

    assert reply.text == "hi"
    assert f"llm.corp:{port}" in heads[0]


async def test_a_redirect_to_a_private_address_is_refused():
    async with serving() as (hidden, heads):
        to = f"HTTP/1.1 302 F\r\nlocation: http://127.0.0.1:{hidden}/\r\ncontent-length: 0\r\n\r\n"
        async with serving(to) as (port, _):
            with pytest.raises(AddressRefused):
                await get(
                    f"http://a.example:{port}/",
                    allowed=f"a.example:{port}",
                    resolve=names(a_example=[["127.0.0.1"]]),
                    follow_redirects=True,
                )

    assert heads == []


async def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(monkeypatch):
    """A name whose next answer would be another one (DNS rebinding) gains nothing."""
    went_to = []

    async def note(self, request):
        went_to.append(request.url.host)
        assert request.extensions["sni_hostname"] == "turns.example"
        return httpx.Response(200)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", note)
    answers = names(turns_example=[["1.1.1.1"], ["127.0.0.1"]])
    await get("https://turns.example/", resolve=answers)

    assert went_to == ["1.1.1.1"]


async def test_the_next_address_is_tried_when_nothing_listens_at_the_first():
    async with serving() as (port, _):
        reply = await get(
            f"http://two.corp:{port}/",
            allowed="two.corp",
            resolve=names(two_corp=[["127.0.0.9", "127.0.0.1"]]),
        )

    assert reply.text == "hi"


async def test_the_model_library_s_httpx_is_kept_from_the_same():
    import httpx2

    from threads.decopilot.transport import Transport

    async with serving() as (port, heads):
        guard = Guard(
            allowed=parse_allowed("two.corp"),
            resolve=names(two_corp=[["127.0.0.9", "127.0.0.1"]], in_example=[["10.0.0.1"]]),
        )
        async with httpx2.AsyncClient(transport=Transport(guard)) as client:
            assert (await client.get(f"http://two.corp:{port}/")).text == "hi"
            for url in (f"http://127.0.0.1:{port}/", "https://in.example/"):
                with pytest.raises(AddressRefused):
                    await client.get(url)
            with pytest.raises(httpx2.ConnectError, match="no such host"):
                await client.get("https://nowhere.invalid/")

    assert [f"host: two.corp:{port}" in head.lower() for head in heads] == [True]


async def test_a_key_never_goes_to_a_public_host_in_clear():
    with pytest.raises(AddressRefused, match="https"):
        await get("http://a.example/", plain=False, resolve=names(a_example=[["1.1.1.1"]]))


async def test_a_name_without_an_address_can_t_be_reached():
    with pytest.raises(httpx.ConnectError, match="no such host"):
        await get("https://nowhere.invalid/")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param("http://169.254.169.254/v1", AddressRefused, id="metadata"),
        pytest.param("https://10.0.0.1/v1", AddressRefused, id="private"),
        pytest.param("https://[::1]/v1", AddressRefused, id="this machine"),
        pytest.param("ftp://x.example", BadAddress, id="another scheme"),
        pytest.param("//x.example", BadAddress, id="no scheme"),
        pytest.param("https://", BadAddress, id="no host"),
        pytest.param("https://a@b.example", BadAddress, id="user name"),
        pytest.param("https://x.example/\nv1", BadAddress, id="line feed"),
        pytest.param("https://x.example:99999/", BadAddress, id="no port"),
        pytest.param("https://x.example/?a=1", BadAddress, id="query"),
        pytest.param("https://[::1", BadAddress, id="half a bracket"),
        pytest.param("https://x.example/" + "y" * 300, BadAddress, id="too long"),
    ],
)
def test_an_address_is_refused_when_it_is_typed(text, error):
    with pytest.raises(error):
        split_address(text)
