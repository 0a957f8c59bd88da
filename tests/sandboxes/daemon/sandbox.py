"""A real sandbox process, spoken to over its real socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from mesh import keys
from sandboxes.core.sse import SseReader
from sandboxes.providers.signature import sign_request
from tests.waiting import PATIENCE, until

ROOT_OF_THE_CODE = Path(__file__).parents[3]


def turn_input(run_id, *steps, thread="thread-1", model="plain:one", text=None, **changes):
    """Return the input of a run whose message is a list of the child's steps, or ``text``."""
    prompt = json.dumps(steps) if text is None else text
    return {
        "threadId": thread,
        "runId": run_id,
        "taskId": changes.get("threadId", thread),
        "messages": [{"id": "m", "role": "user", "parts": [{"type": "text", "text": prompt}]}],
        "models": {"credentialId": "c", "thinking": {"id": model, "title": "One"}},
        "mode": "default",
        "temperature": 0.5,
        "toolApprovalLevel": "auto",
        "user": {"id": "u", "email": "ada@mesh.example"},
        "organizationId": "o",
        "virtualMcp": {},
        "agent": {"id": "a"},
        **changes,
    }


SSH = Path(__file__).parent / "bin"  # of a program called ssh, which stays on this machine


class Server(httpx.Auth):
    """Signs what the tests ask, as the server does."""

    requires_request_body = True

    def __init__(self, handle):
        self.handle = handle

    def auth_flow(self, request):
        yield sign_request(request, handle=self.handle)


class Sandbox:
    """One sandbox folder and, while it runs, its process."""

    def __init__(self, root: Path, spec=None, env=None):
        self.root = root
        self.env = env or {}
        self.process = None
        self.client = None
        self.scope = ""  # in front of the ids of runs and threads, so that tests may share it
        self._log_start = 0
        root.mkdir(parents=True, exist_ok=True)
        spec = {"handle": "main-0123456789abcdef"} | (spec or {})
        self.handle = spec["handle"]
        (root / "spec.json").write_text(json.dumps(spec))

    def start(self):
        """Start the process; return when its pid file is there."""
        (self.root / "pid").unlink(missing_ok=True)
        path = self.env.get("PATH", os.environ["PATH"])
        with (self.root / "sandbox.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.sandboxes.daemon.sandbox_main", "--root", self.root],
                cwd=ROOT_OF_THE_CODE,
                env={**os.environ, **self.env} | {"PATH": f"{SSH}:{path}"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.process.stdin.write(json.dumps({"serverKey": keys.public_key()}).encode() + b"\n")
        self.process.stdin.close()
        until(self._is_up, what="the sandbox listens")
        self.connect()
        return self

    def connect(self):
        """Make a new client, for the loop of the test that asks."""
        self.client = httpx.AsyncClient(
            # Nothing is encrypted here, and to read all authorities takes longest.
            transport=httpx.AsyncHTTPTransport(uds=self.facts["socket"], verify=False),
            base_url="http://sandbox/_sandbox",
            auth=Server(self.handle),
            timeout=PATIENCE,
        )

    def _is_up(self):
        assert self.process.poll() is None, self.log
        return (self.root / "pid").exists()

    @property
    def facts(self):
        return json.loads((self.root / "pid").read_text())

    def share(self, scope):
        """Make it look like a fresh one to the next test."""
        if self.process.poll() is not None:
            self.start()
        self._log_start = 0
        self._log_start = len(self.log)
        self.scope = scope
        self.connect()
        return self

    @property
    def log(self):
        return (self.root / "sandbox.log").read_text()[self._log_start :]

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self):
        """End it in order; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.stop()

    # Requests

    async def get(self, path):
        return await self.client.get(path)

    async def post(self, path, body):
        return await self.client.post(path, json=body)

    async def cancel(self, run_id):
        return await self.client.delete(f"/runs/{self.scope}{run_id}")

    async def answer(self, run_id, *, fence=1, **body):
        body["fence"] = fence
        return await self.post(f"/runs/{self.scope}{run_id}/answers", body)

    def dispatch(
        self, run_id, *steps, harness="plain", fence=1, after=0, thread="thread-1", **changes
    ):
        """Open the stream of a run: ``async with sandbox.dispatch(…) as events``."""
        run_id, thread = self.scope + run_id, self.scope + thread
        body = {"harnessId": harness, "fence": fence}
        body["input"] = turn_input(run_id, *steps, thread=thread, **changes)
        return self._stream("POST", "/dispatch", after, body)

    def attach(self, run_id, *, fence=1, after=0):
        return self._stream("GET", f"/runs/{self.scope}{run_id}/events?fence={fence}", after)

    async def run(self, run_id, *steps, **options):
        """Return all events of a run, from its dispatch to its end."""
        async with self.dispatch(run_id, *steps, **options) as events:
            return [event async for event in events]

    async def replay(self, run_id, **options):
        async with self.attach(run_id, **options) as events:
            return [event async for event in events]

    @asynccontextmanager
    async def _stream(self, method, path, after, body=None):
        headers = {"last-event-id": str(after)} if after else {}
        async with self.client.stream(method, path, json=body, headers=headers) as reply:
            if reply.status_code != 200:
                raise Refused(reply.status_code, json.loads(await reply.aread())["error"])
            yield _events(reply)


class Refused(Exception):
    def __init__(self, status, error):
        super().__init__(status, error)
        self.status, self.code = status, error["code"]


async def _events(reply):
    reader = SseReader()
    async for piece in reply.aiter_raw():
        for event in reader.feed(piece):
            yield int(event.id), json.loads(event.data)


def text_of(events):
    """Return all text deltas of (n, body) pairs, joined."""
    return "".join(chunk.get("delta", "") for chunk in chunks_of(events))


def chunks_of(events):
    return [body["chunk"] for _, body in events if body["type"] == "ui-message-chunk"]


async def read_words(events, count):
    """Read until the text has that many words; deltas may have been joined."""
    seen = []
    while text_of(seen).count(" ") < count:
        seen.append(await anext(events))
    return seen


async def read_until(events, kind):
    """Read until a chunk or an event of that type."""
    seen = []
    while kind not in kinds_of(seen):
        seen.append(await anext(events))
    return seen


def kinds_of(events):
    """Return the types in order: a chunk's own for a chunk, the event's for the rest."""
    return [body.get("chunk", body)["type"] for _, body in events]


def numbers_of(events):
    return [n for n, _ in events]


def is_alive(pid):
    """Say whether the process exists and isn't just waiting to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
