"""Real package managers set a real project up, and its server is seen: nothing else is changed.

npm, uv and pip are tried in ``test_setup.py``. Of corepack and of Yarn 2 only the command lines are
held: there, by the program ``RECORDING_MANAGER``, and in ``test_project.py``.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.harness.cli import need
from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import SERVER_JS, config, git, node_project, repository

pytestmark = pytest.mark.real_cli

NODE = node_project(dev="node -e \"require('helper')\"")
HELPER = {"name": "helper", "version": "1.0.0", "main": "index.js"}
NODE = {
    "package.json": json.dumps(
        json.loads(NODE["package.json"]) | {"dependencies": {"helper": "file:./helper"}}
    ),
    "helper/package.json": json.dumps(HELPER),
    "helper/index.js": SERVER_JS,
    ".gitignore": "node_modules\n",
}
DENO = {
    "deno.json": json.dumps({"tasks": {"dev": "deno run --allow-net --allow-env server.ts"}}),
    "server.ts": """
        const port = Number(Deno.env.get("PORT"));
        const answer = () => new Response("<html>hello from deno</html>", {
          headers: { "content-type": "text/html" },
        });
        Deno.serve({ port, hostname: "127.0.0.1" }, answer);
    """,
}


@pytest.mark.parametrize(
    ("manager", "files", "says"),
    [
        ("pnpm", NODE, "hello from node"),
        ("yarn", NODE, "hello from node"),
        ("bun", NODE, "hello from node"),
        ("deno", DENO, "hello from deno"),
    ],
)
async def test_a_project_is_set_up_and_served(make_sandbox, tmp_path, manager, files, says):
    program, node = Path(need(manager)), Path(shutil.which("node"))
    path = os.pathsep.join([str(program.parent), str(node.parent), "/usr/bin", "/bin"])
    sandbox = make_sandbox(env={"PATH": path, "HOME": str(tmp_path)})
    url = repository(tmp_path / "origin", files)

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url, packageManager={"name": manager}))
        await told.phase("running")

    assert says in (await sandbox.get("/preview/")).text
    assert git(sandbox.root / "repo", "status", "--porcelain") == ""
