"""The real programs use an MCP server that the turn names, each turn with the turn's token."""

from __future__ import annotations

import json

import pytest

from agents.harness import ADAPTERS
from agents.harness.claude_code.launch import IMPATIENT
from tests.harness.cli import a_home, need
from tests.harness.driver import Driver, one, text_of, turn
from tests.harness.mcp_faulty import serving_faulty
from tests.harness.mcp_http import serving_mcp
from tests.harness.real import make_older
from tests.harness.record import PROGRAMS
from tests.harness.scenarios import SCENARIOS
from tests.harness.shapes import check_turn
from tests.standin import serving
from threads.mcp_gateway import McpSilent

pytestmark = pytest.mark.real_cli


def greet(kind, server, **changes):
    """A turn in which the model calls the server's tool."""
    told = {"name": "greeter", "url": server.url}
    headers = {"headers": {"Authorization": f"Bearer {server.token}"}}
    given = {"id": "a", "mcpServers": [told | headers]}
    fixed = SCENARIOS[kind]["text"].changes
    return turn("tool: mcp__greeter__greet {}", **fixed | {"virtualMcp": given} | changes)


@pytest.mark.parametrize("kind", SCENARIOS)
async def test_a_new_token_is_used_from_the_next_turn_on(kind, tmp_path):
    program, env_of = PROGRAMS[kind]
    path = need(program)
    with a_home() as home, serving_mcp("one") as server:
        async with serving() as standin:
            env = env_of(home, standin.url)
            if kind == "acp:gemini":
                trust_all_folders(home)
            async with Driver(ADAPTERS[kind](), [path], env=env, cwd=tmp_path) as driver:
                first = await driver.run(greet(kind, server))
                check_turn(driver.outs)
                key, session = driver.adapter.key(greet(kind, server)), session_of(first)
                server.token = "two"
                if driver.adapter.key(greet(kind, server)) != key:
                    await driver.stop()  # as the sandbox does
                    make_older(home)
                    driver.adapter.ended(0, "")
                second = await driver.run(greet(kind, server, resumeSessionRef=session))
            lines = b"".join(driver.lines)

    assert "Good day." in text_of(first)
    assert "Good day." in text_of(second)
    calls = [token for method, token in server.asked if method == "tools/call"]
    assert calls == ["one", "two"]
    assert b"Bearer " not in lines  # what a program says goes into the journal


def trust_all_folders(home):
    """Gemini CLI uses no MCP server, whoever names it, in a folder its person does not trust;
    nor should it: trust also lets what lies in the folder say what it may do."""
    path = home / ".gemini/settings.json"
    trust = {"security": {"folderTrust": {"enabled": False}}}
    path.write_text(json.dumps(json.loads(path.read_text()) | trust))


def session_of(chunks):
    return chunks[-1]["messageMetadata"]["codingAgentSessionId"]


# What our gateway answers for a server that is known not to answer.
SILENCE = json.dumps(McpSilent().body()).encode()


@pytest.mark.parametrize("kind", SCENARIOS)
async def test_a_server_that_the_gateway_knows_as_silent_holds_up_nothing(kind, tmp_path):
    """Asked directly, Gemini CLI 0.61 waits for a minute and opencode 1.18 for longer."""
    program, env_of = PROGRAMS[kind]
    path = need(program)
    with a_home() as home:
        async with serving() as standin, serving_faulty("unwell", SILENCE) as server:
            env = env_of(home, standin.url)
            if kind == "acp:gemini":
                trust_all_folders(home)
            async with Driver(ADAPTERS[kind](), [path], env=env, cwd=tmp_path) as driver:
                chunks = await driver.run(with_server(kind, server.url))

    check_turn(driver.outs)
    assert text_of(chunks) == "hi"
    assert server.asked
    told = [each["data"]["text"] for each in chunks if each["type"] == "data-notice"]
    assert not any("greeter" in text for text in told)  # the gateway has told it


async def test_claude_code_does_not_wait_long_for_a_server_that_it_asks_itself(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(IMPATIENT, "MCP_TIMEOUT", "1000")
    program, env_of = PROGRAMS["claude-code"]
    path = need(program)
    with a_home() as home:
        async with serving() as standin, serving_faulty() as server:
            env = env_of(home, standin.url)
            adapter = ADAPTERS["claude-code"]()
            async with Driver(adapter, [path], env=env, cwd=tmp_path) as driver:
                chunks = await driver.run(with_server("claude-code", server.url))

    assert text_of(chunks) == "hi"
    assert one(chunks, "data-notice")["data"]["text"] == (
        "Claude Code can't use the MCP server greeter here: it does not answer."
    )
    waits = [each["data"]["servers"] for each in chunks if each["type"] == "data-waiting"]
    assert waits == [["greeter"], []]


def with_server(kind, url):
    """A turn that has the server and does not use it."""
    given = {"id": "a", "mcpServers": [{"name": "greeter", "url": url}]}
    fixed = SCENARIOS[kind]["text"].changes
    return turn("say: hi", **fixed | {"virtualMcp": given})
