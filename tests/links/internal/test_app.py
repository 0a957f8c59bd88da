"""A real laptop, reached over the internal address as another process would."""

import asyncio

import httpx
import pytest
from asgiref.sync import sync_to_async

from links import held_machines
from links.errors import LinkOffline
from links.internal import signing
from links.internal.caller import Owners
from links.internal.listener import Listener
from links.internal.signing import signed_headers
from links.models import Link
from links.transport import STREAMED
from mesh.lib.ids import new_id
from tests.waiting import auntil

pytestmark = pytest.mark.programs


@pytest.fixture(params=["unix", "tcp"])
async def address(request, tmp_path):
    """Where this process takes requests."""
    at = "127.0.0.1:0" if request.param == "tcp" else ""
    listener = Listener(home=tmp_path, at=at)
    yield await listener.start()
    await listener.stop()


@pytest.fixture
async def far(laptop, connected, address):
    """A client of the laptop in which every request takes the hop."""
    laptop()
    client = Owners().client(await connected(), address)
    answer = await client.post("/api/sandboxes", json={"handle": "echo-1"})
    assert answer.status_code == 200, answer.text
    return client


async def test_a_request_arrives_as_it_was_sent(far):
    answer = await far.put("/_sandbox/echo-1/a%20b?x=%2F&y", content=b"hi", headers={"X-Some": "1"})

    seen = answer.json()
    assert (seen["method"], seen["path"], seen["query"]) == ("PUT", "/_sandbox/a b", "x=%2F&y")
    assert (seen["body"], seen["headers"]["x-some"]) == ("hi", "1")
    assert not [name for name in seen["headers"] if name.startswith("x-mesh")]


async def test_a_big_answer_comes_whole(far):
    answer = await far.get("/_sandbox/echo-1/big?20000000")

    assert answer.content == bytes(range(256)) * 78125


async def test_a_stream_comes_as_it_is_made_and_ends_when_its_reader_leaves(far, tmp_path):
    mark = tmp_path / "one" / "sandboxes" / "echo-1" / "ticks"

    async with far.stream("GET", "/_sandbox/echo-1/ticks") as answer:
        assert await anext(answer.aiter_lines()) == "id: 1"
        assert mark.read_text() == "open"

    await auntil(lambda: mark.read_text() == "closed")


async def test_the_laptops_own_refusal_comes_through(far):
    answer = await far.get("/_sandbox/unknown/x")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_handle")


async def test_a_tunnel_that_breaks_is_a_transport_error(far):
    async with far.stream("GET", "/_sandbox/echo-1/ticks") as answer:
        held_machines.list_connections()[0].close(1012, "cut")
        with pytest.raises(httpx.TransportError):
            await answer.aread()


async def test_a_round_trip_is_timed(far, address, connected):
    assert 0 < await Owners().check(await connected(), address) < 3


async def test_a_laptop_that_is_not_held_there(address):
    owners, link_id = Owners(), new_id()

    with pytest.raises(httpx.ConnectError, match="offline"):
        await owners.client(link_id, address).get("/api/sandboxes")
    with pytest.raises(LinkOffline):
        await owners.check(link_id, address)


async def test_a_process_that_is_gone_is_a_transport_error(address, tmp_path, db):
    nobody = f"unix:{tmp_path}/gone.sock"

    with pytest.raises(httpx.ConnectError):
        await Owners().client(new_id(), nobody).get("/api/sandboxes")
    with pytest.raises(LinkOffline):
        await Owners().check(new_id(), nobody)


async def test_a_request_without_the_clusters_key_is_refused(far, monkeypatch):
    monkeypatch.setattr(signing, "cluster_key", lambda: "another server's")

    with pytest.raises(httpx.ConnectError, match="refused"):
        await far.get("/api/sandboxes")


async def test_a_request_is_good_once(far, address, connected):
    target = f"/links/{await connected()}/to/api/sandboxes"
    headers = signed_headers(method="GET", target=target, body=b"")
    wire = Owners()._wire(address)

    def ask():
        request = httpx.Request("GET", f"http://owner{target}", headers=headers)
        return wire.handle_async_request(request)

    assert (await ask()).status_code == 200
    again = await ask()
    assert (again.status_code, again.headers["x-mesh-hop"]) == (401, "refused")


async def test_the_row_names_the_address(far, address, connected):
    row = await sync_to_async(Link.objects.get)(pk=await connected())

    assert row.node_address == address


async def test_many_at_once(far):
    answers = await asyncio.gather(
        *(far.post("/_sandbox/echo-1/x", content=b"%d" % n) for n in range(50))
    )

    assert [answer.json()["body"] for answer in answers] == [str(n) for n in range(50)]


async def pieces():
    for _ in range(40):
        yield bytes(1024 * 1024)


async def test_a_body_of_any_length_goes_to_a_dev_server(far):
    size = str(40 * 1024 * 1024)
    request = far.build_request(
        "PUT",
        "/_sandbox/echo-1/preview/size",
        content=pieces(),
        headers={"content-length": size},
        extensions={STREAMED: True},
    )

    answer = await far.send(request)

    seen = answer.json()
    assert (str(seen["size"]), seen["headers"]["content-length"]) == (size, size)


async def test_and_to_nothing_else(far):
    request = far.build_request(
        "PUT", "/_sandbox/echo-1/x", content=pieces(), extensions={STREAMED: True}
    )

    with pytest.raises(httpx.TransportError):
        await far.send(request)


async def test_whether_bodies_may_be_streamed_is_told_through_the_hop(far):
    answer = await far.get("/_sandbox/echo-1/health")

    assert answer.headers["x-mesh-streams"] == "1"


async def test_a_process_of_an_older_version_passes_none_on(far, monkeypatch):
    monkeypatch.setattr("links.internal.app.PASSES_STREAMS", "x-of-no-meaning")

    answer = await far.get("/_sandbox/echo-1/health")

    assert "x-mesh-streams" not in answer.headers
