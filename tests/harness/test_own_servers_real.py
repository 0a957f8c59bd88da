"""The real programs whose person has set up an MCP server that never answers."""

from __future__ import annotations

import json

import pytest

from agents.harness import ADAPTERS
from tests.harness import real
from tests.harness.agents_table import cells
from tests.harness.cli import a_home, need
from tests.harness.driver import Driver, text_of, turn
from tests.harness.mcp_faulty import serving_faulty
from tests.harness.shapes import check_turn
from tests.standin import serving
from tests.waiting import auntil

pytestmark = pytest.mark.real_cli

LONG = 600_000  # milliseconds, longer than the driver waits for an answer


def in_claude(home, url):
    servers = {"mcpServers": {"mute": {"type": "http", "url": url}}}
    (home / ".claude.json").write_text(json.dumps(servers))


def in_codex(home, url):
    server = f'[mcp_servers.mute]\nurl = "{url}"\nstartup_timeout_sec = {LONG // 1000}\n'
    path = home / ".codex/config.toml"
    path.write_text(f"{path.read_text()}\n{server}")


def in_qwen(home, url):
    path = home / ".qwen/settings.json"
    servers = {"mcpServers": {"mute": {"httpUrl": url, "timeout": LONG}}}
    path.write_text(json.dumps(json.loads(path.read_text()) | servers))


OWN_SETTINGS = {
    "claude-code": in_claude,
    "codex": in_codex,
    "acp:qwen": in_qwen,
    "acp:claude-code": in_claude,
    "acp:codex": in_codex,
}


@cells(
    "mcp",
    dict.fromkeys(OWN_SETTINGS, "One of your own settings that does not answer holds up nothing."),
)
async def test_a_mute_server_of_the_person_s_own_settings_holds_up_nothing(kind, tmp_path):
    """It would be waited for longer than the test does. The other programs: see
    ``sandboxes/daemon/test_own_servers_real.py``."""
    agent = real.PROGRAMS[kind]
    path = need(agent.name)
    with a_home() as home:
        async with serving() as standin, serving_faulty() as server:
            env = agent.env(home, standin.url) | {"MCP_TIMEOUT": str(LONG)}
            OWN_SETTINGS[kind](home, server.url)
            async with Driver(ADAPTERS[kind](), [path], env=env, cwd=tmp_path) as driver:
                models = {"thinking": {"id": f"{kind}:{agent.model}", "title": "M"}}
                chunks = await driver.run(turn("say: hi", models=models))
                await auntil(lambda: server.asked)

    check_turn(driver.outs)
    assert text_of(chunks) == "hi"
