"""MCP servers that do not answer hold up one message of Decopilot, and not the next ones."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from agents.core.mcp import McpServer
from agents.models import McpServerRow
from agents.services import ask_server_again, put_mcp_server
from tests.harness.mcp_faulty import SAYS, serving_faulty
from tests.harness.mcp_http import serving_mcp
from tests.harness.shapes import check_chunks
from threads.decopilot import mcp

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "The MCP server slow does not answer. This message goes without it"
KNOWN = "The MCP server slow did not answer a few minutes ago: this message goes without it."


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(mcp, "ANSWER_LIMIT", 0.5)


@pytest.fixture
def message(runs, ask, agent):
    """Return ``await message(text)``: the run that answers it."""

    async def send(text="say: on we go"):
        return await ask(await sync_to_async(runs)(text, executor="server"))

    return send


def put(agent, name, url):
    return sync_to_async(put_mcp_server)(agent=agent, server=McpServer(name, url))


def told(run):
    return [chunk["data"]["text"] for chunk in run.of("data-notice")]


@pytest.mark.parametrize("kind", [kind for kind in SAYS if kind != "unwell"])
async def test_a_silent_server_is_waited_for_once(message, agent, kind):
    async with serving_faulty(kind) as server:
        await put(agent, "slow", server.url)
        first = await message()
        asked = len(server.asked)
        second = await message()

    for run in (first, second):
        check_chunks(run.chunks)
        assert run.text == "on we go"
    assert told(first)[0].startswith(NEW)
    assert told(second)[0].startswith(KNOWN)
    waits = [chunk["data"]["servers"] for chunk in first.of("data-waiting")]
    assert waits == [["slow"], []]
    assert second.of("data-waiting") == []
    assert len(server.asked) == asked > 0


@pytest.mark.parametrize("how", ["a person wants it", "minutes pass"])
async def test_it_is_asked_again_when(message, agent, how):
    async with serving_faulty() as server:
        await put(agent, "slow", server.url)
        await message()
        asked = len(server.asked)
        if how == "minutes pass":
            ago = timezone.now() - timedelta(seconds=1)
            await McpServerRow.objects.aupdate(silent_until=ago)
        else:
            await sync_to_async(ask_server_again)(agent=agent, name="slow")
        again = await message()

    assert len(server.asked) > asked
    assert told(again)[0].startswith(NEW)


async def test_the_others_are_used_meanwhile(message, agent, monkeypatch):
    monkeypatch.setattr(mcp, "ANSWER_LIMIT", 5.0)  # for the others, on a busy machine
    with serving_mcp("") as greeter:
        async with serving_faulty() as server:
            await put(agent, "slow", server.url)
            await put(agent, "greeter", greeter.url)
            run = await message("tool: mcp__greeter__greet {}")

    assert run.text == "The tool said: Good day."
    assert len(told(run)) == 1


async def test_one_that_refuses_is_asked_by_each_message(message, agent, monkeypatch):
    """That takes no time, and it may work again."""
    monkeypatch.setattr(mcp, "ANSWER_LIMIT", 60.0)
    async with serving_faulty("unwell") as server:
        await put(agent, "slow", server.url)
        await message()
        asked = len(server.asked)
        again = await message()

    assert len(server.asked) == 2 * asked
    assert told(again) == ["Decopilot can't use the MCP server slow: It answered 504."]
