"""What does the tunnel cost?  python -m tests.bench.bench_tunnel

The same program answers directly over loopback TCP, through the tunnel and through ``ssh -R``
(where there is an sshd), to the same kind of client, in turns, so that the ratios hold where the
figures drift. Two processes: the server with the load, and the laptop. Not part of the test run:
the numbers belong to a machine.
"""

# Django has to be set up before our modules are imported
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("MESH_HOME", tempfile.mkdtemp(prefix="mesh-bench-"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mesh.settings")
import django

django.setup()

import uvicorn
import uvloop

from links.connection import Connection, Pulse
from links.daemon.asgi import Server
from links.daemon.client import dial
from links.daemon.control import ControlPlane
from links.services import Claimed
from links.upstream import Pool, _Wire
from links.wire.heads import RequestHead
from mesh.lib.ids import new_id
from tests.bench.ssh_reverse import MISSING, reverse

SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SMALL = b"x" * 1024
BLOCK = b"y" * 65536
MEGABYTES = 64
EVENT_EVERY = 0.02
SECRET = "bench"


class OneSandbox:
    """A supervisor in whose care is one sandbox, always alive."""

    def __init__(self, socket):
        self.home = Path(socket).parent
        self.sandbox = SimpleNamespace(pool=Pool(socket), token="none")

    def find(self, handle):
        return self.sandbox


async def app(scope, receive, send):
    """The program on the laptop: a small answer, a big one, or a stream of events."""
    kind = scope["path"].removeprefix("/_sandbox")
    headers = [(b"content-type", b"application/octet-stream")]
    if kind == "/small":
        headers.append((b"content-length", b"1024"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if kind == "/small":
        await send({"type": "http.response.body", "body": SMALL})
        return
    if kind == "/big":
        for _ in range(MEGABYTES * 16):
            await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
    else:
        for _ in range(int(SECONDS / EVENT_EVERY)):
            stamp = b"data: %d\n\n" % time.monotonic_ns()
            await send({"type": "http.response.body", "body": stamp, "more_body": True})
            await asyncio.sleep(EVENT_EVERY)
    await send({"type": "http.response.body", "body": b""})


class Direct:
    """Loopback TCP, connections kept."""

    class TcpPool(Pool):
        async def _connect(self):
            host, port = self.path
            _, wire = await asyncio.get_running_loop().create_connection(_Wire, host, port)
            return wire

    def __init__(self, port, name="direct"):
        self.name = name
        self.pool = self.TcpPool(("127.0.0.1", port))

    async def get(self, path, each):
        answer = await self.pool.request("GET", path, headers=(), body=b"")
        async for chunk in answer.chunks():
            each(chunk)
        answer.close()


class Tunnelled:
    """A stream of the tunnel."""

    name = "tunnel"

    def __init__(self, connection):
        self.peer = connection.peer

    async def get(self, path, each):
        stream = self.peer.open(RequestHead("GET", path, []))
        stream.end()
        await stream.head()
        while chunk := await stream.read():
            each(chunk)
        stream.close("done")


class Whole:
    """All that a run pays: httpx, signed, verified, and on to the sandbox's unix socket."""

    name = "whole way"

    def __init__(self, connection):
        self.client = connection.client

    async def get(self, path, each):
        async with self.client.stream("GET", f"/_sandbox/bench{path}") as answer:
            async for chunk in answer.aiter_raw():
                each(chunk)


async def requests_per_second(way, at_once):
    count, end = 0, time.monotonic() + SECONDS

    async def one():
        nonlocal count
        while time.monotonic() < end:
            await way.get("/small", len)
            count += 1

    await asyncio.gather(*(one() for _ in range(at_once)))
    return count / SECONDS


async def megabytes_per_second(way, at_once):
    size = 0

    def each(chunk):
        nonlocal size
        size += len(chunk)

    began = time.monotonic()
    await asyncio.gather(*(way.get("/big", each) for _ in range(at_once)))
    assert size == at_once * MEGABYTES * 1024 * 1024, size
    return size / 1e6 / (time.monotonic() - began)


async def event_delays(way, streams):
    """Return (p50, p99) in ms of the time from an event's making to its reading."""
    delays = []

    def each(chunk):
        now = time.monotonic_ns()
        for line in chunk.split(b"\n\n"):
            if line:
                delays.append((now - int(line[6:])) / 1e6)

    await asyncio.gather(*(way.get("/events", each) for _ in range(streams)))
    delays.sort()
    return delays[len(delays) // 2], delays[int(len(delays) * 0.99)]


async def laptop(tunnel_port):
    """The laptop's process: prints its own port, then serves both ways until it is ended."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    socket = tempfile.mkdtemp(prefix="bench-") + "/s"
    sandbox = uvicorn.Server(uvicorn.Config(app, uds=socket, log_level="warning", lifespan="off"))
    sandboxing = asyncio.create_task(sandbox.serve())
    while not sandbox.started:
        await asyncio.sleep(0.01)
    control = ControlPlane(secret=lambda: SECRET, supervisor=OneSandbox(socket))
    directly, controlled = Server(app), Server(control)

    def on_open(stream):
        to_sandbox = stream.request_head.target.startswith("/_sandbox")
        (controlled if to_sandbox else directly).serve(stream)

    connection = await dial(f"http://127.0.0.1:{tunnel_port}", token="none")
    connection.attach({"machineId": "bench"}, on_open=on_open)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(serving, sandboxing)


async def measure():
    connected = asyncio.get_running_loop().create_future()

    async def gateway(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        connection = Connection(
            send,
            on_received=lambda _: None,
            on_status_change=lambda *_: None,
            pulse=Pulse(),
        )
        connection.claimed = Claimed(link_id=new_id(), secret=SECRET, fingerprint="")
        writer = asyncio.create_task(connection.write())
        while (message := await receive())["type"] != "websocket.disconnect":
            connection.take(message)
            if connection.hello is not None and not connected.done():
                connected.set_result(connection)
        writer.cancel()

    config = uvicorn.Config(gateway, port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    argv = [sys.executable, "-m", "tests.bench.bench_tunnel", "laptop", str(port)]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE)
    try:
        connection = await connected
        line = await asyncio.to_thread(child.stdout.readline)
        ways = [Direct(int(line)), Tunnelled(connection), Whole(connection)]
        with reverse(int(line)) as port:
            if port is None:
                print(MISSING, flush=True)
            else:
                ways.append(Direct(port, "ssh -R"))
            await report(ways)
    finally:
        child.kill()
        child.wait()
        server.should_exit = True
        server.force_exit = True
        await serving


async def report(ways):
    for at_once in (1, 32, 256):
        await table(f"1 KiB GET/s at {at_once}", ways, requests_per_second, at_once)
    for at_once in (1, 32):
        await table(f"download MB/s at {at_once}", ways, megabytes_per_second, at_once)
    for streams in (1, 64, 256):
        row = [(way.name, *await event_delays(way, streams)) for way in ways]
        shown = "   ".join(f"{name} p50 {p50:.2f} p99 {p99:.2f}" for name, p50, p99 in row)
        print(f"event delay ms, {streams} streams: {shown}", flush=True)


async def table(title, ways, what, *given):
    best = {way.name: 0.0 for way in ways}
    for _ in range(ROUNDS):
        for way in ways:
            best[way.name] = max(best[way.name], await what(way, *given))
    direct = best["direct"]
    shown = "   ".join(f"{name} {v:,.0f} ({v / direct:.2f})" for name, v in best.items())
    print(f"{title}: {shown}", flush=True)


if __name__ == "__main__":
    work = laptop(int(sys.argv[2])) if sys.argv[1:2] == ["laptop"] else measure()
    uvloop.run(work)
