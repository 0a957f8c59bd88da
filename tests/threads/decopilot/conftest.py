"""Decopilot in this process: a model stand-in on loopback, and a sandbox that answers by script."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from agents.keys import services as keys
from agents.keys.services import NewKey
from mesh.lib.addresses import parse_allowed
from mesh.models import Membership
from sandboxes.providers.base import Place
from tests.harness.shapes import check_chunks
from tests.secrecy import MARK
from tests.standin.server import serving
from tests.threads.doubles import ScriptedSandbox
from threads import services as threads
from threads.core.fold import fold
from threads.decopilot.provider import DecopilotProvider
from threads.models import Attachment, Message, Run, Thread
from threads.services.attachments import part_of
from threads.serving.turn_input import harness_input

SECRET = f"sk-ant-{MARK}"


class AnsweringSandbox(ScriptedSandbox):
    """Answers its routes as ``replies`` say: a body (as JSON, or as
    its bytes), a status with a body, or an error."""

    def __init__(self, **replies):
        super().__init__()
        self.replies = {
            "bash": {"taskId": "task1", "status": "running"},
            "tasks/task1": {"status": "exited", "stdout": "hi\n", "stderr": "", "exitCode": 0},
            "tasks/task1/kill": {"ok": True},
            # It is of an older version, which knows no calls by their ids.
            "calls": (404, {"error": {"code": "not_found", "message": "There is no such route."}}),
            **replies,
        }
        self.asked = []
        self.was_asked = asyncio.Event()

    @property
    def started(self):
        """Return the commands that were started."""
        return [json["command"] for path, json in self.asked if path == "bash"]

    async def until_asked(self, path):
        while path not in [asked for asked, _ in self.asked]:
            self.was_asked.clear()
            await asyncio.wait_for(self.was_asked.wait(), 60)

    async def request(self, place, method, path, *, json=None, limit=None):
        self.asked.append((path, json))
        self.was_asked.set()
        reply = self.replies["calls" if path.startswith("calls/") else path]
        reply = reply.pop(0) if isinstance(reply, list) and len(reply) > 1 else reply
        reply = reply[0] if isinstance(reply, list) else reply
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, bytes):
            return httpx.Response(200, content=reply)
        status, body = reply if isinstance(reply, tuple) else (200, reply)
        return httpx.Response(status, json=body)


@pytest.fixture
async def standin(settings):
    settings.MESH_PRIVATE_HOSTS = parse_allowed("127.0.0.1")
    async with serving() as running:
        running.is_strict = True
        yield running


@pytest.fixture
def sandbox():
    return AnsweringSandbox()


@pytest.fixture
def provider(sandbox):
    return DecopilotProvider(lambda kind: sandbox)


def add_key(user, standin, *, secret=SECRET, provider="anthropic"):
    member = Membership.objects.get(user=user)
    base = standin.url if provider in ("anthropic", "google") else f"{standin.url}/v1"
    new = NewKey(provider=provider, base_url=base, secret=secret)
    key = keys.add_key(member=member, new=new)
    model = "acme/model-x" if provider == "openrouter" else "claude-x"
    for tier in ("fast", "smart", "thinking"):
        keys.set_default_model(member=member, tier=tier, key_id=key.pk, model_id=model)
    return key


def make_run(user, org, agent, text, *, thread=None, files=(), metadata=None, **fields):
    """Return a dispatched run of Decopilot for a message of ``user``."""
    if thread is None:
        thread = threads.create_thread(owner=user, organization=org, agent=agent)
        Thread.objects.filter(pk=thread.pk).update(
            harness_id="decopilot", sandbox_provider_kind="docker", branch="main"
        )
    message = thread.messages.create(
        role="user",
        client_id=f"m{thread.messages.count()}",
        seq=thread.messages.count() * 1000 + 1,
        parts=[{"type": "text", "text": text}, *files],
        metadata=metadata or {},
    )
    facts = {"position": message.seq, "fence": 1, "state": "dispatched", **fields}
    run = Run.objects.create(thread=thread, prompt=message, **facts)
    return Run.objects.select_related("prompt", "thread__agent", "thread__owner").get(pk=run.pk)


@pytest.fixture
def runs(transactional_db, ada, org, agent, standin):
    """Return ``runs(text, **fields)``: the input of a new run, whose key the stand-in takes."""
    add_key(ada, standin)

    def make(text, **fields):
        return harness_input(make_run(ada, org, agent, text, **fields))

    return make


async def started(make, *args, **fields):
    """Rows are made in a worker thread: the test's own runs the loop."""
    return await sync_to_async(make)(*args, **fields)


