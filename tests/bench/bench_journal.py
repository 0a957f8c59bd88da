"""How fast do events enter the journal, and how late are its readers?

    python -m tests.bench.bench_journal [runs …]

With 1, 10 and 100 runs at once, each followed by a reader: committed events per second, and how
late the readers are while 5,000 events come in every second. On SQLite in a temporary folder and on
the suite's PostgreSQL; with DATABASE_URL set, on that PostgreSQL only (a database of its
own is made and removed). Besides the time it says what an event costs the processors, ours and
the database's: that holds on a busy machine too.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from tests.servers import postgres

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
from mesh import database_pool
from mesh.models import Organization, User
from sandboxes.providers.base import SandboxEvent
from threads.journal.writer import Writer
from threads.models import Message, Run, Thread
from threads.reading.follow import follow

EVENTS = 20_000  # of all runs together
LONE = 300
PACE = 5_000  # events per second: what one server process promises
PACED_SECONDS = 4
PROMISE = "promised: 5,000 events/s, and with 100 runs at once no reader later than 250 ms p99"


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


async def at_full_speed(writer: Writer, runs: list[Run]) -> int:
    """Bring events as fast as they are taken; return how many."""
    each = EVENTS // len(runs)
    # One more row: the change to "running".
    readers = [asyncio.create_task(read(run, each + 1, [])) for run in runs]
    queues = [writer.queue(run_id=run.pk, fence=1) for run in runs]
    for n in range(1, each + 1):
        for queue in queues:
            queue.put(text(n, str(time.perf_counter())))
        if n % 5 == 0:
            for queue in queues:
                await queue.room()  # as the followers of runs do
            await asyncio.sleep(0)
    for queue in queues:
        await queue.settled(each)
    await asyncio.gather(*readers)
    return each * len(runs)


async def paced(writer: Writer, runs: list[Run]) -> list[float]:
    """Return how late readers are while ``PACE`` events come in every second."""
    lags: list[float] = []
    each = PACE * PACED_SECONDS // len(runs)
    readers = [asyncio.create_task(read(run, each + 1, lags)) for run in runs]
    await asyncio.sleep(0.2)
    queues = [writer.queue(run_id=run.pk, fence=1) for run in runs]
    began = time.perf_counter()
    for n in range(1, each + 1):
        for place, queue in enumerate(queues):
            due = began + ((n - 1) * len(queues) + place) / PACE
            if (wait := due - time.perf_counter()) > 0.0005:
                await asyncio.sleep(wait)
            queue.put(text(n, str(time.perf_counter())))
    await asyncio.gather(*readers)
    return lags


class Spent:
    """The processors' seconds, and the clock's, since it was made."""

    microseconds = 0.0

    def __init__(self) -> None:
        self._then = _now()

    def each(self, count: int) -> tuple[float, str]:
        """Return how many of ``count`` there were in a second, and what one of them cost."""
        clock, ours, theirs = (now - then for now, then in zip(_now(), self._then, strict=True))
        self.microseconds = (ours + theirs) / count * 1e6
        database = f" + {theirs / count * 1e6:.0f} of the database" if theirs else ""
        return count / clock, f"{ours / count * 1e6:.0f}{database} µs of processor each"


def _now() -> tuple[float, float, float]:
    return time.perf_counter(), time.process_time(), _seconds_of(_postmaster)


_postmaster = 0  # of a PostgreSQL on this machine


def _find_postmaster() -> int:
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    try:
        return int(_stat(Path(f"/proc/{backend}/stat"))[1])
    except OSError:
        return 0  # elsewhere: it is not ours to measure


def _seconds_of(parent: int) -> float:
    """Return the seconds of processor that a process and its children have taken."""
    if not parent:
        return 0.0
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, ppid, *rest = _stat(path)
        except OSError:
            continue
        if parent in (int(ppid), int(path.parent.name)):
            ticks += sum(map(int, rest[9:13]))  # its own, and of children that have ended
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(path: Path) -> list[str]:
    return path.read_text().rpartition(")")[2].split()


async def latency(writer: Writer, run: Run) -> list[float]:
    queue = writer.queue(run_id=run.pk, fence=1)
    times = []
    for n in range(1, LONE + 1):
        began = time.perf_counter()
        queue.put(text(n, "x"))
        await queue.settled(n)
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0.002)
    return times


def line(name: str, seconds: list[float]) -> str:
    p99 = quantiles(seconds, n=100)[98]
    return f"{name} p50 {median(seconds) * 1000:.2f} ms  p99 {p99 * 1000:.2f} ms"


async def measure(agent: Agent, owner: User, counts: list[int]) -> None:
    writer = Writer()
    writer.start()
    costs = {}
    try:
        for count in counts:
            runs = [await database_pool.writes.run(make_run, agent, owner) for _ in range(count)]
            spent = Spent()
            rate, cost = spent.each(await at_full_speed(writer, runs))
            costs[count] = spent.microseconds
            print(f"  {count:>3} runs: {rate:>8,.0f} events/s, {cost}", flush=True)
            runs = [await database_pool.writes.run(make_run, agent, owner) for _ in range(count)]
            spent = Spent()
            lags = await paced(writer, runs)
            _, cost = spent.each(len(lags))
            print(
                f"           at {PACE:,} events/s {line('readers late', lags)}, {cost}", flush=True
            )
        lone = await database_pool.writes.run(make_run, agent, owner)
        print(f"  a lone event: {line('', await latency(writer, lone))}")
        least, most = costs[counts[0]], costs[counts[-1]]
        print(
            f"  how it grows: of {counts[-1]} runs an event costs {most / least:.1f} times as much"
        )
    finally:
        writer.stop()
        database_pool.close()


def here(counts: list[int]) -> None:
    """Measure on the database of the environment."""
    global _postmaster
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        owner = User.objects.create_user("bench")
        org = Organization.objects.create(slug="bench", name="Bench")
        agent = Agent.objects.create(organization=org, slug="default", title="Bench")
        _postmaster = _find_postmaster()
        # As the server does. The migrations leave so much garbage that it cost each event 1 µs.
        gc.collect()
        gc.freeze()
        connections.close_all()
        print(connection.vendor, flush=True)
        asyncio.run(measure(agent, owner, counts))
    finally:
        connections.close_all()
        runner.teardown_databases(databases)


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or [1, 10, 100]
    here(counts)
    if connection.vendor == "sqlite":  # once more in a process that knows the other only
        with postgres() as url:
            argv = [sys.executable, "-m", "tests.bench.bench_journal", *map(str, counts)]
            subprocess.run(argv, env=os.environ | {"DATABASE_URL": url}, check=True)
        print(PROMISE)


if __name__ == "__main__":
    main()
