"""How fast do events enter the journal?  python -m tests.bench.bench_journal [runs …]

Prints committed events per second with 1, 10 and 100 runs at once, each followed by a reader,
how late the readers are, and how long a lone event takes. On SQLite in a temporary folder;
with DATABASE_URL set, on that PostgreSQL (a database of its own is made and removed).
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from statistics import median, quantiles

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mesh.settings")
os.environ.setdefault("MESH_HOME", tempfile.mkdtemp(prefix="mesh-bench-"))
if os.environ.get("DATABASE_URL"):
    os.environ.setdefault("MESH_SECRET_KEY", "bench")
    os.environ.setdefault("MESH_URL", "http://localhost")
    os.environ.setdefault("MESH_ENCRYPTION_KEYS", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")

import django

django.setup()

from django.conf import settings
from django.db import connection, connections
from django.test.utils import get_runner

from agents.models import Agent
from mesh.models import Organization, User
from sandboxes.providers.base import SandboxEvent
from threads import pool
from threads.follow import follow
from threads.journal import Writer
from threads.models import Message, Run, Thread

EVENTS = 20_000  # of all runs together
LONE = 300
PACE = 5_000  # events per second: what one server process promises
PACED_SECONDS = 4


def make_run(agent: Agent, owner: User) -> Run:
    thread = Thread.objects.create(owner=owner, organization=agent.organization, agent=agent)
    prompt = Message.objects.create(thread=thread, role="user", client_id="p", seq=0, parts=[])
    return Run.objects.create(thread=thread, prompt=prompt, state="dispatched", fence=1)


def text(n: int, delta: str) -> SandboxEvent:
    chunk = {"type": "text-delta", "id": f"t{n}", "delta": delta}  # ids differ: no joining
    return SandboxEvent(n, {"type": "ui-message-chunk", "chunk": chunk})


async def read(run: Run, until: int, lags: list[float]) -> None:
    stream = follow(run.thread_id, 0)
    async for batch in stream:
        now = time.perf_counter()
        for row in batch:
            if '"text-delta"' in row.text:
                lags.append(now - float(row.chunk["delta"]))
        if batch and batch[-1].seq >= until:
            break
    await stream.aclose()


async def throughput(writer: Writer, runs: list[Run]) -> tuple[float, list[float]]:
    each = EVENTS // len(runs)
    lags: list[float] = []
    # One more row: the change to "running".
    readers = [asyncio.create_task(read(run, each + 1, lags)) for run in runs]
    await asyncio.sleep(0.2)
    lanes = [writer.lane(run_id=run.pk, fence=1) for run in runs]
    began = time.perf_counter()
    for n in range(1, each + 1):
        for lane in lanes:
            lane.put(text(n, str(time.perf_counter())))
        if n % 5 == 0:
            for lane in lanes:
                if len(lane.waiting) > 50:  # a producer that keeps pace
                    await lane.settled(lane.waiting[0].n)
            await asyncio.sleep(0)
    for lane in lanes:
        await lane.settled(each)
    took = time.perf_counter() - began
    await asyncio.gather(*readers)
    return each * len(runs) / took, lags


async def paced(writer: Writer, runs: list[Run]) -> list[float]:
    """Return how late readers are while ``PACE`` events come in every second."""
    lags: list[float] = []
    each = PACE * PACED_SECONDS // len(runs)
    readers = [asyncio.create_task(read(run, each + 1, lags)) for run in runs]
    await asyncio.sleep(0.2)
    lanes = [writer.lane(run_id=run.pk, fence=1) for run in runs]
    began = time.perf_counter()
    for n in range(1, each + 1):
        for place, lane in enumerate(lanes):
            due = began + ((n - 1) * len(lanes) + place) / PACE
            if (wait := due - time.perf_counter()) > 0.0005:
                await asyncio.sleep(wait)
            lane.put(text(n, str(time.perf_counter())))
    await asyncio.gather(*readers)
    return lags


async def latency(writer: Writer, run: Run) -> list[float]:
    lane = writer.lane(run_id=run.pk, fence=1)
    times = []
    for n in range(1, LONE + 1):
        began = time.perf_counter()
        lane.put(text(n, "x"))
        await lane.settled(n)
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0.002)
    return times


def line(name: str, seconds: list[float]) -> str:
    p99 = quantiles(seconds, n=100)[98]
    return f"{name} p50 {median(seconds) * 1000:.2f} ms  p99 {p99 * 1000:.2f} ms"


async def measure(agent: Agent, owner: User, counts: list[int]) -> None:
    writer = Writer()
    writer.start()
    try:
        for count in counts:
            runs = [await pool.run(make_run, agent, owner) for _ in range(count)]
            rate, lags = await throughput(writer, runs)
            print(
                f"{connection.vendor} {count:>3} runs: {rate:>8,.0f} events/s  "
                + line("reader late", lags)
            )
        runs = [await pool.run(make_run, agent, owner) for _ in range(counts[-1])]
        lags = await paced(writer, runs)
        print(
            f"{connection.vendor} {len(runs):>3} runs at {PACE:,} events/s: "
            + line("reader late", lags)
        )
        lone = await pool.run(make_run, agent, owner)
        print(f"{connection.vendor} lone event: " + line("", await latency(writer, lone)))
    finally:
        writer.stop()
        pool.close()


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or [1, 10, 100]
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        owner = User.objects.create_user("bench")
        org = Organization.objects.create(slug="bench", name="Bench")
        agent = Agent.objects.create(organization=org, slug="default", title="Bench")
        connections.close_all()
        asyncio.run(measure(agent, owner, counts))
    finally:
        connections.close_all()
        runner.teardown_databases(databases)


if __name__ == "__main__":
    main()
