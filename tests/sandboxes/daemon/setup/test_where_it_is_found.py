"""Where real dev servers are found that ignore what they are told, and whose are not shown."""

from __future__ import annotations

import pytest

from mesh.children import HAS_PROC
from sandboxes.daemon.setup.store import load_choice
from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.preview.upstream import Upstream
from tests.sandboxes.daemon.projects import config, repository
from tests.waiting import auntil

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


# A page, a second page, and something that is no web server.
THREE = SERVER.format(said="'up'").replace(
    "server.serve_forever()",
    """
import socket, threading
class Second(Handler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>second</title>")
    do_HEAD = do_GET
second = http.server.ThreadingHTTPServer((host, 0), Second)
threading.Thread(target=second.serve_forever).start()
other = socket.create_server((host, 0))
def talk():
    while True:
        client, _ = other.accept()
        client.sendall(b"-ERR no command\\r\\n")
        client.close()
threading.Thread(target=talk).start()
ports = [server.server_port, second.server_port, other.getsockname()[1]]
pathlib.Path("ports.tmp").write_text(" ".join(map(str, ports)))
pathlib.Path("ports.tmp").rename("ports")
server.serve_forever()
""",
)


class Menu:
    """A project that listens on three ports, and what its sandbox tells of them."""

    def __init__(self, sandbox, told):
        self.sandbox, self.told = sandbox, told

    async def begin(self, tmp_path):
        files = {"mesh.toml": DEV, "server.py": THREE, ".gitignore": "ports*\n"}
        url = repository(tmp_path / "origin", files)
        await self.sandbox.post("/config", config(url))
        await self.told.phase("running")
        self.first, self.second, self.other = await auntil(self.ports)
        await auntil(self.are_listed)

    async def ports(self):
        read = await self.sandbox.post("/read", {"path": "ports"})
        words = read.json().get("content", "").split() if read.status_code == 200 else []
        return [int("".join(c for c in word if c.isdigit())) for word in words[-3:]]

    async def are_listed(self):
        await self.sandbox.get("/preview/")
        phase = (await self.sandbox.get("/config")).json()["phases"][-1]
        return phase.get("ports") == sorted([self.first, self.second, self.other])

    async def choose(self, port):
        return await self.sandbox.post("/port", {"port": port})

    async def shows(self, title):
        return f"<title>{title}</title>" in (await self.sandbox.get("/preview/")).text


@pytest.fixture
async def menu(sandbox, tmp_path):
    async with looking_on(sandbox) as told:
        menu = Menu(sandbox, told)
        await menu.begin(tmp_path)
        yield menu


async def test_another_of_the_project_s_ports_is_chosen_and_kept(menu):
    before = "second" if await menu.shows("second") else "mine"
    after, port = ("mine", menu.first) if before == "second" else ("second", menu.second)

    chosen = await menu.choose(port)

    assert (chosen.status_code, chosen.json()) == (200, {"port": port})
    await auntil(lambda: menu.shows(after))
    assert load_choice(menu.sandbox.root) == port


async def test_only_a_web_server_of_the_project_can_be_chosen(menu):
    async with Upstream().running() as others:
        refused = [await menu.choose(port) for port in (others.port, menu.other)]
        assert others.requests == []

    codes = [(one.status_code, one.json()["error"]["code"]) for one in refused]
    assert codes == [(409, "port_not_own"), (409, "not_a_web_server")]


@pytest.mark.parametrize("port", [0, 65536, "3000", 3.5, True, []])
async def test_what_is_no_port(sandbox, port):
    refused = await sandbox.post("/port", {"port": port})

    assert refused.status_code == 400
    assert "from 1 to 65535" in refused.json()["error"]["message"]
