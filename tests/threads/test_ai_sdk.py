"""The transport of ``docs/ai-sdk.md`` and the real npm ``ai``: a lost attempt's text goes.

The bytes are those of our stream; a server of the standard library gives them out again, because
an attempt that is lost while its reader stays takes two processes.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django.urls import reverse

from mesh import database_pool
from mesh.develop import ROOT, TOOLS
from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import a_turn, chunk
from tests.waiting import PATIENCE
from threads import services
from threads.journal import committing
from threads.journal.committing import Share
from threads.models import Run

pytestmark = [
    pytest.mark.real_cli,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not (TOOLS / "node_modules" / "ai").is_dir() or shutil.which("node") is None,
        reason="the AI SDK is not there: make test installs it",
    ),
]
ENTRIES = {"6": "ai", "7": "ai7"}
TAKEN_BACK = {"6": b"data-run-restarted", "7": b"reset-step"}
SCRIPT = Path(__file__).with_name("ai_sdk_chat.mjs")
CODE = re.search(r"```js\n(import .*?)```", (ROOT / "docs/ai-sdk.md").read_text(), re.DOTALL)[1]
TOOL = {"toolCallId": "c", "toolName": "bash", "dynamic": True}
# Left open in the middle, with a part of each kind that a later one might be written into.
LOST = [
    chunk("start-step"),
    chunk("data-todos", id="todos", data={"todos": [1]}),
    chunk("text-start", id="t"),
    chunk("text-delta", id="t", delta="so f"),
    chunk("tool-input-start", **TOOL),
    chunk("tool-input-delta", toolCallId="c", inputTextDelta='{"comm'),
]
FRESH = [
    chunk("data-todos", id="todos", data={"todos": [2]}),
    chunk("tool-input-available", **TOOL, input={"command": "ls"}),
    chunk("tool-output-available", toolCallId="c", output="a b"),
]


def commit(run, fence, bodies):
    events = [SandboxEvent(n, body) for n, body in enumerate(bodies, 1)]
    committing.commit([Share(run.pk, fence, events)])


@pytest.fixture(params=[pytest.param("6", id="ai 6"), pytest.param("7", id="ai 7")])
def sdk(request):
    """The version of the AI SDK."""
    return request.param


@pytest.fixture
async def streams(say, served, ada, sdk):
    """A run whose first attempt is lost: itself, what its reader was sent, and what one who
    comes later is."""
    run = await sync_to_async(say)("hi")
    await sync_to_async(services.claim_run)(run_id=run.pk, node="A")
    start = chunk("start", messageId=str(run.pk))
    await sync_to_async(commit)(run, 1, [start, *LOST])
    client = AsyncClient()
    await client.aforce_login(ada)

    async def read(then=None):
        url = reverse("stream", args=["home", served.pk])
        answer = await client.get(url, {"run": str(run.pk), "sdk": sdk})
        read = b""
        async with asyncio.timeout(60):
            async for piece in answer.streaming_content:
                read += piece
                if then and b'{\\"comm' in read:
                    await then()
                    then = None
        return read

    async def lose():
        await sync_to_async(services.restart_run)(run_id=run.pk, fence=1, node="A")
        await sync_to_async(commit)(run, 2, [start, *FRESH, *a_turn("so far")[1:]])

    yield run, await read(lose), await read()
    database_pool.close()


class Replay(ThreadingHTTPServer):
    """Takes the message, and gives ``live`` to the first reader, up to the restart: it goes on
    when the other has come, who gets ``late``."""

    def __init__(self, run, live, late, sdk):
        super().__init__(("127.0.0.1", 0), Handler)
        self.run, self.late, self.reads = run, late, 0
        at = live.index(b"\n\n", live.index(TAKEN_BACK[sdk])) + 2
        self.live = live[:at], live[at:]
        self.has_come = threading.Event()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer("application/json", json.dumps({"runId": str(self.server.run)}).encode())

    def do_GET(self):
        self.server.reads += 1
        if self.server.reads > 1:
            self.server.has_come.set()
            return self.answer("text/event-stream", self.server.late)
        self.answer("text/event-stream", self.server.live[0])
        self.server.has_come.wait(PATIENCE)
        return self.wfile.write(self.server.live[1])

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *given):
        pass


def chat(server, sdk):
    """What a chat has after its one message, by the real SDK."""
    entry = TOOLS / "node_modules" / ENTRIES[sdk] / "dist/index.js"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    done = subprocess.run(
        ["node", SCRIPT, entry, sdk, f"http://127.0.0.1:{server.server_port}", "thread", CODE],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    server.shutdown()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_the_sdk_drops_what_a_lost_attempt_has_said(streams, sdk):
    run, live, late = streams
    assert b"so f" in live
    assert b'"so f"' not in late

    with Replay(run.pk, live, late, sdk) as server:
        if sdk == "7":  # it reads on, and takes back what it has
            server.has_come.set()
        read = await asyncio.to_thread(chat, server, sdk)

    assert (read["status"], server.reads) == ("ready", 2 if sdk == "6" else 1)
    assert [message["role"] for message in read["messages"]] == ["user", "assistant"]
    answer = read["messages"][-1]
    kept = (await Run.objects.select_related("answer").aget(pk=run.pk)).answer
    assert answer["id"] == str(run.pk)
    assert kept.parts[0]["type"] == "data-run-restarted"
    if sdk == "7":  # the boundary of the step that it took back stays where it was
        assert without_boundaries(answer["parts"]) == without_boundaries(kept.parts[1:])
    else:
        assert answer["parts"] == kept.parts[1:]


def without_boundaries(parts):
    return [part for part in parts if part["type"] != "step-start"]


# A question that its agent takes back: the call is told once more, and then ends as it may.

QUESTION = {"approvalId": "r:1", "toolCallId": "c"}
CALL = {**TOOL, "input": {"command": "ls"}}
ASKED = [
    chunk("start-step"),
    chunk("tool-input-available", **CALL),
    {
        **chunk("tool-approval-request", **QUESTION),
        "approval": {**QUESTION, "tool": "bash", "input": CALL["input"]},
    },
]
WITHDRAWN = [
    {"type": "approval-withdrawn", "approvalId": "r:1"},
    chunk("tool-input-available", **CALL, providerMetadata={"mesh": {"withdrawn": True}}),
]
ENDS = {
    "it ran all the same": chunk("tool-output-available", toolCallId="c", output="a", dynamic=True),
    "it was not run": chunk(
        "tool-output-error", toolCallId="c", errorText="Not run.", dynamic=True
    ),
}


class Once(Replay):
    """Gives one stream."""

    def __init__(self, run, whole):
        ThreadingHTTPServer.__init__(self, ("127.0.0.1", 0), Handler)
        self.run, self.live, self.reads = run, (whole, b""), 0
        self.has_come = threading.Event()
        self.has_come.set()


@pytest.mark.parametrize("end", ENDS)
async def test_the_sdk_closes_a_question_that_the_agent_takes_back(say, served, ada, sdk, end):
    bodies = [*ASKED, *WITHDRAWN, ENDS[end], *a_turn("so far")[1:]]
    run, whole = await answered(say, served, ada, sdk, bodies)
    # As long as nothing else is told of the call, nobody is asked any more.
    at = whole.index(b"\n\n", whole.rindex(b'"tool-input-available"')) + 2
    with Once(run.pk, whole[:at]) as server:
        read = await asyncio.to_thread(chat, server, sdk)
    call = the_call(read)
    assert (call["state"], call["input"]) == ("input-available", {"command": "ls"})
    assert call["callProviderMetadata"] == {"mesh": {"withdrawn": True}}

    with Once(run.pk, whole) as server:
        read = await asyncio.to_thread(chat, server, sdk)
    kept = (await Run.objects.select_related("answer").aget(pk=run.pk)).answer
    assert read["status"] == "ready"
    assert read["messages"][-1]["parts"] == kept.parts
    assert the_call(read)["state"].startswith("output-")
    (told,) = [part["data"] for part in kept.parts if part["type"] == "data-approval"]
    assert (told["state"], told["decision"]) == ("withdrawn", "")


async def test_a_question_that_is_asked_again_stands_again(say, served, ada, sdk):
    again = {**QUESTION, "approvalId": "r:2"}
    bodies = [
        *ASKED,
        *WITHDRAWN,
        chunk("tool-input-available", **CALL, providerMetadata={"mesh": {"withdrawn": False}}),
        {**chunk("tool-approval-request", **again), "approval": {**ASKED[-1]["approval"], **again}},
        {"type": "approval-applied", "approvalId": "r:2", "decision": "deny"},
        chunk("tool-output-denied", toolCallId="c"),
        *a_turn("so far")[1:],
    ]
    run, whole = await answered(say, served, ada, sdk, bodies)

    at = whole.index(b"\n\n", whole.rindex(b'"tool-approval-request"')) + 2
    with Once(run.pk, whole[:at]) as server:
        read = await asyncio.to_thread(chat, server, sdk)
    call = the_call(read)
    assert (call["state"], call["approval"]["id"]) == ("approval-requested", "r:2")
    assert call["callProviderMetadata"] == {"mesh": {"withdrawn": False}}


async def answered(say, served, ada, sdk, bodies):
    """Return a run of which the machine tells ``bodies``, and its stream."""
    run = await sync_to_async(say)("hi")
    await sync_to_async(services.claim_run)(run_id=run.pk, node="A")
    start = chunk("start", messageId=str(run.pk))
    await sync_to_async(commit)(run, 1, [start, *bodies])
    client = AsyncClient()
    await client.aforce_login(ada)
    url = reverse("stream", args=["home", served.pk])
    answer = await client.get(url, {"run": str(run.pk), "sdk": sdk})
    whole = b"".join([piece async for piece in answer.streaming_content])
    database_pool.close()
    return run, whole


def the_call(read):
    (call,) = [part for part in read["messages"][-1]["parts"] if part["type"] == "dynamic-tool"]
    return call
