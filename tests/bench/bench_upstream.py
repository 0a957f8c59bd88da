"""What does a request to a sandbox's socket cost?  python -m tests.bench.bench_upstream

Our client (httptools and connections of our own) and httpcore (h11), in turns against the same
server in a process of its own. The numbers belong to a machine; the ratios say more (ADR 25).
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from subprocess import Popen

import httpcore
import uvicorn
import uvloop

from links.upstream import Pool
from tests.waiting import auntil

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
REQUESTS, EVENTS, MEGABYTES = 400, 5_000, 32
EVENT = b'data: {"type":"text-delta","delta":"some words"}\n\n'
BLOCK = b"y" * 65536
HEADERS = [(b"x-mesh-%d" % number, b"v" * 40) for number in range(6)]


async def app(scope, receive, send):
    """A small answer, the events of a run, or a download."""
    pieces = {"/small": [b"x" * 1024], "/events": [EVENT] * EVENTS}
    given = pieces.get(scope["path"], [BLOCK] * (MEGABYTES * 16))
    headers = [(b"content-type", b"text/plain")]
    if scope["path"] == "/small":
        headers.append((b"content-length", b"1024"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for piece in given:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class Ours:
    name = "ours"

    def __init__(self, socket):
        self.pool = Pool(socket)

    async def get(self, path):
        answer = await self.pool.request("GET", path, headers=HEADERS, body=b"")
        size = sum([len(chunk) async for chunk in answer.chunks()])
        answer.close()
        return size


class Httpcore:
    name = "httpcore (h11)"

    def __init__(self, socket):
        self.pool = httpcore.AsyncConnectionPool(uds=socket)

    async def get(self, path):
        async with self.pool.stream("GET", f"http://sandbox{path}", headers=HEADERS) as answer:
            return sum([len(chunk) async for chunk in answer.aiter_stream()])


async def cost(way, path, times):
    """Return the milliseconds that one request takes, and those of this process's CPU."""
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        assert await way.get(path)
    took, used = time.perf_counter() - began, time.process_time() - cpu
    return took * 1000 / times, used * 1000 / times


async def measure():
    socket = tempfile.mkdtemp(prefix="mesh-bench-") + "/s"
    child = Popen([sys.executable, "-m", "tests.bench.bench_upstream", socket])
    try:
        await auntil(Path(socket).exists)
        ways = [Ours(socket), Httpcore(socket)]
        for path, times in (("/small", REQUESTS), ("/events", 4), ("/download", 1)):
            found = {way.name: [] for way in ways}
            for _ in range(ROUNDS):
                for way in ways:
                    found[way.name].append(await cost(way, path, times))
            for name, pairs in found.items():
                took, used = (median(column) for column in zip(*pairs, strict=True))
                print(f"{path:<10} {name:<15} {took:9.3f} ms   CPU {used:9.3f} ms", flush=True)
    finally:
        child.kill()
        child.wait()


if __name__ == "__main__":
    if sys.argv[1:]:
        uvicorn.run(app, uds=sys.argv[1], log_level="warning", lifespan="off")
    else:
        uvloop.run(measure())
