"""The agent's MCP servers in whole runs of Decopilot; the servers are real, on loopback."""

from __future__ import annotations

import asyncio
import logging

import pytest
from asgiref.sync import sync_to_async

from agents.harness.mcp import McpServer
from mesh.http_client import Limits
from mesh.lib.addresses import parse_allowed
from tests.harness.mcp_http import TOOL, serving_mcp
from tests.harness.shapes import check_chunks
from tests.secrecy import MARK
from tests.waiting import auntil
from threads.decopilot import mcp
from threads.decopilot.files import ToolFailed
from threads.decopilot.mcp import Connection

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = f"t0ken-{MARK}"
GREET = "tool: mcp__greeter__greet {}"
ACTS = {**TOOL, "annotations": None}  # does not say that it only reads


@pytest.fixture
def server():
    with serving_mcp(TOKEN) as running:
        yield running


@pytest.fixture
def given(runs, server):
    """Return ``await given(text, …)``: the input of a run whose agent has the greeter."""

    async def make(text=GREET, *, url="", token=TOKEN, **fields):
        turn = await sync_to_async(runs)(text, **fields)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        turn["virtualMcp"]["mcpServers"] = [
            {"name": "greeter", "url": url or server.url, "headers": headers}
        ]
        return turn

    return make


def notices(run):
    return [chunk["data"] for chunk in run.of("data-notice")]


def calls(server):
    return [method for method, _ in server.asked].count("tools/call")


async def test_a_tool_that_only_reads_is_called_with_the_token(given, ask, server, sandbox):
    run = await ask(await given(approval_level="readonly"))

    check_chunks(run.chunks)
    assert run.of("tool-output-available")[0]["output"] == "Good day."
    assert run.text == "The tool said: Good day."
    assert {token for _, token in server.asked} == {TOKEN}
    assert sandbox.ensured == 0


@pytest.mark.parametrize(
    ("decision", "end", "count"),
    [("allow", "tool-output-available", 1), ("deny", "tool-output-denied", 0)],
)
async def test_any_other_tool_asks_first(given, ask, server, decision, end, count):
    server.tool = ACTS
    run = await ask(await given(approval_level="readonly"), decision=decision)

    check_chunks(run.chunks)
    assert run.of(end)
    assert calls(server) == count


async def test_plan_mode_calls_nothing_that_may_change_something(given, ask, server):
    server.tool = ACTS
    run = await ask(await given(mode="plan", approval_level="auto"))

    assert "plan mode" in run.of("tool-output-error")[0]["errorText"]
    assert calls(server) == 0


async def test_a_tool_whose_schema_is_none_is_left_out(given, ask, server):
    """A schema that the model library refuses would end every run of the agent."""
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": 5}}}
    server.tool = {**TOOL, "inputSchema": schema}
    run = await ask(await given("say: on we go"))

    assert (run.text, notices(run)) == ("on we go", [])


async def test_a_tools_output_has_no_token_in_it(given, ask, server, caplog):
    caplog.set_level(logging.DEBUG)
    said = {"type": "text", "text": f"You sent Bearer {TOKEN}, and {TOKEN}"}
    server.result = {"content": [said], "isError": True}
    run = await ask(await given())

    assert run.of("tool-output-error")[0]["errorText"] == "You sent …, and …"
    assert TOKEN not in run.written + caplog.text


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"token": "wrong"}, "It refused this agent's token (401)."),
        ({"url": "http://127.0.0.1:1/mcp"}, "It could not be reached"),
        ({"url": "https://10.0.0.1/mcp"}, "This address is not public"),
        ({"url": "http://169.254.169.254/mcp", "token": ""}, "This address is not public"),
    ],
)
async def test_a_server_that_can_t_be_used_is_reported_and_the_run_continues(
    given, ask, how, words
):
    run = await ask(await given("say: on we go", **how))

    check_chunks(run.chunks)
    notice = notices(run)[0]
    assert notice["code"] == "mcp_server"
    assert notice["text"].startswith(f"Decopilot can't use the MCP server greeter: {words}")
    assert run.text == "on we go"


async def test_a_server_that_breaks_off_is_a_failed_call(given, ask, server):
    server.cuts = 1
    run = await ask(await given())

    check_chunks(run.chunks)
    assert "greeter broke, so it is not known" in run.of("tool-output-error")[0]["errorText"]
    assert (calls(server), run.chunks[-1]["finishReason"]) == (1, "stop")


async def test_after_a_break_the_next_call_reconnects(server):
    server.cuts = 1
    told = McpServer("greeter", server.url, {"Authorization": f"Bearer {TOKEN}"})
    connection = Connection(told, allowed=parse_allowed("127.0.0.1"))
    (tool,) = await connection.open()
    with pytest.raises(ToolFailed):
        await connection.call(tool, {})

    assert (await connection.call(tool, {})).text == "Good day."
    server.stop()
    with pytest.raises(ToolFailed):
        await connection.call(tool, {})
    with pytest.raises(ToolFailed, match=r"is gone\. It could not be reached"):
        await connection.call(tool, {})
    await connection.close()


def sessions():
    """The tasks that hold a session."""
    return [task for task in asyncio.all_tasks() if task.get_name() == "mcp greeter"]


async def test_calls_that_find_the_session_broken_open_one_together(server):
    server.cuts = 1
    told = McpServer("greeter", server.url, {"Authorization": f"Bearer {TOKEN}"})
    connection = Connection(told, allowed=parse_allowed("127.0.0.1"))
    (tool,) = await connection.open()
    with pytest.raises(ToolFailed):
        await connection.call(tool, {})
    results = await asyncio.gather(*(connection.call(tool, {}) for _ in range(5)))

    assert [result.text for result in results] == ["Good day."] * 5
    assert [method for method, _ in server.asked].count("initialize") == 2
    assert len(sessions()) == 1
    await connection.close()
    assert sessions() == []


async def test_a_cancelled_connection_attempt_leaves_nothing_open():
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/mcp"
        told = McpServer("greeter", url, {"Authorization": f"Bearer {TOKEN}"})
        connection = Connection(told, allowed=parse_allowed("127.0.0.1"))
        opening = asyncio.create_task(connection.open())
        await auntil(sessions)
        opening.cancel()
        await auntil(lambda: not sessions())

    with pytest.raises(asyncio.CancelledError):
        await opening


async def test_an_endless_answer_is_aborted(given, ask, server, monkeypatch):
    monkeypatch.setattr(mcp, "LIMITS", Limits(body=10_000, stream=10_000))
    server.result = {"content": [{"type": "text", "text": "x" * 20_000}]}
    run = await ask(await given())

    check_chunks(run.chunks)
    assert run.of("tool-output-error")
