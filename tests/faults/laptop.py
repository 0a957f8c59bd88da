"""A laptop of the suite: the real link and sandboxes, with a demo agent that takes notes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from mesh import processes
from tests.waiting import PATIENCE, until

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NAME = "laptop"
PROGRAM = """
import json, sys, time
from pathlib import Path
from links.daemon import cli, control, main
from links.daemon.clock import Clock
from links.daemon.config import Config
from links.signed_requests import Verifier
given = json.loads(sys.argv[1])
ahead = Path(given["home"]) / "ahead"
def wall():
    return time.time() + (float(ahead.read_text()) if ahead.exists() else 0)
main.Clock = lambda: Clock(wall=wall)
control.Verifier = lambda secret, **_: Verifier(secret, clock=wall)
sys.exit(cli.run(Config(
    server=given["server"], home=Path(given["home"]), token_file=Path(given["home"]) / "token",
    name=given["name"], allowed=(), sandbox_command=tuple(given["command"]))))
"""


class Laptop:
    """What it starts it ends, by process id, in ``close``. Its link may be killed at will."""

    def __init__(self, home: Path, *, server: str, token: str) -> None:
        self.home, self.server = home, server
        self.notes = home / "notes"
        self.notes.mkdir(parents=True)
        (home / "token").write_text(token)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Laptop:
        """Start the link."""
        sandbox = [sys.executable, "-P", str(HERE / "recorded_sandbox.py"), str(self.notes)]
        given = {"server": self.server, "home": str(self.home), "command": sandbox, "name": NAME}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(given)],
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith(("MESH_", "DJANGO_"))},
            stderr=subprocess.DEVNULL,
        )
        return self

    def online(self) -> str:
        """Wait until a server holds its tunnel; return the id of its link."""

        def find() -> str:
            headers = {"Authorization": f"Bearer {(self.home / 'token').read_text()}"}
            answer = httpx.get(
                f"{self.server}/api/links", headers=headers, trust_env=False, timeout=PATIENCE
            )
            states = {
                one["id"]: one["state"] for one in answer.json()["links"] if one["name"] == NAME
            }
            return next((id for id, state in states.items() if state == "online"), "")

        return str(until(find, what="the laptop online"))

    def kill_link(self) -> None:
        """End the link program as a power cut would; its sandboxes live on."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def set_clock(self, ahead: float) -> None:
        """Put the laptop's clock so many seconds ahead of the server's."""
        path = self.home / "ahead"
        path.with_suffix(".new").write_text(str(ahead))
        path.with_suffix(".new").replace(path)

    def allow(self, pieces: int) -> None:
        """Let the agent go on until it has said so many pieces; before the first call, all."""
        path = self.notes / "allowed"
        path.with_suffix(".new").write_text(str(pieces))
        path.with_suffix(".new").replace(path)

    @property
    def spoken(self) -> int:
        """How many deltas the agent has written; ``said`` is what stands in them."""
        path = self.notes / "said.jsonl"
        return path.read_bytes().count(b'"delta": ') if path.exists() else 0

    @property
    def prompts(self) -> list[str]:
        """Every prompt that reached the agent."""
        orders = self._lines("got.jsonl")
        return [order["prompt"] for order in orders if order["type"] == "turn"]

    @property
    def said(self) -> list[tuple[str, str]]:
        """Every (kind, delta) that the agent wrote."""
        kinds = {"text": "text", "thinking": "reasoning"}
        return [
            (kinds[line["type"]], line["delta"])
            for line in self._lines("said.jsonl")
            if line["type"] in kinds
        ]

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.notes / name
        whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
        return [json.loads(line) for line in whole.splitlines()]

    def close(self) -> None:
        if self.process is not None:
            end_link(self.process, self.home)


def end_link(process: subprocess.Popen[bytes], home: Path) -> None:
    """End a link, whatever state it is in, and the sandboxes that it has started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
    for path in home.glob("sandboxes/*/pid"):
        facts = json.loads(path.read_text())
        processes.end(facts["pid"], facts["started"], within=3)
