"""What does a sandbox cost?  python -m tests.bench.bench_sandbox

From the moment before a program writes a line until a client on the sandbox's socket has the
event in its hands; the same for a pipe that is read directly; and how many events a second a
program may pour out. Then what it takes to ensure one that runs, to use a file tool, and to
see a dev server's page through it. The numbers belong to a machine.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "mesh.settings"
os.environ["MESH_HOME"] = tempfile.mkdtemp(prefix="mesh-bench-")

import django
import httpx

django.setup()
logging.disable(logging.INFO)  # a line per request costs more than the request

from links.daemon.spec import SandboxSpec
from links.daemon.supervisor import Supervisor
from links.wire.server_signature import HEADER
from mesh import keys
from sandboxes.providers.signature import sign_request
from tests.sandboxes.daemon.harnesses import CHILD
from tests.sandboxes.daemon.preview.upstream import Upstream
from tests.sandboxes.daemon.sandbox import Sandbox, turn_input

TICKS, EVERY_MS = 1000, 4
FLOOD = 100_000
IDLE_KB = 45 * 1024


def percentile(values, share):
    return sorted(values)[int(len(values) * share)]


def report(name, late_ns):
    late = [value / 1e6 for value in late_ns]
    print(
        f"{name:<28} p50 {percentile(late, 0.5):.3f}  p99 {percentile(late, 0.99):.3f}"
        f"  max {max(late):.3f} ms"
    )


def direct():
    """Read the program's pipe as plainly as can be."""
    with subprocess.Popen(
        [sys.executable, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdin.write(json.dumps([["ticks", TICKS, EVERY_MS]]).encode() + b"\n")
        child.stdin.flush()
        late = []
        for line in child.stdout:
            now, said = time.monotonic_ns(), json.loads(line)
            if "text" not in said:
                break
            late.append(now - int(said["text"].rstrip(",")))
        child.stdin.close()
    return late


async def through_the_sandbox(sandbox, run_id, steps):
    """Return (time, bytes) of every piece that comes over the socket, read without a library."""
    reader, writer = await asyncio.open_unix_connection(sandbox.facts["socket"])
    body = json.dumps(
        {"harnessId": "plain", "fence": 1, "input": turn_input(run_id, *steps)}
    ).encode()
    request = httpx.Request("POST", "http://s/_sandbox/dispatch", content=body)
    signature = sign_request(request, handle=sandbox.handle).headers[HEADER]
    head = (
        f"POST /_sandbox/dispatch HTTP/1.1\r\nhost: s\r\n{HEADER}: {signature}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    pieces = []
    while not (pieces and b'{"type":"done"}' in pieces[-1][1]):
        piece = await reader.read(1 << 18)
        assert piece, "the stream ended before done"
        pieces.append((time.monotonic_ns(), piece))
    writer.close()
    return pieces


def lateness(pieces):
    late = []
    for now, piece in pieces:
        for part in piece.split(b'"delta":"')[1:]:
            late += [now - int(tick) for tick in part.split(b'"')[0].split(b",") if tick]
    return late


async def main():
    report("pipe, read directly", direct())
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
        sandbox = Sandbox(Path(folder) / "s")
        started = time.monotonic()
        sandbox.start()
        print(f"{'start until it listens':<28} {time.monotonic() - started:.2f} s")
        try:
            print(f"{'idle memory':<28} {memory(sandbox)} kB  (promised: ≤ {IDLE_KB} kB)")
            pieces = await through_the_sandbox(sandbox, "ticks", [["ticks", TICKS, EVERY_MS]])
            report("through the sandbox", lateness(pieces))
            for name, step in (("text that is joined", "count"), ("events of their own", "notes")):
                began = time.monotonic()
                await through_the_sandbox(sandbox, step, [[step, FLOOD]])
                took = time.monotonic() - began
                rows = (await sandbox.get("/runs")).json()["runs"][-1]["lastN"]
                print(f"{name:<28} {FLOOD / took:,.0f} lines/s, as {rows:,} events")
            print(f"{'memory afterwards':<28} {memory(sandbox)} kB")
            await tools_and_preview(sandbox)
        finally:
            sandbox.close()
        await ensuring(Path(folder) / "home")


async def tools_and_preview(sandbox):
    await sandbox.post("/write", {"path": "a.txt", "content": "line\n" * 1000})
    report("read a file of 1000 lines", await timed(lambda: sandbox.post("/read", READ), 200))
    report("bash, true", await timed(lambda: sandbox.post("/bash", {"command": "true"}), 50))
    print(f"{'memory with all parts':<28} {memory(sandbox)} kB")
    async with Upstream().running() as upstream:
        await sandbox.post("/write", {"path": "mesh.toml", "content": 'dev = ["sleep", "99"]'})
        await sandbox.post("/config", {"application": {"port": upstream.port}})
        while (await sandbox.get("/preview/")).status_code != 200:
            await asyncio.sleep(0.05)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{upstream.port}") as client:
            report("a page, directly", await timed(lambda: client.get("/"), 300))
        report("a page, through the sandbox", await timed(lambda: sandbox.get("/preview/"), 300))
    print(f"{'memory with a preview':<28} {memory(sandbox)} kB")


async def ensuring(home):
    supervisor = Supervisor(home, server_key=keys.public_key)
    home.mkdir()
    first = await timed(lambda: supervisor.ensure(SandboxSpec("h")), 1)
    # The laptop's part alone; bench_preview asks through server and link.
    report("laptop: ensure, cold", first)
    report("laptop: ensure, warm", await timed(lambda: supervisor.ensure(SandboxSpec("h")), 200))
    await supervisor.delete("h", force=True)


async def timed(call, times):
    took = []
    for _ in range(times):
        began = time.monotonic_ns()
        await call()
        took.append(time.monotonic_ns() - began)
    return took


READ = {"path": "a.txt"}


def memory(sandbox):
    status = Path(f"/proc/{sandbox.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


if __name__ == "__main__":
    asyncio.run(main())
