"""A real Vite project: set up, served, and hot-reloaded through the sandbox's preview."""

from __future__ import annotations

import json
import re

import pytest
from websockets.asyncio.client import unix_connect

from mesh.develop import TOOLS
from sandboxes.providers.signature import handshake
from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import config, repository

pytestmark = pytest.mark.real_cli

VITE = TOOLS / "node_modules" / "vite" / "bin" / "vite.js"
FILES = {
    "package.json": json.dumps({"name": "page", "scripts": {"dev": f"node {VITE}"}}),
    "index.html": "<html><head></head><body><script type=module src=/main.js></script></html>",
    "main.js": 'document.body.dataset.said = "one";\nimport.meta.hot.accept();\n',
    ".gitignore": "node_modules\n",
}


@pytest.fixture
async def sandbox(make_sandbox, tmp_path):
    """A sandbox in which Vite runs."""
    sandbox = make_sandbox()
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(repository(tmp_path / "origin", FILES)))
        running = await told.phase("running")
    assert running["htmlSupport"] is True
    return sandbox


async def test_an_edit_reaches_the_page(sandbox):
    page = (await sandbox.get("/preview/")).text
    await sandbox.get("/preview/main.js")  # as the page does; else Vite has nobody to tell
    client = (await sandbox.get("/preview/@vite/client")).text
    token = re.search(r'wsToken = "([^"]+)"', client)[1]

    assert "/@vite/client" in page
    async with unix_connect(
        sandbox.facts["socket"],
        f"ws://sandbox/_sandbox/preview/?token={token}",
        subprotocols=["vite-hmr"],
        additional_headers=[handshake(f"/_sandbox/preview/?token={token}", handle=sandbox.handle)],
    ) as ws:
        assert json.loads(await ws.recv())["type"] == "connected"
        edit = {"path": "main.js", "old_string": "one", "new_string": "two"}
        await sandbox.post("/edit", edit)
        told = json.loads(await ws.recv())

    assert told["type"] == "update"
    assert told["updates"][0]["path"] == "/main.js"
    assert "two" in (await sandbox.get("/preview/main.js")).text
