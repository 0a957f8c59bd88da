"""How much later is a token at the browser's socket than on the CLI's stdout?

    python -m tests.bench.bench_first_token

Through everything: CLI → sandbox → link → tunnel → server → database → WebSocket, as ``make run``
serves it (SQLite) and as a server of a cluster does (PostgreSQL, Redis); against reading the
same CLI's stdout directly. Both in one run, in turns. The demo agent's ``ticks`` writes the
machine's monotonic clock as its text, so one clock measures both ways.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
from websockets.asyncio.client import ClientConnection, connect

from agents.harness import ADAPTERS
from agents.harness.base import Write, parse_input
from tests.faults.laptop import Laptop
from tests.running import RunningMesh
from tests.servers import cluster
from tests.waiting import until

ROUNDS = 40
TICKS, PACE = 25, 20  # a token each 20 ms, as a quick model writes
PROMISE = "promised: first token +10 ms p50, +30 ms p99; gap p99 +5 ms"
DEMO = Path(__file__).resolve().parents[2] / "agents" / "demo_agent.py"


@dataclass
class Seen:
    """Delays of tokens in ms: the first ones, all, and the gaps between neighbours."""

    first: list[float] = field(default_factory=list)
    every: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)

    def add(self, arrivals: list[tuple[int, int]]) -> None:
        """Add one run: (written, arrived) of each token, in ns."""
        delays = [(arrived - written) / 1e6 for written, arrived in arrivals]
        self.first.append(delays[0])
        self.every += delays
        pairs = itertools.pairwise(arrivals)
        self.gaps += [(after[1] - before[1]) / 1e6 for before, after in pairs]


class Ticks:
    """Takes the clock readings out of text that may be cut anywhere."""

    def __init__(self) -> None:
        self.text = ""
        self.arrivals: list[tuple[int, int]] = []

    def feed(self, text: str) -> None:
        now = time.monotonic_ns()
        *whole, self.text = (self.text + text).split(",")
        self.arrivals += [(int(one), now) for one in whole if one.strip().isdecimal()]


def turn(prompt: str) -> bytes:
    """Return the lines that begin a turn of the demo agent."""
    message = {"role": "user", "parts": [{"type": "text", "text": prompt}]}
    given = {
        **{"threadId": "t", "runId": "r", "taskId": "t", "messages": [message], "models": {}},
        **{"mode": "default", "temperature": 0, "toolApprovalLevel": "auto"},
        **{"user": {"id": "u"}, "organizationId": "o", "agent": {"id": "a"}},
    }
    outputs = ADAPTERS["demo"]().begin(parse_input(given))
    return b"".join(out.line + b"\n" for out in outputs if isinstance(out, Write))


async def direct(seen: Seen) -> None:
    """One run of the CLI, its stdout read here."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(DEMO), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(turn(f"ticks {TICKS} {PACE}"))
    ticks = Ticks()
    while len(ticks.arrivals) < TICKS:
        line = json.loads(await process.stdout.readline())
        if line.get("type") == "text":
            ticks.feed(line["delta"])
    process.stdin.close()
    await process.wait()
    seen.add(ticks.arrivals)


async def through(
    seen: Seen, socket: ClientConnection, api: httpx.AsyncClient, thread: str
) -> None:
    """One run through everything, read from the browser's WebSocket."""
    message = {"role": "user", "parts": [{"type": "text", "text": f"ticks {TICKS} {PACE}"}]}
    posted = await api.post(
        f"/threads/{thread}/messages",
        json={"messages": [message], "agent": {"id": "default"}, "harnessId": "demo"},
    )
    posted.raise_for_status()
    ticks = Ticks()
    while True:
        told = json.loads(await socket.recv())
        if told["type"] != "events":
            continue
        for event in told["events"]:
            if event["chunk"]["type"] == "text-delta":
                ticks.feed(event["chunk"]["delta"])
            elif event["chunk"]["type"] == "finish":
                assert len(ticks.arrivals) == TICKS, "a token was lost"
                seen.add(ticks.arrivals)
                return


async def measure(url: str, token: str, session: str, *, origin: str) -> tuple[Seen, Seen]:
    """Return what was seen through everything and directly; ``origin`` is the public address."""
    async with httpx.AsyncClient(
        base_url=f"{url}/api/home/decopilot",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=30,
    ) as api:
        thread = (await api.post("/threads", json={})).json()["id"]
        async with connect(
            url.replace("http", "ws") + "/ws",
            additional_headers={"Cookie": f"mesh_session={session}"},
            origin=origin,  # type: ignore[arg-type]
            proxy=None,
        ) as socket:
            await socket.send(json.dumps({"type": "follow", "thread": thread, "after": 0}))
            await through(Seen(), socket, api, thread)  # the sandbox and the CLI start here
            mesh_seen, cli_seen = Seen(), Seen()
            for _ in range(ROUNDS):
                await direct(cli_seen)
                await through(mesh_seen, socket, api, thread)
    return mesh_seen, cli_seen


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def on_sqlite(home: Path) -> tuple[Seen, Seen]:
    mesh = RunningMesh(home)
    try:
        mesh.start().online()
        return asyncio.run(measure(mesh.url, mesh.token, mesh.session(), origin=mesh.url))
    finally:
        mesh.close()


def on_postgresql(home: Path) -> tuple[Seen, Seen]:
    with cluster(home / "server") as made:
        session, token, url = made.session(), made.token(), made.serve("A")
        laptop = Laptop(home / "laptop", server=url, token=token).start()
        try:
            headers = {"Authorization": f"Bearer {token}"}

            def is_online() -> bool:
                links = httpx.get(f"{url}/api/links", headers=headers, trust_env=False).json()
                return any(link["state"] == "online" for link in links["links"])

            until(is_online, what="the laptop online")
            return asyncio.run(measure(url, token, session, origin=made.environ["MESH_URL"]))
        finally:
            laptop.close()


def main() -> None:
    print(f"{ROUNDS} runs of {TICKS} tokens, one each {PACE} ms; ms, p50 / p99")
    for name, measured in [("SQLite", on_sqlite), ("PostgreSQL", on_postgresql)]:
        with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
            ours, cli = measured(Path(folder) / "home")
        print(f"  {name}")
        tell(ours, cli)
    print(f"  {PROMISE}")


def tell(ours: Seen, cli: Seen) -> None:
    for name, here, there in [
        ("first token", ours.first, cli.first),
        ("every token", ours.every, cli.every),
        ("gap between tokens", ours.gaps, cli.gaps),
    ]:
        print(
            f"    {name:<19} mesh {median(here):7.2f} /{p99(here):7.2f}"
            f"   direct {median(there):6.2f} /{p99(there):6.2f}"
            f"   added {median(here) - median(there):+6.2f} /{p99(here) - p99(there):+6.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
