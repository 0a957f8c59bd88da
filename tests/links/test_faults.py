"""The real program behind a network with faults: what is shown, and that it comes back."""

import signal

import httpx
import pytest
from asgiref.sync import sync_to_async

from links import selectors
from links.calls import client_for, held_here
from links.connection import Pulse
from tests.links.fault_proxy import FaultProxy
from tests.waiting import PATIENCE, auntil

pytestmark = pytest.mark.programs


@pytest.fixture
def pulse():
    return Pulse(every=0.5, last_wait=1.5)  # a busy machine stands still for a second


@pytest.fixture
async def door(server):
    async with FaultProxy(server.port).running() as proxy:
        yield proxy


@pytest.fixture
def presence(ada):
    """Return ``presence()``: state and cause of ada's machine."""

    async def look():
        (view,) = await sync_to_async(selectors.list_links)(viewer=ada)
        return view.state, view.cause

    return look


@pytest.fixture
def becomes(presence):
    """Return ``becomes(state, cause)``, which waits for it."""

    async def wait(*expected):
        async def is_so():
            return await presence() == expected

        await auntil(is_so, what=expected)

    return wait


@pytest.fixture
async def api(server, token):
    """A program of ada's, which does not come through the faulty network."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=f"{server.url}/api/links", headers=headers, timeout=PATIENCE, trust_env=False
    ) as client:
        yield client


async def test_a_stopped_process_is_asleep_and_comes_back(laptop, connected, becomes):
    one = laptop()
    await connected()

    one.process.send_signal(signal.SIGSTOP)
    await becomes("offline", "asleep")

    one.process.send_signal(signal.SIGCONT)
    await becomes("online", "")


async def test_a_pulled_cable_is_called_so_once_the_machine_has_told(
    laptop, connected, door, becomes
):
    laptop()
    await connected()
    door.pull()
    await becomes("offline", "asleep")  # nobody can tell the two apart yet
    door.plug()
    await becomes("online", "")  # and the machine said that it had been awake

    door.pull()

    await becomes("offline", "network")


async def test_a_connection_that_breaks_is_the_network_and_is_made_anew(
    laptop, connected, door, server, presence
):
    laptop()
    link_id = await connected()
    for n in range(1, 4):
        door.cut()
        await auntil(lambda n=n: len(server.ups) > n)

    assert server.downs[0] == (link_id, "network")
    assert await presence() == ("online", "")


@pytest.mark.parametrize("way", ["up", "down"])
async def test_a_connection_that_is_half_open_is_silent(laptop, connected, door, becomes, way):
    laptop()
    await connected()

    setattr(door, way, False)

    await becomes("offline", "asleep")


async def test_a_network_that_brings_each_byte_alone(laptop, connected, door):
    door.at_once = 1
    laptop()
    client = await client_for(await connected())

    answer = await client.post("/api/sandboxes", json={"handle": "echo-1"})
    echoed = await client.post("/_sandbox/echo-1/x", content=b"abc" * 100)

    assert answer.status_code == 200
    assert echoed.json()["body"] == "abc" * 100


class TestSlowNetwork:
    """Pings far enough apart that a busy machine answers them; several are sent in the test."""

    @pytest.fixture
    def pulse(self):
        return Pulse(every=1.0, last_wait=2.0)

    async def test_a_slow_network_is_no_absence(self, laptop, connected, door, server):
        door.delay = 0.1
        laptop()
        client = await client_for(await connected())
        for _ in range(20):  # each takes two delays at least
            assert (await client.get("/api/sandboxes")).status_code == 200

        assert server.downs == []


async def test_a_revoked_machine_is_out_within_seconds(laptop, connected, becomes, api, door):
    one = laptop()
    link_id = await connected()

    assert (await api.delete(f"/{link_id}")).status_code == 204

    await auntil(lambda: not held_here())
    await becomes("offline", "signed_out")
    dialled = door.connections
    await auntil(lambda: door.connections > dialled or one.process.poll() is not None)
    assert not held_here()


class TestProbe:
    """In earnest: pings are far apart, so that only the probe can tell."""

    @pytest.mark.parametrize("pulse", [Pulse()])
    async def test_a_machine_that_is_there(self, laptop, connected, api):
        laptop()
        probed = (await api.post(f"/{await connected()}/probe")).json()

        assert probed["state"] == "online"
        assert probed["roundTripMs"] > 0

    @pytest.mark.parametrize("pulse", [Pulse(check_within=0.5)])
    @pytest.mark.parametrize("fault", ["stopped", "pulled"])
    async def test_a_machine_that_is_not(self, laptop, connected, api, door, fault):
        one = laptop()
        link_id = await connected()
        if fault == "stopped":
            one.process.send_signal(signal.SIGSTOP)
        else:
            door.pull()

        probed = (await api.post(f"/{link_id}/probe")).json()

        assert (probed["state"], probed["cause"]) == ("offline", "asleep")
        assert probed["roundTripMs"] is None
        assert not held_here()
