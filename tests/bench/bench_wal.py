"""How long does SQLite's WAL get under a load that never rests, and what does a commit cost then?

    python -m tests.bench.bench_wal [minutes]

A commit every 5 ms for ``minutes`` (1 unless given), on an embedded server's database and on a
sandbox's journal, one after the other. Two readers take turns, so that there is always a
transaction that has not seen the newest commit.

What was measured before ``mesh/wal.py`` was written (half a minute, the server's database, two busy
cores; latency of a commit):

    passive checkpoints alone       WAL 188 MB and growing  p50 0.8 ms  p99  6 ms  max  95 ms
    wal_autocheckpoint=1000         WAL 172 MB and growing  p50 4.9 ms  p99 24 ms  max  68 ms
    wal_autocheckpoint=4096         WAL 105 MB and growing  p50 2.9 ms  p99 18 ms  max 130 ms
    passive, TRUNCATE above 16 MB   WAL  26 MB              p50 0.8 ms  p99  5 ms  max  82 ms
    passive, RESTART above 16 MB    WAL  26 MB              p50 1.0 ms  p99  7 ms  max  47 ms

RESTART held the writers for 10 ms each time, TRUNCATE for 25 ms. Ten minutes of what was chosen:

    server   WAL 22 MB  83,224 commits  p50 0.77 ms  p99 24 ms  p99.9 52 ms  max 422 ms
    sandbox  WAL 32 MB  67,148 commits  p50 0.14 ms  p99  1 ms  p99.9 20 ms  max 387 ms
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mesh.settings")
os.environ.setdefault("MESH_HOME", tempfile.mkdtemp(prefix="mesh-bench-"))

import django

django.setup()

from django.conf import settings
from django.db import connections
from django.test.utils import get_runner

from agents.models import Agent
from mesh.models import Organization, User
from mesh.wal import WalKeeper
from sandboxes.daemon.journal import Journal
from sandboxes.daemon.streams import RunStream
from sandboxes.daemon.writer import Writer as SandboxWriter
from tests.bench.bench_journal import make_run, text
from threads.journal.writer import Writer
from threads.models import Run

EVERY = 0.005  # seconds between two commits
READ_TAKES = 0.004  # seconds
MEGABYTE = 1024 * 1024
PROMISE = "promised: the WAL stays at or below 64 MB"


class Figures:
    """What a commit took, and how long the WAL was, from the first commit to the last."""

    def __init__(self, path: Path) -> None:
        self._wal = path.with_name(f"{path.name}-wal")
        self._seconds: list[float] = []
        self._longest = 0

    def note(self, seconds: float) -> None:
        self._seconds.append(seconds)
        self._longest = max(self._longest, self._wal.stat().st_size)

    def __str__(self) -> str:
        cuts = quantiles(self._seconds, n=1000)
        took = f"p50 {median(self._seconds) * 1000:.2f}  p99 {cuts[989] * 1000:.1f}"
        took += f"  p99.9 {cuts[998] * 1000:.1f}  max {max(self._seconds) * 1000:.0f} ms"
        return (
            f"WAL at most {self._longest / MEGABYTE:.1f} MB; {len(self._seconds):,} commits: {took}"
        )


async def commit_steadily(
    figures: Figures, commit: Callable[[int], Awaitable[None]], seconds: float
) -> None:
    """Make a commit every ``EVERY`` seconds, for ``seconds``."""
    began = time.perf_counter()
    n = 0
    while (now := time.perf_counter()) < began + seconds:
        n += 1
        await commit(n)
        figures.note(time.perf_counter() - now)
        await asyncio.sleep(max(0.0, EVERY - (time.perf_counter() - now)))


@contextmanager
def readers_of(path: Path) -> Iterator[None]:
    """Have two readers at ``path`` until the block ends, one of which is always in a read."""
    is_over = threading.Event()

    def read() -> None:
        db = sqlite3.connect(path, isolation_level=None)
        while not is_over.is_set():
            db.execute("BEGIN")
            db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            time.sleep(READ_TAKES)
            db.execute("COMMIT")
        db.close()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
        time.sleep(READ_TAKES / 2)
    try:
        yield
    finally:
        is_over.set()
        for reader in readers:
            reader.join()


async def of_the_server(run: Run, seconds: float) -> Figures:
    path = Path(settings.DATABASES["default"]["NAME"])
    figures, writer, keeper = Figures(path), Writer(), WalKeeper(path)
    writer.start()
    keeper.start()
    queue = writer.queue(run_id=run.pk, fence=1)

    async def commit(n: int) -> None:
        queue.put(text(n, "a word or two"))
        await queue.settled(n)

    try:
        with readers_of(path):
            await commit_steadily(figures, commit, seconds)
    finally:
        keeper.stop()
        await asyncio.to_thread(writer.stop)
    return figures


async def of_a_sandbox(folder: Path, seconds: float) -> Figures:
    journal = Journal(folder / "journal.db")
    figures, writer = Figures(journal.path), SandboxWriter(journal)
    row = journal.open_run("bench", 1, thread_id="t", harness="demo")
    stream = RunStream(journal, row)

    async def commit(n: int) -> None:
        writer.put(stream, text(n, "a word or two").body)
        writer.flush()

    try:
        with readers_of(journal.path):
            await commit_steadily(figures, commit, seconds)
    finally:
        await writer.close()
        journal.close()
    return figures


def main() -> None:
    seconds = float(sys.argv[1] if len(sys.argv) > 1 else 1) * 60
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        owner = User.objects.create_user("bench")
        org = Organization.objects.create(slug="bench", name="Bench")
        run = make_run(Agent.objects.create(organization=org, slug="a", title="Bench"), owner)
        connections.close_all()
        print(f"  server:  {asyncio.run(of_the_server(run, seconds))}", flush=True)
    finally:
        connections.close_all()
        runner.teardown_databases(databases)
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
        print(f"  sandbox: {asyncio.run(of_a_sandbox(Path(folder), seconds))}", flush=True)
    print(PROMISE)


if __name__ == "__main__":
    main()
