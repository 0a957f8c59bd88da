"""Real server, real program, real sockets; only the sandbox behind them is an echo."""

import json
import os
import signal
from uuid import uuid4

import httpx
import pytest
from asgiref.sync import sync_to_async

from links import held_machines, selectors, services
from links.calls import client_for, held_here
from links.errors import LinkOffline
from links.wire.messages import Registration
from tests.waiting import auntil

pytestmark = pytest.mark.programs


async def ensured(connected, handle="echo-1"):
    client = await client_for(await connected())
    answer = await client.post("/api/sandboxes", json={"handle": handle})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"sandboxApiUrl": f"/_sandbox/{handle}"}
    return client


async def test_a_request_reaches_the_sandbox_with_its_query_and_body(laptop, connected):
    laptop()
    client = await ensured(connected)

    answer = await client.post("/_sandbox/echo-1/a%20b?x=%2F&y", content=b"hi")

    seen = answer.json()
    assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/_sandbox/a b", "x=%2F&y")
    assert seen["body"] == "hi"


async def test_no_secret_of_ours_reaches_the_sandbox(laptop, connected, token):
    laptop(MESH_SECRET_KEY="hidden", ANTHROPIC_API_KEY="the person's own")
    client = await ensured(connected)

    seen = (await client.get("/_sandbox/echo-1/x")).json()

    assert not [name for name in seen["headers"] if name.startswith("x-mesh")]
    assert not [name for name in seen["environ"] if name.startswith("MESH_")]
    assert token not in json.dumps(seen)
    assert seen["environ"]["ANTHROPIC_API_KEY"] == "the person's own"


async def test_a_stream_comes_as_it_is_made_and_ends_when_its_reader_leaves(laptop, connected):
    one = laptop()
    client = await ensured(connected)
    mark = one.home / "sandboxes" / "echo-1" / "ticks"

    async with client.stream("GET", "/_sandbox/echo-1/ticks") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "id: 1"
        assert mark.read_text() == "open"

    await auntil(lambda: mark.read_text() == "closed")


async def test_a_big_body_arrives_whole(laptop, connected):
    laptop()
    client = await ensured(connected)

    answer = await client.get("/_sandbox/echo-1/big?20000000")

    assert answer.content == (bytes(range(256)) * 78125)


async def test_a_killed_link_finds_its_sandbox_again(laptop, connected, server):
    one = laptop()
    client = await ensured(connected)
    pid = (await client.get("/api/sandboxes")).json()["sandboxes"][0]["pid"]

    one.process.kill()
    await auntil(lambda: not held_here())
    one.process.wait()
    one.start()
    client = await client_for(await connected())

    assert (await client.get("/api/sandboxes")).json()["sandboxes"][0]["pid"] == pid


async def test_the_tunnel_breaking_is_a_transport_error(laptop, connected):
    one = laptop()
    client = await ensured(connected)

    async with client.stream("GET", "/_sandbox/echo-1/ticks") as answer:
        one.process.kill()
        with pytest.raises(httpx.TransportError):
            await answer.aread()
    await auntil(lambda: not held_here())


async def test_a_machine_that_is_not_connected_is_offline(db):
    with pytest.raises(LinkOffline):
        await client_for(uuid4())


async def test_ctrl_c_says_goodbye_and_leaves_the_sandboxes(laptop, connected, server, ada):
    one = laptop()
    client = await ensured(connected)
    pid = (await client.get("/api/sandboxes")).json()["sandboxes"][0]["pid"]
    link_id = await connected()

    one.process.send_signal(signal.SIGINT)

    assert await one.ended() == (0,)
    await auntil(lambda: server.downs == [(link_id, "stopped")])
    view = await sync_to_async(selectors.find_link)(viewer=ada, link_id=link_id)
    assert (view.state, view.cause) == ("offline", "stopped")
    os.kill(pid, 0)  # still there


async def test_the_newest_program_of_a_machine_wins(laptop, connected, server):
    first = laptop()
    await connected()
    second = laptop()  # the same home, so the same machine

    assert await first.ended() == (5,)
    assert second.process.poll() is None
    assert "took over" not in second.log()
    assert len(await auntil(held_here)) == 1
    assert server.downs == []


async def test_a_server_that_restarts_is_found_again(laptop, connected, server):
    one = laptop()
    client = await ensured(connected)
    pid = (await client.get("/api/sandboxes")).json()["sandboxes"][0]["pid"]

    async with server.restarted():
        again = await client_for(await connected())
        assert again is not client
        assert (await again.get("/api/sandboxes")).json()["sandboxes"][0]["pid"] == pid
    assert one.process.poll() is None


async def test_a_machine_whose_secret_was_rotated_registers_again(laptop, connected, ada):
    one = laptop()
    await ensured(connected)
    machine_id = (one.home / "machine-id").read_text().strip()
    registration = Registration(
        machine_id=machine_id, cli_version="1", protocol_version=1, capabilities=("codex",)
    )
    await sync_to_async(services.register)(user=ada, registration=registration)

    held_machines.find(await connected()).close(1012, "rotated")
    await auntil(lambda: not held_here())

    client = await client_for(await connected())
    assert (await client.get("/api/sandboxes")).status_code == 200


async def test_a_wrong_token_stops_the_first_start(server, tmp_path, laptop):
    one = laptop()
    one.end()
    (one.home / "token").write_text("mesh_wrong")
    one.start()

    assert await one.ended() == (3,)
