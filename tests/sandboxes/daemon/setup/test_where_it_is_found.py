"""Where real dev servers are found that ignore what they are told, and whose are not shown."""

from __future__ import annotations

import pytest

from mesh.children import HAS_PROC
from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.preview.upstream import Upstream
from tests.sandboxes.daemon.projects import config, repository

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(not HAS_PROC, reason="asks /proc who listens"),
]
# Serves at a free port of its choice, and says what ``said`` makes of it.
SERVER = """
import http.server, os, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>mine</title>")
    do_HEAD = do_GET
host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
server = http.server.ThreadingHTTPServer((host, 0), Handler)
print({said}, flush=True)
server.serve_forever()
"""
SILENT, DEV = SERVER.format(said="'up'"), 'dev = ["python3", "server.py"]'
# Refuses to start where another one runs, as servers do that lock their folder.
LOCKED = """
import sys, time
while True:
    try:
        open("up").close()
        sys.exit("Another server of this folder runs.")
    except FileNotFoundError:
        time.sleep(0.05)
"""


@pytest.fixture
def sandbox(make_sandbox, tmp_path):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TEST_UNSEEN_AFTER": "1"}
    return make_sandbox(env=env)


async def phase_of(sandbox, tmp_path, phase, files, **application):
    """Set a project up; return the details of its first phase of that kind."""
    async with looking_on(sandbox) as told:
        url = repository(tmp_path / "origin", files)
        await sandbox.post("/config", config(url, **application))
        return await told.phase(phase)


async def test_one_that_takes_another_port_and_says_nothing_is_found(sandbox, tmp_path):
    running = await phase_of(sandbox, tmp_path, "running", {"mesh.toml": DEV, "server.py": SILENT})
    page = await sandbox.get("/preview/")

    assert "<title>mine</title>" in page.text
    assert running.keys() >= {"port", "htmlSupport"}
    assert "isOpen" not in running


async def test_one_that_the_whole_network_reaches_is_told(sandbox, tmp_path):
    dev = 'dev = ["python3", "server.py", "0.0.0.0"]'
    running = await phase_of(sandbox, tmp_path, "running", {"mesh.toml": dev, "server.py": SILENT})

    assert running["isOpen"] is True


async def test_the_announced_page_is_told(sandbox, tmp_path):
    said = "f'http://localhost:{server.server_port}/lab?token=1'"
    files = {"mesh.toml": DEV, "server.py": SERVER.format(said=said)}
    running = await phase_of(sandbox, tmp_path, "running", files)

    assert running["path"] == "/lab?token=1"


async def test_one_that_the_agent_has_started_in_the_folder_is_used(sandbox, tmp_path):
    started = "open('up', 'w').close() or 'up'"
    files = {
        "mesh.toml": DEV,
        "server.py": LOCKED,
        "mine.py": SERVER.format(said=started),
    }
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(repository(tmp_path / "origin", files)))
        await told.phase("starting")
        await sandbox.post("/bash", {"command": "python3 mine.py", "background": True})
        await told.phase("running")
    page = await sandbox.get("/preview/")

    assert "<title>mine</title>" in page.text


async def test_another_s_port_that_it_announces_is_not_shown(sandbox, tmp_path):
    async with Upstream().running() as others:
        announcing = f"import time; print('Local: http://localhost:{others.port}/', flush=True);"
        files = {"mesh.toml": DEV, "server.py": announcing + "time.sleep(600)"}
        unseen = await phase_of(sandbox, tmp_path, "unseen", files)
        page = await sandbox.get("/preview/")

    assert others.requests == []
    assert page.json()["error"]["code"] == "dev_server_starting"
    assert unseen["lastLines"] == [f"Local: http://localhost:{others.port}/"]


async def test_one_that_answers_nowhere_is_told_with_what_to_do(sandbox, tmp_path):
    files = {"mesh.toml": DEV, "server.py": "import time; print('watching'); time.sleep(600)"}
    unseen = await phase_of(sandbox, tmp_path, "unseen", files)
    page = await sandbox.get("/preview/")

    assert unseen["reason"].startswith("python3 server.py runs")
    assert "port = 3000" in unseen["hint"]
    assert page.json()["error"]["hint"] == unseen["hint"]
