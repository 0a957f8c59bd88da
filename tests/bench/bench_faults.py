"""How soon is a reader up to date again when something between it and the agent has broken?

    python -m tests.bench.bench_faults

The faults of design §10, on one server and SQLite: 10,000 events, 50 cuts of the laptop's
connection, 3 kills of the server, 2 of the link. From the laptop's return until its reader has all
that was said. ``tests/faults`` and ``tests/cluster`` hold that nothing is lost or comes twice.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.faults.laptop import Laptop
from tests.faults.reader import Reader, assert_whole
from tests.faults.relay import Relay
from tests.faults.trial import Trial, spread
from tests.running import RunningMesh, say

PIECES = 3_334  # three events each
CUTS = 50
PROMISE = "promised: caught up ≤ 2 s after each return"


def measure(mesh: RunningMesh, laptop: Laptop, relay: Relay) -> str:
    """Go through the faults; return how it went."""

    def kill_server() -> None:
        mesh.kill_server()
        mesh.start()

    with mesh.client() as api:
        link, thread = laptop.online(), api.post("/threads", json={}).json()["id"]
    with Reader(lambda: mesh.url, token=mesh.token, thread=thread) as reader:
        trial = Trial(laptop, relay, reader, pieces=PIECES)
        with mesh.client() as api:
            say(api, thread, trial.prompt, harnessId="demo", linkId=link).raise_for_status()
        both = [kill_server, trial.kill_link]
        trial.go_through(spread(CUTS, trial.cut, {15: both, 30: both, CUTS: [kill_server]}))
    assert_whole(reader.seen, laptop.said)
    return trial.figures()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
        mesh = RunningMesh(Path(folder) / "home")
        try:
            mesh.start().online()
            with Relay(mesh.port) as relay:
                laptop = Laptop(Path(folder) / "laptop", server=relay.url, token=mesh.token)
                try:
                    print(measure(mesh, laptop.start(), relay))
                finally:
                    laptop.close()
        finally:
            mesh.close()
    print(PROMISE)


if __name__ == "__main__":
    main()
