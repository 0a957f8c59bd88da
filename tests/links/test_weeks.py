"""What happens to a laptop in weeks, in seconds: the real program, its clocks moved by the test.

Outages, tokens that expire, closed lids, servers of another version. Through all of them the
sandbox with the person's work lives on, and nobody has to do anything on the laptop.
"""

import os
import shlex
from types import SimpleNamespace

import httpx
import pytest
from allauth.idp.oidc.models import Token
from asgiref.sync import sync_to_async
from django.utils import timezone

from links import held_machines, selectors
from links.calls import client_for, held_here
from links.connection import Pulse
from links.daemon.oauth import Tokens
from links.daemon.tokens import TokenStore
from links.wire import version
from tests.links.conftest import Laptop
from tests.links.fault_proxy import FaultProxy
from tests.mesh.pairing.conftest import Browser, Machine
from tests.waiting import PATIENCE, auntil

pytestmark = pytest.mark.programs

HOUR, MINUTE = 3600.0, 60.0


@pytest.fixture
def pulse():
    return Pulse(every=0.3, last_wait=0.3)


@pytest.fixture
async def door(server):
    async with FaultProxy(server.port).running() as proxy:
        yield proxy


def pair(home, url, ada):
    """Leave in ``home`` what pairing leaves there."""
    machine = Machine().paired(Browser(ada), machine_id="a" * 32)
    (home / "machine-id").write_text("a" * 32)
    now = timezone.now().timestamp()
    life = machine.tokens["expires_in"]
    TokenStore(home, url).write(
        Tokens(
            access=machine.tokens["access_token"],
            refresh=machine.tokens["refresh_token"],
            renew_at=now + life * 0.8,
            expires_at=now + life,
        )
    )


@pytest.fixture
def signed_in_by():
    """How the machine shows who it is: "paired", or by a "token file"."""
    return "paired"


@pytest.fixture
async def away(server, door, connected, tmp_path, ada, token, signed_in_by):
    """A machine that is linked and at work; ``work()`` is its sandbox, as long as that lives."""
    home = tmp_path / "laptop"
    home.mkdir()
    if signed_in_by == "paired":
        await sync_to_async(pair)(home, door.url, ada)
    laptop = Laptop(home, door, None if signed_in_by == "paired" else token).start()
    link_id = await connected()
    client = await client_for(link_id)
    await client.post("/api/sandboxes", json={"handle": "echo-1"})

    async def work():
        found = await (await client_for(await connected())).get("/api/sandboxes")
        return found.json()["sandboxes"][0]["pid"]

    pid = await work()
    yield SimpleNamespace(
        laptop=laptop,
        hands=laptop.hands,
        link_id=link_id,
        work=work,
        pid=pid,
        tokens=lambda: TokenStore(home, door.url).read(),
    )
    laptop.end()


async def is_back(away):
    """Wait until it is linked again, and see that its work went on."""
    await auntil(held_here, what=away.laptop.log())
    assert await away.work() == away.pid
    os.kill(away.pid, 0)


async def comes_back(away):
    """Let time pass until it is linked again."""

    def is_linked():
        away.hands.pass_time(2)
        return held_here()

    await auntil(is_linked, what=away.laptop.log())
    await is_back(away)


async def lasts(away, seconds, *, asked):
    """Let an outage last; the machine asks again and again, and is refused each time."""
    end = away.hands.steady + seconds
    while away.hands.steady < end:
        before = asked()

        def asks_again(before=before):
            away.hands.pass_time(2)
            return asked() > before

        await auntil(asks_again, what=away.laptop.log())
        assert away.laptop.process.poll() is None


def cut(link_id):
    held_machines.find(link_id).close(1012, "the test cuts it")


@pytest.mark.parametrize("signed_in_by", ["paired", "token file"])
@pytest.mark.parametrize("status", [401, 403, 503])
async def test_half_an_hour_of_refusals_ends_no_run(away, server, status):
    server.refusing = status
    cut(away.link_id)

    await lasts(away, 30 * MINUTE, asked=lambda: server.refused)
    server.refusing = 0

    await comes_back(away)


