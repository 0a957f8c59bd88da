"""The loopback port: nobody else's, and gone when it is stopped."""

import asyncio
import socket

import httpx
import pytest

from links.daemon import listener
from links.daemon.control import ControlPlane
from links.daemon.errors import PortTaken
from links.daemon.listener import Listener
from links.daemon.supervisor import Supervisor
from links.wire import signing
from tests.waiting import PATIENCE


@pytest.fixture
def port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
async def listening(port, tmp_path):
    supervisor = Supervisor(tmp_path)
    listener = Listener(ControlPlane(secret=lambda: "s" * 43, supervisor=supervisor), port=port)
    await listener.start()
    yield listener
    await listener.stop()


@pytest.fixture
async def client(port):
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE
    ) as client:
        yield client


def signed(target, *, nonce):
    import time

    return signing.signed_headers(
        "s" * 43, method="GET", target=target, body=b"", now=time.time(), nonce=nonce
    )


async def test_a_signed_request_is_answered(listening, client):
    answer = await client.get("/api/sandboxes", headers=signed("/api/sandboxes", nonce="a" * 32))

    assert (answer.status_code, answer.json()) == (200, {"sandboxes": []})


async def test_the_same_one_twice_is_refused(listening, client):  # D-CP3
    headers = signed("/api/sandboxes", nonce="b" * 32)
    await client.get("/api/sandboxes", headers=headers)

    answer = await client.get("/api/sandboxes", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "nonce_replay")


async def test_an_unsigned_one_is_refused(listening, client):  # D-CP1
    answer = await client.get("/api/sandboxes")

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


async def test_it_listens_on_loopback_only(listening):
    (address,) = {s.getsockname()[0] for s in listening._server._server.sockets}

    assert address == "127.0.0.1"


async def test_more_at_once_than_the_limit_are_refused(port, client, monkeypatch):
    monkeypatch.setattr(listener, "MAX_CONCURRENT", 2)
    asked = asyncio.Event()

    async def never_answers(scope, receive, send):
        asked.set()
        await asyncio.Event().wait()

    one = Listener(never_answers, port=port)
    await one.start()
    waiting = asyncio.create_task(client.get("/"))
    await asked.wait()

    assert (await client.get("/")).status_code == 503
    await one.stop()
    await asyncio.wait([waiting], timeout=PATIENCE)
    assert waiting.done()  # broken off: nobody waits for what is being stopped


async def test_a_port_in_use_is_reported(listening, port):
    with pytest.raises(PortTaken, match=str(port)):
        await Listener(None, port=port).start()


async def test_stopped_it_is_gone(listening, client):
    await listening.stop()
    await listening.stop()

    with pytest.raises(httpx.ConnectError):
        await client.get("/")
