"""The ways by which the server reaches a laptop. Each case of the suite runs over each of them.

To add one: a function that starts the real program and returns a ``Way``, named in ``WAYS``.
"""

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from links import held
from links.internal.caller import Owners
from links.internal.listener import Listener
from links.transport import TunnelTransport
from links.wire import signing
from tests.links.conftest import (  # noqa: F401  # fixtures
    connected,
    door,
    laptop,
    pulse,
    server,
    token,
)
from tests.links.test_direct import allowed, caller, free_port, program  # noqa: F401  # fixtures


@dataclass
class Way:
    """``client`` signs, as the server does; through ``bare`` anything can be said."""

    client: httpx.AsyncClient
    bare: httpx.AsyncClient
    secret: str
    sandboxes: Path

    async def signed(self, method, target, body=b"", *, sent_to=None, **changed):
        """Send a request signed by hand, with what is ``changed`` of the truth."""
        about = {"now": time.time(), "nonce": secrets.token_hex(16), "secret": self.secret}
        about |= changed
        key = about.pop("secret")
        headers = signing.signed_headers(key, method=method, target=target, body=body, **about)
        return await self.bare.request(method, sent_to or target, content=body, headers=headers)

    async def ensured(self, handle="echo-1"):
        answer = await self.client.post("/api/sandboxes", json={"handle": handle})
        assert answer.status_code == 200, answer.text
        return answer


async def by_tunnel(given):
    """One outgoing WebSocket of the laptop; its socket is held here."""
    one = given.laptop()
    connection = held.find(await given.connected())
    bare = httpx.AsyncClient(
        base_url="http://laptop", transport=TunnelTransport(connection.peer), timeout=30
    )
    return Way(connection.client, bare, connection.claimed.secret, one.home / "sandboxes")


async def by_another_process(given):
    """The same, but another process of the server holds the socket."""
    way = await by_tunnel(given)
    way.client = Owners().client(await given.connected(), await given.listener.start())
    return way


async def by_address(given):
    """No tunnel: the laptop listens on loopback, and is called there."""
    given.program("--no-tunnel")
    connection = held.find(await given.connected())
    bare = httpx.AsyncClient(base_url=connection.machine.url, trust_env=False, timeout=30)
    return Way(connection.client, bare, connection.claimed.secret, given.home / "sandboxes")


WAYS = {"tunnel": by_tunnel, "another process": by_another_process, "address": by_address}


@pytest.fixture(params=WAYS)
async def way(request, laptop, connected, program, caller, tmp_path):  # noqa: F811
    """One way to a laptop that runs, is linked, and has no sandbox yet."""
    listener = Listener(home=tmp_path)
    given = SimpleNamespace(
        laptop=laptop, connected=connected, program=program, listener=listener, home=tmp_path
    )
    way = await WAYS[request.param](given)
    yield way
    await way.bare.aclose()
    await listener.stop()
