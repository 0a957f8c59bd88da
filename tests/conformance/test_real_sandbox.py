"""The routes of a real sandbox through every way to a laptop: what the server builds on."""

import sys
from contextlib import AsyncExitStack

import pytest

from links import held_machines
from sandboxes.providers.signature import handshake, sign_request
from tests.sandboxes.daemon.preview.upstream import Upstream
from tests.waiting import auntil

pytestmark = pytest.mark.programs

HANDLE = "real-0123456789abcdef"
SANDBOX = f"/_sandbox/{HANDLE}"
REAL = (sys.executable, "-P", "-m", "sandboxes.daemon")


@pytest.fixture(autouse=True)
def real_sandboxes(monkeypatch):
    """The laptops of these tests start the real program."""
    monkeypatch.setattr("tests.links.conftest.ECHO", REAL)
    monkeypatch.setattr("tests.links.test_direct.ECHO", REAL)


@pytest.fixture
async def call(way):
    """Return ``call(method, route, **what)``: the answer of the sandbox."""
    await way.ensured(HANDLE)

    async def call(method, route, **what):
        return await way.client.send(signed(way.client, method, route, **what))

    yield call
    await way.client.delete(f"/api/sandboxes/{HANDLE}?force=1")  # and all that it has started


def signed(client, method, route, **what):
    """A request as the server makes it: the sandbox takes no other."""
    request = client.build_request(method, f"{SANDBOX}{route}", **what)
    return sign_request(request, handle=HANDLE, prefix=SANDBOX)


async def test_what_the_link_would_pass_is_not_enough(way, call):
    answer = await way.client.get(f"{SANDBOX}/runs")

    assert answer.json()["error"]["code"] == "not_signed_by_server"


async def test_files_shell_and_tasks(call):
    await call("POST", "/write", json={"path": "a.txt", "content": "one\n"})
    read = await call("POST", "/read", json={"path": "a.txt"})
    done = await call("POST", "/bash", json={"command": "cat a.txt"})
    outside = await call("POST", "/read", json={"path": "../token"})
    tasks = await call("GET", "/tasks")

    assert read.json()["content"] == "1\tone"
    assert (done.json()["stdout"], done.json()["exitCode"]) == ("one\n", 0)
    assert (outside.status_code, outside.json()["error"]["code"]) == (400, "path_outside")
    assert tasks.json() == {"tasks": []}


async def test_events_arrive_as_they_happen(way, call):
    names = []
    reply = await way.client.send(signed(way.client, "GET", "/events"), stream=True)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(reply.aclose)
        async for line in reply.aiter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
            if names and names[-1] == "branch" and "file-changed" not in names:
                await call("POST", "/write", json={"path": "b.txt", "content": ""})
            if "file-changed" in names:
                break

    assert names[:3] == ["lifecycle", "tasks", "status"]


async def test_the_preview(call):
    async with Upstream().running() as upstream:
        await call("POST", "/write", json={"path": "mesh.toml", "content": 'dev = ["sleep", "99"]'})
        answer = await call("POST", "/config", json={"application": {"port": upstream.port}})
        assert answer.json()["transition"] == "bootstrap"

        async def page():
            reply = await call("GET", "/preview/?a=%2F")
            return reply.status_code == 200 and reply.text

        assert "<title>x</title>" in await auntil(page)
        assert upstream.heads("/?a=%2F")


async def test_hot_reload_s_websocket_goes_through_the_tunnel(laptop, connected):
    laptop()
    connection = held_machines.find(await connected())
    ask = connection.client
    await ask.post("/api/sandboxes", json={"handle": HANDLE})
    async with Upstream().running() as upstream:
        body = {"path": "mesh.toml", "content": 'dev = ["sleep", "99"]'}
        port = {"application": {"port": upstream.port}}
        await ask.send(signed(ask, "POST", "/write", json=body))
        await ask.send(signed(ask, "POST", "/config", json=port))

        async def is_up():
            return (await ask.send(signed(ask, "GET", "/preview/"))).status_code == 200

        await auntil(is_up)
        proof = [handshake("/_sandbox/preview/hmr?t=1", handle=HANDLE)]
        far = await connection.websocket(f"{SANDBOX}/preview/hmr?t=1", proof, ["vite-hmr"])
        await far.send("ping")

        assert (far.subprotocol, await far.receive()) == ("vite-hmr", "ping")
        assert upstream.heads("/hmr?t=1")
        far.drop()
    await ask.delete(f"/api/sandboxes/{HANDLE}?force=1")


async def test_care(way, call):
    await call("POST", "/write", json={"path": "a.txt", "content": "work"})
    path = f"/api/sandboxes/{HANDLE}"

    told = (await way.client.get(path)).json()
    refused = await way.client.delete(f"{path}?remove=1")
    removed = await way.client.delete(f"{path}?remove=1&force=1")
    gone = await call("GET", "/health")
    restored = await way.client.post(f"{path}/restore")
    await way.ensured(HANDLE)

    assert told["bytes"] > 0
    assert refused.json()["error"]["reasons"] == ["files_in_no_repository"]
    assert removed.json()["restorableUntil"]
    assert (gone.status_code, restored.status_code) == (404, 204)
    read = await call("POST", "/read", json={"path": "a.txt"})
    assert read.json()["content"] == "1\twork"
