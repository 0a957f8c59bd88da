"""A whole embedded Mesh in processes of its own, as ``make run`` starts it."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from mesh import processes
from tests.secrecy import MARK, found_in
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def prepared_home() -> Path:
    """A MESH_HOME after its first start, made once: migrating anew for each test takes longest."""
    home = Path(tempfile.mkdtemp(prefix="mesh-prepared-")) / "home"
    atexit.register(shutil.rmtree, home.parent, ignore_errors=True)
    code = "import django; django.setup(); from mesh.embedded import home; home.prepare()"
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=_without_ours(os.environ)
        | {"MESH_HOME": str(home), "DJANGO_SETTINGS_MODULE": "mesh.settings"},
        check=True,
    )
    return home


def _without_ours(environ: Mapping[str, str]) -> dict[str, str]:
    ours = ("MESH_", "DJANGO_", "ANTHROPIC_", "CLAUDE", "DATABASE_URL", "REDIS_URL")
    return {name: value for name, value in environ.items() if not name.startswith(ours)}


class RunningMesh:
    """One MESH_HOME, and the ``mesh_run`` that serves it; may be killed and started again.

    What it starts it ends, by process id, in ``close``.
    """

    def __init__(
        self, home: Path, *, python: str = sys.executable, root: Path = ROOT, **environ: str
    ) -> None:
        self.home, self.python, self.root, self.environ = home, python, root, environ
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        self.port = 0
        self._token = self._session = ""

    def start(self) -> RunningMesh:
        """Start it, and return once it has said that it is ready."""
        environ = _without_ours(os.environ)
        environ |= {
            "MESH_HOME": str(self.home),
            "MESH_PORT": str(self.port),
            "MESH_OPEN_BROWSER": "0",
            "PYTHONUNBUFFERED": "1",
            **self.environ,
        }
        if not self.home.exists():
            shutil.copytree(prepared_home(), self.home)
        self.lines = []
        self.process = subprocess.Popen(
            [self.python, "manage.py", "mesh_run"],
            cwd=self.root,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        until(
            lambda: self.address or self.process.poll() is not None,
            within=3 * PATIENCE,
            what="ready",
        )
        assert self.address, "\n".join(self.lines)
        self.port = int(re.search(r":(\d+)/", self.address)[1])
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout:
            self.lines.append(line.rstrip())

    @property
    def address(self) -> str:
        """The printed address that signs the owner in once."""
        for line in list(self.lines):
            if line.startswith("Mesh is ready: "):
                return line.removeprefix("Mesh is ready: ")
        return ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """A bearer token of the owner, from ``manage.py mesh_token``."""
        if not self._token:
            self._token = subprocess.run(
                [sys.executable, "manage.py", "mesh_token"],
                cwd=ROOT,
                env=os.environ | {"MESH_HOME": str(self.home)},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
        return self._token

    def session(self) -> str:
        """The owner's session cookie, as a browser gets it by the printed address; kept."""
        if not self._session:
            entered = httpx.get(self.address, trust_env=False, timeout=PATIENCE)
            self._session = entered.cookies["mesh_session"]
        return self._session

    def client(self) -> httpx.Client:
        """A program's client of the API."""
        return httpx.Client(
            base_url=f"{self.url}/api/home/decopilot",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=PATIENCE,
            trust_env=False,
        )

    def online(self) -> None:
        """Wait until the link of this machine is online."""

        def is_online() -> bool:
            answer = httpx.get(
                f"{self.url}/api/links/me",
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=PATIENCE,
                trust_env=False,
            )
            return answer.status_code == 200 and answer.json().get("status") == "online"

        until(is_online, what="link online")

    def facts(self) -> dict[str, Any]:
        """What ``run.json`` says: pid, port and the link's process; nothing before it is ready."""
        path = self.home / "run.json"
        return json.loads(path.read_text() or "{}") if path.exists() else {}

    def link(self) -> tuple[int, str]:
        """The link's process: its pid and start time."""
        facts = until(lambda: self.facts().get("link"), what="link started")
        return facts["pid"], facts["started"]

    def sandboxes(self) -> list[tuple[int, str]]:
        """The living sandbox processes."""
        found = []
        for path in (self.home / "sandboxes").glob("*/pid"):
            facts = json.loads(path.read_text())
            if processes.is_same(facts["pid"], facts["started"]):
                found.append((facts["pid"], facts["started"]))
        return found

    def kill_server(self) -> None:
        """End the server as a power cut would: no signal it could handle."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def interrupt(self) -> int:
        """Do what Ctrl-C does; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """End everything this Mesh started, whatever state it is in."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(PATIENCE)
        for pid, started in self._left_over():
            processes.end(pid, started, within=1)
        assert not found_in(self.home), f"a secret stands in {found_in(self.home)}"
        assert MARK not in "\n".join(self.lines), "a secret was printed"

    def _left_over(self) -> list[tuple[int, str]]:
        link = self.facts().get("link")
        return [*([(link["pid"], link["started"])] if link else []), *self.sandboxes()]


def say(
    client: httpx.Client, thread: str, text: str, *, key: str = "", **body: Any
) -> httpx.Response:
    """Post a user message to a thread."""
    message = {"role": "user", "parts": [{"type": "text", "text": text}]}
    if key:
        message["id"] = key
    return client.post(
        f"/threads/{thread}/messages",
        json={"messages": [message], "agent": {"id": "default"}, **body},
    )


def events(
    client: httpx.Client, thread: str, *, after: int | None = None, within: float = 60, **query: Any
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (seq, chunk) of a thread's stream until it ends or ``within`` seconds are over."""
    end = time.monotonic() + within
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with client.stream(
        "GET", f"/threads/{thread}/stream", headers=headers, params=query, timeout=within
    ) as answer:
        assert answer.status_code == 200, answer.read()
        seq = 0
        for line in answer.iter_lines():
            assert time.monotonic() < end, "the stream went on for too long"
            if line.startswith("id: "):
                seq = int(line[4:])
            elif line.startswith("data: ") and line != "data: [DONE]":
                yield seq, json.loads(line[6:])


def until_finish(stream: Iterator[tuple[int, dict[str, Any]]]) -> list[tuple[int, dict[str, Any]]]:
    """Return the events up to and with the first ``finish``."""
    seen = []
    for seq, chunk in stream:
        seen.append((seq, chunk))
        if chunk["type"] == "finish":
            return seen
    raise AssertionError(f"the stream ended without finish; last: {seen[-3:]}")


def text_of(seen: list[tuple[int, dict[str, Any]]]) -> str:
    """Return the text that a reader of these events sees."""
    return "".join(chunk["delta"] for _, chunk in seen if chunk["type"] == "text-delta")
