"""The ways by which the server reaches a laptop. Each case of the suite runs over each of them.

To add one: a function that starts the real program and returns a ``Way``, named in ``WAYS``.
"""

# ruff: noqa: F811  (fixtures of other folders, by their names)

import secrets
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from links import held_machines
from links.internal.caller import Owners
from links.internal.listener import Listener
from links.proxy import open_through
from links.sockets import FarSocket
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
from tests.links.test_direct import (  # noqa: F401  # fixtures
    allowed,
    authority,
    caller,
    free_port,
    own_url,
    program,
)
from tests.waiting import PATIENCE


@dataclass
class Way:
    """``client`` signs, as the server does; through ``bare`` anything can be said."""

    client: httpx.AsyncClient
    bare: httpx.AsyncClient
    secret: str
    sandboxes: Path
    websocket: Callable[..., Awaitable[FarSocket]]  # (target, headers, subprotocols)

    async def signed(self, method, target, body=b"", *, sent_to=None, **changed):
        """Send a request signed by hand, with what is ``changed`` of the truth."""
        about = {"now": time.time(), "nonce": secrets.token_hex(16), "secret": self.secret}
        about |= changed
        key = about.pop("secret")
        headers = signing.signed_headers(key, method=method, target=target, body=body, **about)
        asked = {"target": (sent_to or target).encode()}  # httpx would tidy it
        return await self.bare.request(method, "/", content=body, headers=headers, extensions=asked)

    async def ensured(self, handle="echo-1"):
        answer = await self.client.post("/api/sandboxes", json={"handle": handle})
        assert answer.status_code == 200, answer.text
        return answer


async def by_tunnel(given):
    """One outgoing WebSocket of the laptop; its socket is held here."""
    one = given.laptop()
    connection = held_machines.find(await given.connected())
    bare = httpx.AsyncClient(
        base_url="http://laptop", transport=TunnelTransport(connection.peer), timeout=PATIENCE
    )
    return _way(connection, bare, one.home)


async def by_another_process(given):
    """The same, but another process of the server holds the socket."""
    way = await by_tunnel(given)
    link_id, address = await given.connected(), await given.listener.start()
    way.client = Owners().client(link_id, address)
    way.websocket = partial(open_through, address, link_id)
    return way


async def by_address(given):
    """No tunnel: the laptop listens on loopback, and is called there."""
    given.program("--no-tunnel")
    connection = held_machines.find(await given.connected())
    bare = httpx.AsyncClient(base_url=connection.machine.url, trust_env=False, timeout=PATIENCE)
    return _way(connection, bare, given.home)


async def by_own_url(given):
    """No tunnel: the laptop has a name of its own, and a certificate for it."""
    given.program("--tunnel-url", given.own_url)
    connection = held_machines.find(await given.connected())
    assert connection.machine.url == given.own_url
    tls = ssl.create_default_context(cafile=given.authority.file)
    bare = httpx.AsyncClient(base_url=given.own_url, verify=tls, trust_env=False, timeout=PATIENCE)
    return _way(connection, bare, given.home)


def _way(connection, bare, home):
    secret, sandboxes = connection.claimed.secret, home / "sandboxes"
    return Way(connection.client, bare, secret, sandboxes, connection.websocket)


WAYS = {
    "tunnel": by_tunnel,
    "another process": by_another_process,
    "address": by_address,
    "own url": by_own_url,
}


@pytest.fixture(params=WAYS)
async def way(
    request,
    laptop,
    connected,
    program,
    caller,
    tmp_path,
    authority,
    own_url,
):
    """One way to a laptop that runs, is linked, and has no sandbox yet."""
    listener = Listener(home=tmp_path)
    given = SimpleNamespace(
        laptop=laptop,
        connected=connected,
        program=program,
        listener=listener,
        home=tmp_path,
        authority=authority,
        own_url=own_url,
    )
    way = await WAYS[request.param](given)
    yield way
    await way.bare.aclose()
    await listener.stop()
