"""Sandboxes at addresses: what is kept of one goes with it."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from mesh.http_server import HttpServer
from sandboxes.providers import direct
from sandboxes.providers.base import Place
from sandboxes.providers.direct import DirectProvider
from tests.waiting import auntil


class Program:
    """What listens at every address: healthy, and busy on ``/slow`` until it may end."""

    def __init__(self):
        self.may_end = asyncio.Event()

    async def __call__(self, scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = b'{"activeRuns": 0}'
        if scope["path"].endswith("/slow"):
            await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
            await self.may_end.wait()
            body = b"and done"
        await send({"type": "http.response.body", "body": body})


class Everywhere(DirectProvider):
    def __init__(self, port):
        super().__init__(token_of=lambda handle: "t")
        self.port = port

    async def address_of(self, handle):
        return f"127.0.0.1:{self.port}"

    async def start(self, place):
        pass

    async def take_down(self, place, *, removes):
        pass

    async def failure_reason(self, handle):
        return ""


@pytest.fixture
def program():
    return Program()


@pytest.fixture
async def server(program):
    sock = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(program)
    server.port = sock.getsockname()[1]
    await server.start(sock)
    yield server
    program.may_end.set()
    await server.stop(within=1)


@pytest.fixture
def provider(server):
    return Everywhere(server.port)


def place_of(handle):
    return Place("docker", None, handle)


@pytest.mark.parametrize("how", ["stop", "remove"])
async def test_the_connections_of_a_sandbox_that_goes_are_closed(provider, server, how):
    await provider.ensure(place_of("one"))
    assert server._state.connections

    await getattr(provider, how)(place_of("one"))

    await auntil(lambda: not server._state.connections, what="closed")


async def test_a_stream_is_read_to_its_end_before(provider, program, server):
    place = place_of("one")
    async with provider.open(place, "GET", "slow") as reply:
        pieces = reply.aiter_raw()
        assert await anext(pieces) == b"begun "
        await provider.remove(place)
        program.may_end.set()

        assert b"".join([piece async for piece in pieces]) == b"and done"
    await auntil(lambda: not server._state.connections, what="closed")


async def test_nothing_is_kept_of_sandboxes_that_are_gone(provider):
    for number in range(20):
        await provider.ensure(place_of(f"s{number}"))
        await provider.remove(place_of(f"s{number}"))

    gc.collect()
    assert [len(each) for each in (provider._endpoints, provider._locks, provider._ending)] == [
        0
    ] * 3


async def test_of_many_sandboxes_the_least_recently_used_lose_their_connections(
    provider, server, monkeypatch
):
    monkeypatch.setattr(direct, "KEPT", 3)
    for number in (0, 1, 2, 0, 3):
        await provider.request(place_of(f"s{number}"), "GET", "health")

    assert sorted(provider._endpoints) == ["s0", "s2", "s3"]
    await auntil(lambda: len(server._state.connections) == 3, what="the fourth is closed")


async def test_two_callers_at_once_make_one_client(provider):
    endpoints = await asyncio.gather(*(provider.endpoint(place_of("one")) for _ in range(5)))

    assert len({id(endpoint.client) for endpoint in endpoints}) == 1
