"""What do idle links cost, and how soon are all back?  python -m tests.bench.bench_links

A real server process (embedded, SQLite) and as many laptops as BENCH_LINKS says (2,000), which
speak the real protocol from one process of their own and try again as the real program does.
Not part of the test run: the numbers belong to a machine.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from websockets.exceptions import WebSocketException

from links.daemon.client import dial
from links.wire.signing import fingerprint
from mesh.lib.backoff import Backoff
from tests.servers import ROOT, free_port
from tests.waiting import auntil, until

LINKS = int(os.environ.get("BENCH_LINKS", "2000"))
FEW = 20  # links that are up before anything is measured
AT_ONCE = 50  # handshakes that this one process has under way: each laptop has its own in earnest
SETTLE = 12.0  # seconds in which every link is asked once whether it is there

SETUP = f"""
from links.models import Link
from links.wire.signing import fingerprint
from mesh import keys
from mesh.services import make_home, make_token
user = make_home(username="bench")
sealed = keys.seal("bench")
Link.objects.bulk_create([
    Link(user=user, machine_id=f"m{{n}}", hostname=f"m{{n}}", cli_version="1", protocol_version=1,
         secret=sealed, secret_hash=fingerprint(f"s{{n}}"))
    for n in range({LINKS})])
print("token:", make_token(user=user))
"""


class Server:
    """An embedded Mesh without a link of its own; killed and started again on the same port."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        (home / "static").mkdir()
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("MESH_")}
        self.environ |= {"MESH_HOME": str(home), "MESH_LOG_LEVEL": "WARNING"}
        self._manage("migrate", "-v", "0")
        self.token = self._manage("shell", "-v", "0", "-c", SETUP).rpartition("token: ")[2].strip()
        self.process: subprocess.Popen[bytes] | None = None

    def _manage(self, *words: str) -> str:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environ,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def start(self) -> None:
        words = ["-m", "uvicorn", "mesh.asgi:application", "--log-level", "error"]
        self.process = subprocess.Popen(
            [sys.executable, *words, "--port", str(self.port), "--ws-max-size", "2000000"],
            cwd=ROOT,
            env=self.environ,
        )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def memory(self) -> int:
        """Resident bytes."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def seconds(self) -> float:
        """CPU time so far."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def online(self) -> int:
        """How many machines the table calls online."""
        with sqlite3.connect(f"file:{self.home}/mesh.sqlite3?mode=ro", uri=True) as table:
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
            query = "select count(*) from links_link where offline_after > ?"
            return int(table.execute(query, [now]).fetchone()[0])


class Laptops:
    """As many as are asked for; each comes back as ``deco_link`` does."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.tasks: list[asyncio.Task[None]] = []
        self.up = 0

    def start(self, first: int, end: int) -> None:
        self.tasks += [asyncio.create_task(self._stay(n)) for n in range(first, end)]

    async def _stay(self, n: int) -> None:
        backoff = Backoff()
        hello = {"machineId": f"m{n}", "secretFingerprint": fingerprint(f"s{n}")}
        url = f"http://127.0.0.1:{self._server.port}"
        while True:
            try:
                async with self._gate:
                    connection = await dial(url, token=self._server.token)
                    connection.attach(hello, on_open=lambda stream: stream.close("refused"))
                self.up += 1
                await connection.wait_closed()
                self.up -= 1
            except (OSError, TimeoutError, WebSocketException):
                pass
            await asyncio.sleep(backoff.next())


async def measure(server: Server) -> None:
    server.start()
    await auntil(lambda: listening(server), within=120)
    laptops = Laptops(server)
    laptops.start(0, FEW)
    await auntil(lambda: server.online() == FEW, within=60)
    await asyncio.sleep(2)
    alone = server.memory  # what a server needs for the first of all is not the links' own
    began, cpu = time.monotonic(), server.seconds
    laptops.start(FEW, LINKS)
    await until_online(server, LINKS)
    took, worked = time.monotonic() - began, server.seconds - cpu
    each = 1000 * worked / (LINKS - FEW)
    print(f"{LINKS} links, first time: {took:.1f} s ({each:.2f} ms CPU each)")
    await asyncio.sleep(SETTLE)
    cpu = server.seconds
    await asyncio.sleep(SETTLE)
    idle = 100 * (server.seconds - cpu) / SETTLE
    each = (server.memory - alone) / (LINKS - FEW) / 1000
    print(f"idle: {each:.1f} kB each, {idle:.1f} % of a core for all (alone {alone / 1e6:.0f} MB)")

    server.kill()
    await auntil(lambda: laptops.up == 0)
    server.start()
    began = time.monotonic()
    await auntil(lambda: listening(server), within=120)
    listens = time.monotonic() - began
    await auntil(lambda: laptops.up == LINKS, within=300)
    await until_online(server, LINKS)
    print(f"after a kill: listens at {listens:.1f} s, all back at {time.monotonic() - began:.1f} s")
    for task in laptops.tasks:
        task.cancel()


async def until_online(server: Server, links: int) -> None:
    while server.online() < links:
        await asyncio.sleep(0.1)


def listening(server: Server) -> bool:
    from tests.servers import listens

    return listens(server.port)


def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft < hard else soft, hard))
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
        server = Server(Path(folder))
        try:
            asyncio.run(measure(server))
        finally:
            assert server.process is not None
            server.process.send_signal(signal.SIGKILL)
            until(lambda: server.process is None or server.process.poll() is not None)


if __name__ == "__main__":
    main()
