"""The gateway gives up early on MCP servers that do not answer, and tells the run."""

from __future__ import annotations

import asyncio
import json

import pytest
from django.test import RequestFactory

from agents.core.mcp import McpServer
from agents.services import put_mcp_server
from mesh import database_pool
from mesh.lib.addresses import parse_allowed
from tests.harness.mcp_faulty import SAYS, serving_faulty
from tests.threads.test_mcp_gateway import LIST, ask, running  # noqa: F401 – a fixture
from threads import mcp_gateway, mcp_waiting
from threads.mcp_waiting import beginning, is_at_hand
from threads.models import Event


@pytest.fixture
def impatient(monkeypatch, settings):
    monkeypatch.setattr(mcp_gateway, "is_elsewhere", lambda url: True)
    monkeypatch.setattr(mcp_gateway, "ANSWER_LIMIT", 0.5)
    monkeypatch.setattr(mcp_waiting, "TELL_AFTER", 0.0)
    settings.MESH_PRIVATE_HOSTS = parse_allowed("127.0.0.1")
    yield
    database_pool.close()


async def put(agent, server, name="greeter"):
    told = McpServer(name, server.url, {"Authorization": "Bearer x"})
    await database_pool.writes.run(put_mcp_server, agent=agent, server=told)


async def said(run):
    events = [event.chunk async for event in Event.objects.filter(run=run.pk).order_by("seq")]
    chunks = [json.loads(chunk) if isinstance(chunk, str) else chunk for chunk in events]
    return [chunk for chunk in chunks if chunk["type"] in ("data-waiting", "data-notice")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [kind for kind in SAYS if kind != "unwell"])
async def test_a_silent_server_is_waited_for_once(agent, thread, running, impatient, kind):  # noqa: F811
    async with serving_faulty(kind) as server:
        await put(agent, server)
        first = await ask(thread)
        second = await ask(thread)

    for status, answer in (first, second):
        assert (status, answer["error"]["code"]) == (504, "mcp_silent")
    assert len(server.asked) == 1
    waiting, goes_on, notice, again = await said(running)
    assert [waiting["data"], goes_on["data"]] == [{"servers": ["greeter"]}, {"servers": []}]
    assert "does not answer. This message goes without it" in notice["data"]["text"]
    assert "did not answer a few minutes ago" in again["data"]["text"]
    assert notice["id"] == again["id"]  # the answer has one


@pytest.mark.django_db(transaction=True)
async def test_what_has_a_session_with_it_is_passed_on(agent, thread, running, impatient):  # noqa: F811
    async with serving_faulty() as server:
        await put(agent, server)
        await ask(thread)
        await ask(thread, **{"Mcp-Session-Id": "s"})

    assert len(server.asked) == 2


@pytest.mark.django_db(transaction=True)
async def test_one_that_refuses_is_not_silent(agent, thread, running, impatient, monkeypatch):  # noqa: F811
    monkeypatch.setattr(mcp_gateway, "ANSWER_LIMIT", 60.0)
    async with serving_faulty("unwell") as server:
        await put(agent, server)
        first, second = await ask(thread), await ask(thread)

    assert (first, second, len(server.asked)) == ((504, {}), (504, {}), 2)


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param(LIST, True, id="a list"),
        pytest.param({"method": "initialize"}, True, id="the beginning"),
        pytest.param({"method": "server/discover"}, True, id="the newest beginning"),
        pytest.param({"method": "notifications/initialized"}, True, id="a notification"),
        pytest.param({"method": "tools/call"}, False, id="a tool may take long"),
        pytest.param({"method": "resources/read"}, False, id="so may a resource"),
        pytest.param({"id": 1, "result": {}}, False, id="an answer"),
        pytest.param([LIST], False, id="a list of requests"),
        pytest.param({"method": ["x"]}, False, id="no method"),
    ],
)
def test_what_a_server_has_at_hand(message, answer):
    request = RequestFactory().post("/", json.dumps(message), content_type="application/json")

    assert is_at_hand(request) is answer


def test_a_body_that_is_none_is_not_at_hand():
    assert not is_at_hand(RequestFactory().post("/", b"{", content_type="application/json"))


@pytest.mark.parametrize(
    ("pieces", "is_events", "begun"),
    [
        pytest.param([b": a", b" b\n\n", b"data: 1", b"\n\n"], True, b": a b\n\ndata: 1"),
        pytest.param([b"", b"{", b"}"], False, b"{"),
        pytest.param([], False, b""),
        pytest.param([b":" + b"x" * 70_000, b"data"], True, b":" + b"x" * 70_000),
    ],
    ids=["comments first", "JSON", "nothing", "comments without end"],
)
def test_an_answer_begins_with_what_it_says(pieces, is_events, begun):
    async def come():
        for piece in pieces:
            yield piece

    assert asyncio.run(beginning(come(), is_events=is_events)) == begun
