"""Real programs whose person has set up an MCP server that never answers, in a real sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness import real
from tests.harness.cli import a_home, need
from tests.harness.mcp_faulty import serving_faulty
from tests.sandboxes.daemon.sandbox import chunks_of, text_of
from tests.standin import serving

pytestmark = pytest.mark.real_cli

SILENT = ["/bin/sleep", "3600"]  # a server over stdio


def in_gemini(home, url):
    path = home / ".gemini/settings.json"
    server = {"httpUrl": url} if url else {"command": SILENT[0], "args": SILENT[1:]}
    trust = {"security": {"folderTrust": {"enabled": False}}}
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | trust | {"mcpServers": {"mute": server}}))


def in_opencode(home, url):
    path = home / ".config/opencode/opencode.json"
    server = {"type": "remote", "url": url} if url else {"type": "local", "command": SILENT}
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"mcp": {"mute": server | {"enabled": True}}}))


def in_copilot(home, url):
    by = {"type": "http", "url": url} if url else {"command": SILENT[0], "args": SILENT[1:]}
    path = home / ".copilot/mcp-config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"mcpServers": {"mute": {"type": "local", "tools": ["*"]} | by}}))


SETTINGS = {"acp:gemini": in_gemini, "acp:opencode": in_opencode, "acp:copilot": in_copilot}


@pytest.mark.parametrize(("by", "level"), [("http", "auto"), ("stdio", "readonly")])
@pytest.mark.parametrize("kind", SETTINGS)
async def test_a_message_goes_without_a_server_that_does_not_answer(kind, by, level, make_sandbox):
    """Left to itself, Gemini CLI 0.61 waits two minutes (http) or ten (stdio), opencode 1.18 one
    minute or half of one, Copilot CLI 1.0.102 one."""
    agent = real.PROGRAMS[kind]
    folder = Path(need(agent.name)).parent
    with a_home() as home:
        async with serving() as standin, serving_faulty() as server:
            env = agent.env(home, standin.url)
            SETTINGS[kind](home, server.url if by == "http" else "")
            sandbox = make_sandbox(env=env | {"PATH": f"{folder}:{env['PATH']}"})

            async def say(run_id, thread, sandbox=sandbox):
                given = {"harness": kind, "text": "say: hi", "model": f"{kind}:{agent.model}"}
                given["toolApprovalLevel"] = level
                async with sandbox.dispatch(run_id, thread=thread, **given) as events:
                    return [event async for event in events]

            first = await say("r1", "thread-1")
            asked = len(server.asked)
            next_message = await say("r2", "thread-1")
            new_chat = await say("r3", "thread-2")
            # Such as one of another agent, or of another branch, on the same machine.
            other = make_sandbox("other", env=sandbox.env)
            elsewhere = await say("r4", "thread-3", other)

    for events in (first, next_message, new_chat, elsewhere):
        assert text_of(events) == "hi", events
    assert waits_in(first) == [["mute"], []]
    assert len(notices_in(first)) == 1
    assert "(mute), and not all of them answered" in notices_in(first)[0]
    assert (waits_in(next_message), notices_in(next_message)) == ([], [])
    # For some minutes it is not asked again.
    for events in (new_chat, elsewhere):
        assert waits_in(events) == []
        assert "works without its MCP servers (mute)" in notices_in(events)[0]
    assert len(server.asked) == asked


def waits_in(events):
    chunks = chunks_of(events)
    return [each["data"]["servers"] for each in chunks if each["type"] == "data-waiting"]


def notices_in(events):
    notices = [each["data"] for each in chunks_of(events) if each["type"] == "data-notice"]
    return [each["text"] for each in notices if each["code"] == "mcp_server"]
