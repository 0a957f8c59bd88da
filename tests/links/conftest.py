"""A server with a gateway in the test's own loop, and real laptops that dial in."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import uvicorn
from asgiref.sync import sync_to_async

from tests.links.moved_clock import Hands
from tests.waiting import auntil

ROOT = Path(__file__).resolve().parents[2]
ECHO = (sys.executable, str(Path(__file__).with_name("echo_sandbox.py")))
DAEMON = """
import sys, json
from functools import partial
from pathlib import Path
from links.daemon import cli, main
from tests.links.moved_clock import moved_clock
from links.daemon.config import Config
given = json.loads(sys.argv[1])
main.Daemon = partial(main.Daemon, clock=moved_clock(Path(given["home"]) / "clock"))
sys.exit(cli.run(Config(
    server=given["server"], home=Path(given["home"]),
    token_file=Path(given["token_file"]) if given["token_file"] else None,
    name="laptop", allowed=(), sandbox_command=tuple(given["command"]))))
"""


class Server:
    """Mesh's pages and gateway on a free loopback port."""

    def __init__(self, pulse=None):
        self.ups, self.downs = [], []
        self.port = 0
        self.pulse = pulse
        self.refusing = 0  # the status that everybody is answered, whatever they ask
        self.refused = 0  # how often that was

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def restarted(self):
        """Stop, forget every connection, and listen on the same port again."""
        await self.stop()
        async with self.running(self.port):
            yield

    async def stop(self):
        self.server.should_exit = True
        await self.serving

    @contextlib.asynccontextmanager
    async def running(self, port=0):
        from django.core.asgi import get_asgi_application

        from links.gateway import make_gateway
        from links.upkeep import Upkeep

        async def on_up(link_id):
            self.ups.append(link_id)

        async def on_down(link_id, cause):
            self.downs.append((link_id, cause))

        pages = get_asgi_application()
        gateway = make_gateway(on_up=on_up, on_down=on_down, pulse=self.pulse)
        upkeep = Upkeep(judge=gateway.judge, every=0.2)

        async def app(scope, receive, send):
            if self.refusing:
                self.refused += 1
                await receive()
                kind = "http" if scope["type"] == "http" else "websocket.http"
                status = {"type": f"{kind}.response.start", "status": self.refusing, "headers": []}
                await send(status)
                await send({"type": f"{kind}.response.body", "body": b""})
                return
            await (gateway if scope["type"] == "websocket" else pages)(scope, receive, send)

        config = uvicorn.Config(app, port=port, log_level="warning", lifespan="off", ws="auto")
        self.server = server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext
        self.serving = asyncio.create_task(server.serve())
        await auntil(lambda: server.started)
        await upkeep.start()
        self.port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            await upkeep.stop()
            await self.stop()


@pytest.fixture
def pulse():
    """How often laptops are asked whether they are there: here as in earnest."""
    from links.connection import Pulse

    return Pulse()


@pytest.fixture
async def server(transactional_db, pulse):
    async with Server(pulse).running() as running:
        yield running


@pytest.fixture
async def token(ada):
    from mesh.services import make_token

    return await sync_to_async(make_token)(user=ada)


class Laptop:
    """The real program, in a process of its own, with a home of its own."""

    def __init__(self, home, server, token, **environ):
        self.home = home
        self.environ = environ
        token_file = home / "token"
        token_file.write_text(token or "")
        self.given = {
            "server": server.url,
            "home": str(home),
            "token_file": str(token_file) if token else "",
            "command": ECHO,
        }
        self.process = None
        self.hands = Hands(home / "clock")

    def start(self):
        environ = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", DAEMON, json.dumps(self.given)],
            cwd=ROOT,
            env={**environ, **self.environ},
            stderr=(self.home / "stderr").open("w"),
        )
        return self

    def log(self):
        return (self.home / "link" / "log").read_text()

    def said(self):
        return (self.home / "stderr").read_text()

    async def ended(self):
        def has_ended():
            return self.process.poll() is not None and (self.process.returncode,)

        return await auntil(has_ended, what=self.said())

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid_file in self.home.glob("sandboxes/*/pid"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(json.loads(pid_file.read_text())["pid"], signal.SIGKILL)


@pytest.fixture
def door(server):
    """Where laptops dial: the server itself, unless something stands between."""
    return server


@pytest.fixture
def laptop(door, token, tmp_path):
    """Return ``laptop(name)``: a started program, ended with its sandboxes after the test."""
    made = []

    def start(name="one", **environ):
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        made.append(Laptop(home, door, token, **environ))
        return made[-1].start()

    yield start
    for one in made:
        one.end()


@pytest.fixture
def connected(server):
    """Return ``connected()``: the id of the one link that is up, once it is."""

    async def wait():
        from links.calls import held_here

        return next(iter(await auntil(held_here, what="a laptop to connect")))

    return wait