PLACE = Place(kind="docker", link_id=None, handle="main-0123456789abcdef")


class Reader:
    """Follows one run, and answers its questions with ``decision``."""

    def __init__(self, provider, given, *, fence=1, decision="", answers=None):
        self.provider, self.given, self.fence = provider, given, fence
        self.decision, self.answers = decision, answers
        self.bodies = []
        self.grown = asyncio.Event()

    async def follow(self):
        run = {"harness_id": "decopilot", "fence": self.fence, "input": self.given}
        async with self.provider.dispatch(PLACE, **run) as events:
            async for event in events:
                assert event.n == len(self.bodies) + 1
                self.bodies.append(event.body)
                self.grown.set()
                if self.decision and "approval" in event.body:
                    await self.answer(event.body["approval"]["approvalId"], self.decision)
        return self

    async def answer(self, approval_id, decision, reason=""):
        await self.provider.answer(
            PLACE,
            run_id=self.given["runId"],
            fence=self.fence,
            approval_id=approval_id,
            decision=decision,
            reason=reason,
            answers=self.answers,
        )

    async def until(self, kind):
        """Return when a chunk of that kind was published."""
        while kind not in [chunk["type"] for chunk in self.chunks]:
            self.grown.clear()
            await asyncio.wait_for(self.grown.wait(), 60)

    @property
    def chunks(self):
        return [body["chunk"] for body in self.bodies if "chunk" in body]

    def of(self, kind):
        return [chunk for chunk in self.chunks if chunk["type"] == kind]

    def chunks_until(self, kind):
        """Return the chunks up to the first of that kind."""
        types = [chunk["type"] for chunk in self.chunks]
        return self.chunks[: types.index(kind) + 1]

    @property
    def text(self):
        return "".join(chunk["delta"] for chunk in self.of("text-delta"))

    @property
    def error(self):
        return next((body for body in self.bodies if body["type"] == "error"), None)

    @property
    def written(self):
        return json.dumps(self.bodies)


@pytest.fixture
def ask(provider):
    """Return ``await ask(input, …)``: the run, followed to its end."""

    async def go(given, **how):
        return await Reader(provider, given, **how).follow()

    return go


class Chat:
    """One thread of Ada's, whose messages are asked one after the other and stored."""

    def __init__(self, ada, org, agent, ask):
        self.ada, self.org, self.agent, self.ask = ada, org, agent, ask
        self.thread = threads.create_thread(owner=ada, organization=org, agent=agent)
        Thread.objects.filter(pk=self.thread.pk).update(harness_id="decopilot", branch="main")

    def file(self, data, name="a.png", *, size=None):
        """Return the part of a file, stored as it is; without ``size`` as older versions did."""
        row = Attachment.objects.create(
            organization=self.org,
            owner=self.ada,
            thread=self.thread,
            name=name,
            media_type="image/png" if data.startswith(b"\x89PNG") else "image/jpeg",
            size=len(data),
            data=data,
            width=size and size[0],
            height=size and size[1],
        )
        return part_of(row)

    async def send(self, text, *files, **fields):
        run = await self.ask(await sync_to_async(self._input)(text, files, fields))
        check_chunks(run.chunks)
        await sync_to_async(self._store)(run)
        return run

    def _input(self, text, files, fields):
        run = make_run(
            self.ada, self.org, self.agent, text, thread=self.thread, files=files, **fields
        )
        return harness_input(run)

    def _store(self, read):
        run = Run.objects.select_related("prompt").get(pk=read.given["runId"])
        code = read.error["code"] if read.error else ""
        answer = Message.objects.create(
            pk=run.pk,
            thread=self.thread,
            role="assistant",
            client_id=str(run.pk),
            seq=run.prompt.seq + 1,
            parts=fold(read.chunks).parts(),
        )
        state = "failed" if code else "completed"
        Run.objects.filter(pk=run.pk).update(
            state=state, finished_at=timezone.now(), answer=answer, error_code=code
        )


@pytest.fixture(params=["anthropic", "openai", "openai-compatible", "google", "openrouter"])
def kind(request):
    """Each kind of provider; a test may choose with ``indirect``."""
    return request.param


@pytest.fixture
def chat(transactional_db, ada, org, agent, standin, ask, kind):
    """A ``Chat`` with a model of such a provider."""
    add_key(ada, standin, provider=kind)
    return Chat(ada, org, agent, ask)
