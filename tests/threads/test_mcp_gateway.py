"""MCP servers of an agent, asked through the server by its program on a person's machine."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

import httpx
import pytest
from django.test import AsyncClient
from django.urls import reverse

from agents.core.mcp import McpServer
from agents.services import put_mcp_server
from mesh import database_pool
from mesh.lib.addresses import parse_allowed
from mesh.models import Membership, User
from tests.harness.mcp_http import serving_mcp
from tests.secrecy import MARK
from tests.waiting import PATIENCE, auntil
from threads import mcp_gateway, services
from threads.mcp_gateway import is_elsewhere, server_input, token_of
from threads.models import BackgroundWork, Run

SECRET = {"Authorization": f"Bearer {MARK}"}
LINEAR = McpServer("linear", "https://mcp.example/mcp", SECRET)
FIRST, SECOND = f"first-{MARK}", f"second-{MARK}"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


# What a program is told


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        pytest.param("https://mcp.example/mcp", True, id="a public name"),
        pytest.param("http://mcp.example/mcp", False, id="in clear"),
        pytest.param("https://localhost:9000/mcp", False, id="the machine itself"),
        pytest.param("https://app.localhost/mcp", False, id="below it"),
        pytest.param("https://127.0.0.1/mcp", False, id="by its address"),
        pytest.param("https://[::1]/mcp", False, id="by its other address"),
        pytest.param("https://nas.local/mcp", False, id="on its network"),
        pytest.param("https://intranet/mcp", False, id="a name without a domain"),
    ],
)
def test_only_what_is_the_same_from_everywhere_is_stood_in_for(url, answer):
    assert is_elsewhere(url) is answer


def test_a_program_on_a_machine_gets_our_address_and_token(say, settings):
    settings.MESH_URL = "https://mesh.example"
    run = say()

    told = server_input(LINEAR, run)

    path = reverse("mcp", args=["home", run.thread_id, "linear"])
    assert told["url"] == f"https://mesh.example{path}"
    assert told["headers"] == {"Authorization": f"Bearer {token_of(run.thread_id)}"}
    assert MARK not in str(told)


def test_the_token_is_the_same_in_each_turn_and_no_other_threads(say):
    first, second = say(), say()

    assert token_of(first.thread_id) == token_of(second.thread_id)
    assert token_of(first.thread_id) != token_of(uuid4())


@pytest.mark.parametrize(
    ("server", "mesh_url", "executor"),
    [
        pytest.param(LINEAR, "", "link", id="nobody knows our address"),
        pytest.param(LINEAR, "https://mesh.example", "server", id="a loop of our own"),
        pytest.param(
            McpServer("plain", "https://mcp.example/mcp"),
            "https://mesh.example",
            "link",
            id="nothing to keep",
        ),
    ],
)
def test_else_it_is_told_the_servers_own(say, settings, server, mesh_url, executor):
    settings.MESH_URL = mesh_url
    run = say()
    run.executor = executor

    assert server_input(server, run) == server.as_input()


# Asking through us


@pytest.fixture
def upstream(settings, monkeypatch):
    """An MCP server that counts as one on the internet, though it is on loopback."""
    monkeypatch.setattr(mcp_gateway, "is_elsewhere", lambda url: True)
    settings.MESH_PRIVATE_HOSTS = parse_allowed("127.0.0.1")
    with serving_mcp(FIRST) as server:
        yield server
    database_pool.close()


@pytest.fixture
def keep(agent):
    """Return ``keep(token)``: the agent's server has that token from now on."""

    def put(url, token):
        headers = {"Authorization": f"Bearer {token}"}
        put_mcp_server(agent=agent, server=McpServer("greeter", url, headers))

    return put


async def ask(thread, *, token=None, name="greeter", method="post", message=LIST, **more):
    url = reverse("mcp", args=["home", thread.pk, name])
    given = token_of(thread.pk) if token is None else token
    send = getattr(AsyncClient(), method)
    headers = {"Authorization": f"Bearer {given}", "X-Other": "y", "Cookie": "a=b", **more}
    answer = await send(url, json.dumps(message), content_type="application/json", headers=headers)
    if answer.streaming:
        body = b"".join([piece async for piece in answer.streaming_content])
    else:
        body = answer.content
    return answer.status_code, json.loads(body)


STATELESS = {
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/list",
    "Mcp-Name": "greet",
    "Mcp-Param-Region": "eu",
}


@pytest.mark.django_db(transaction=True)
async def test_a_request_of_the_newest_protocol_arrives_as_it_was_sent(say, thread, upstream, keep):
    await database_pool.writes.run(running_of, say, keep, upstream)
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    message = LIST | {"params": {"_meta": meta}}

    status, _ = await ask(thread, message=message, **STATELESS)

    [headers] = upstream.headers
    assert status == 200
    assert {name.lower(): value for name, value in STATELESS.items()}.items() <= headers.items()
    assert not {"x-other", "cookie"} & headers.keys()
    assert json.loads(upstream.bodies[0]) == message


def running_of(say, keep, upstream):
    """Have a run of the thread active, whose agent has the server."""
    keep(upstream.url, FIRST)
    return services.claim_run(run_id=say().pk)


