"""One way to serve HTTP: what all servers of ours have in common, and who starts them."""

import asyncio
import re
import socket
from pathlib import Path

import httpx
import pytest

from mesh.embedded.server import Server
from mesh.http_protocol import GuardedHttp
from mesh.http_server import HttpServer, process_config
from mesh.management.commands import mesh_serve
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
# Where uvicorn's own Server runs: for a whole process.
# The second is a dev server like a person's own: it listens on loopback and serves their folder.
PROCESSES = {"mesh/process_server.py", "sandboxes/daemon/setup/static_server.py"}


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def nothing():
    pass


def of_embedded():
    return Server(app, on_ready=nothing, before_exit=nothing).config


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: process_config(app), id="as it is"),
        pytest.param(of_embedded, id="embedded"),
        pytest.param(lambda: mesh_serve.config("127.0.0.1", 0, None), id="of a cluster"),
        pytest.param(lambda: HttpServer(app)._config, id="beside it, or on a laptop"),
    ],
)
def test_no_server_believes_headers_tells_its_kind_or_logs_who_asks(make):
    config = make()

    assert not any((config.proxy_headers, config.server_header, config.access_log))
    assert not config.ws_per_message_deflate
    assert config.timeout_keep_alive == 75


@pytest.mark.parametrize("make", [of_embedded, lambda: HttpServer(app)._config])
def test_every_server_speaks_the_guarded_protocol(make):
    assert make().http is GuardedHttp


def test_nobody_else_starts_a_server_of_uvicorn():
    modules = (
        path for name in ("mesh", "links", "sandboxes") for path in (ROOT / name).rglob("*.py")
    )
    starts = re.compile(r"uvicorn\.(?:Server|Config|run)\(|\(uvicorn\.Server\)")

    found = {path for path in modules if starts.search(path.read_text("utf-8"))}
    assert {path.relative_to(ROOT).as_posix() for path in found} == PROCESSES


async def test_it_answers_on_its_socket_until_it_is_stopped():
    sock = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app)
    await server.start(sock)
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        port = sock.getsockname()[1]
        assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 204

        await server.stop(within=0)

        with pytest.raises(httpx.TransportError):
            await client.get(f"http://127.0.0.1:{port}/")


async def test_what_is_not_answered_in_time_is_broken_off():
    begun = asyncio.Event()

    async def slow(scope, receive, send):
        begun.set()
        await asyncio.Event().wait()

    sock = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(slow)
    await server.start(sock)
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        asked = asyncio.create_task(client.get(f"http://127.0.0.1:{sock.getsockname()[1]}/"))
        await begun.wait()

        await server.stop(within=0)

        # Its answer is an error, or none: never one that looks whole.
        answers = await asyncio.gather(asked, return_exceptions=True)
        assert isinstance(answers[0], Exception) or answers[0].status_code == 500