async def test_ten_minutes_without_a_network(away, door):
    door.pull()
    await auntil(lambda: not held_here())
    away.hands.pass_time(26)  # nothing heard for so long is no connection

    await lasts(away, 10 * MINUTE, asked=lambda: door.connections)
    door.plug()

    await comes_back(away)


async def test_a_server_that_is_away_for_a_night(away, server):
    await server.stop()
    for _ in range(40):
        away.hands.pass_time(15 * MINUTE)
    async with server.running(server.port):
        await comes_back(away)


async def test_a_lid_that_was_closed_reconnects_at_once(away, server, ada):
    away.hands.sleep(3 * HOUR)

    await auntil(lambda: len(server.ups) == 2)
    await is_back(away)
    link = await sync_to_async(selectors.find_row)(viewer=ada, link_id=away.link_id)
    assert link.cause == ""


async def test_a_machine_that_wakes_does_not_wait_for_the_rest_of_a_pause(away, server):
    server.refusing = 503
    cut(away.link_id)
    await lasts(away, 3 * MINUTE, asked=lambda: server.refused)  # pauses are long by now
    server.refusing = 0
    # The last answer is read, and the pause begun: what is measured is who sleeps in a pause.
    await auntil(lambda: away.laptop.log().count("reconnecting in") > server.refused)

    away.hands.sleep(HOUR)  # not a second passes for the program

    await is_back(away)


async def test_a_token_that_expired_between_two_connections(away, server):
    before = away.tokens()
    server.refusing = 503
    cut(away.link_id)
    await lasts(away, MINUTE, asked=lambda: server.refused)
    access = Token.objects.filter(type=Token.Type.ACCESS_TOKEN)
    await access.aupdate(expires_at=timezone.now())
    away.hands.sleep(2 * HOUR)
    server.refusing = 0

    await comes_back(away)
    assert away.tokens().access != before.access


async def test_a_token_is_renewed_beside_a_connection_that_stays(away, server):
    before = away.tokens()

    away.hands.pass_time(50 * MINUTE)

    await auntil(lambda: away.tokens().access != before.access)
    assert (len(server.ups), server.downs) == (1, [])
    await is_back(away)


async def test_tokens_that_the_server_forgot_do_not_end_what_runs(away, server):
    """Its sign-in is over for certain: the link says so and ends, and the work goes on."""
    await Token.objects.all().adelete()
    cut(away.link_id)

    assert await away.laptop.ended() == (3,)
    assert "signed out" in away.laptop.said()
    os.kill(away.pid, 0)


async def test_a_server_of_a_later_version_keeps_serving_this_one(away, server, monkeypatch):
    monkeypatch.setattr(version, "CURRENT", version.CURRENT + 1)

    async with server.restarted():
        await comes_back(away)


@pytest.mark.parametrize("where", ["registration", "tunnel"])
async def test_a_server_that_needs_a_later_program_says_which(
    away, server, door, monkeypatch, settings, ada, where
):
    settings.MESH_URL = ""  # so it names the address at which it was asked
    if where == "registration":  # its secret is worth nothing after the restart
        link = await sync_to_async(selectors.find_row)(viewer=ada, link_id=away.link_id)
        link.secret_hash = "0" * 64
        await link.asave()
    await server.stop()
    monkeypatch.setattr(version, "MINIMUM", version.CURRENT + 1)
    monkeypatch.setattr(version, "is_supported", lambda given: given > version.CURRENT)
    async with server.running(server.port):

        def has_ended():
            away.hands.pass_time(2)
            return away.laptop.process.poll()

        assert await auntil(has_ended, what=away.laptop.log()) == 4

        command = away.laptop.said().rpartition("Start the matching version: ")[2].strip()
        words = shlex.split(command)
        assert (words[:2], words[-2:]) == (["uv", "venv"], ["link", door.url])
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            wheel = await client.get(next(word for word in words if "#sha256=" in word))
            assert (wheel.status_code, wheel.content[:2]) == (200, b"PK")
        (view,) = await sync_to_async(selectors.list_links)(viewer=ada)
        assert (view.state, view.cause) == ("offline", "too_old")
    os.kill(away.pid, 0)