@pytest.mark.django_db(transaction=True)
async def test_a_token_renewed_in_the_middle_of_a_turn_applies(say, thread, upstream, keep):
    run = await database_pool.writes.run(say)
    await database_pool.writes.run(services.claim_run, run_id=run.pk)
    await database_pool.writes.run(keep, upstream.url, FIRST)
    status, answer = await ask(thread)
    assert (status, answer["result"]["tools"][0]["name"]) == (200, "greet")

    upstream.token = SECOND
    assert (await ask(thread))[0] == 401
    await database_pool.writes.run(keep, upstream.url, SECOND)

    assert (await ask(thread))[0] == 200
    assert upstream.asked == [("tools/list", token) for token in (FIRST, FIRST, SECOND)]


@pytest.mark.django_db(transaction=True)
async def test_our_token_lives_as_long_as_a_run(say, thread, upstream, keep):
    await database_pool.writes.run(keep, upstream.url, FIRST)
    assert (await ask(thread))[1]["error"]["code"] == "mcp_closed"
    run = await database_pool.writes.run(say)
    assert (await ask(thread))[1]["error"]["code"] == "mcp_closed"  # it waits

    await database_pool.writes.run(services.claim_run, run_id=run.pk)
    assert (await ask(thread))[0] == 200

    await database_pool.writes.run(services.finish_run, run_id=run.pk, state="failed", code="stuck")
    assert (await ask(thread))[1]["error"]["code"] == "mcp_closed"


@pytest.mark.django_db(transaction=True)
async def test_our_token_lives_as_long_as_work_in_the_background(thread, upstream, keep):
    await database_pool.writes.run(keep, upstream.url, FIRST)
    work = await BackgroundWork.objects.acreate(thread=thread)
    assert (await ask(thread))[0] == 200

    await work.adelete()
    assert (await ask(thread))[1]["error"]["code"] == "mcp_closed"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        pytest.param({"token": ""}, 401, "unauthorized", id="no token"),
        pytest.param({"token": "mcp_0"}, 401, "unauthorized", id="another"),
        pytest.param({"name": "other"}, 404, "not_found", id="no such server"),
        pytest.param({"method": "put"}, 405, "method_not_allowed", id="no such method"),
    ],
)
async def test_refuses(say, thread, upstream, keep, changes, status, code):
    await database_pool.writes.run(keep, upstream.url, FIRST)
    run = await database_pool.writes.run(say)
    await database_pool.writes.run(services.claim_run, run_id=run.pk)

    got, answer = await ask(thread, **changes)

    assert (got, answer["error"]["code"]) == (status, code)
    assert upstream.asked == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("allowed", "url", "code"),
    [
        pytest.param("", None, "address_refused", id="a private address"),
        pytest.param("127.0.0.1", "http://127.0.0.1:1/mcp", "mcp_unreachable", id="nobody there"),
    ],
)
async def test_where_it_can_not_go_it_says_so(
    say, thread, upstream, keep, settings, allowed, url, code
):
    settings.MESH_PRIVATE_HOSTS = parse_allowed(allowed)
    await database_pool.writes.run(keep, url or upstream.url, FIRST)
    run = await database_pool.writes.run(say)
    await database_pool.writes.run(services.claim_run, run_id=run.pk)

    assert (await ask(thread))[1]["error"]["code"] == code


@pytest.fixture
def running(say):
    """An active run, so that its thread's token is good."""
    run = say()
    services.claim_run(run_id=run.pk)
    return run


@pytest.mark.django_db(transaction=True)
async def test_the_token_opens_no_server_that_its_run_was_told_itself(
    running, thread, upstream, keep, monkeypatch
):
    """One of a network that this server is in, say: the agent's own machine can't reach it."""
    monkeypatch.setattr(mcp_gateway, "is_elsewhere", lambda url: False)
    await database_pool.writes.run(keep, upstream.url, FIRST)

    assert (await ask(thread))[1]["error"]["code"] == "not_found"
    assert upstream.asked == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda: User.objects.update(is_active=False), id="shut out"),
        pytest.param(lambda: Membership.objects.all().delete(), id="left the organization"),
        pytest.param(lambda: Run.objects.update(executor="server"), id="its run is on no machine"),
    ],
)
async def test_the_token_ends_with_what_it_was_given_for(running, thread, upstream, keep, end):
    await database_pool.writes.run(keep, upstream.url, FIRST)
    assert (await ask(thread))[0] == 200

    await database_pool.writes.run(end)

    assert (await ask(thread))[1]["error"]["code"] == "mcp_closed"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("outcome", ["the asker leaves", "a bug", "redirect"])
async def test_whatever_happens_before_an_answer_the_connection_is_closed(
    running, thread, upstream, keep, monkeypatch, outcome
):
    await database_pool.writes.run(keep, upstream.url, FIRST)
    wire = Wire(outcome)
    client = httpx.AsyncClient(transport=wire)
    monkeypatch.setattr(mcp_gateway, "guarded_client", lambda **given: client)

    asking = asyncio.create_task(ask(thread))
    await auntil(lambda: wire.is_asked)
    if outcome == "the asker leaves":
        asking.cancel()
    await asyncio.wait({asking}, timeout=PATIENCE)
    asking.cancelled() or asking.exception()

    assert client.is_closed


class Wire(httpx.AsyncBaseTransport):
    def __init__(self, outcome):
        self.outcome, self.is_asked = outcome, False

    async def handle_async_request(self, request):
        self.is_asked = True
        if self.outcome == "a bug":
            raise RuntimeError("a bug")
        if self.outcome == "redirect":
            return httpx.Response(302, headers={"location": "https://elsewhere.example/"})
        await asyncio.Event().wait()
        raise AssertionError("nobody answers")
