"""The stream for programs: numbers, resume, ends, and refusals before it begins."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
import pytest_asyncio
from allauth.idp.oidc.models import Token
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.test import AsyncClient
from django.urls import reverse
from django.utils import timezone

from mesh import connection_checks, database_pool
from mesh.credentials import Credential
from mesh.models import Membership
from mesh.readers import impatient
from mesh.services import make_token
from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import a_turn
from tests.waiting import auntil
from threads import services
from threads.journal import committing
from threads.journal.committing import Share
from threads.models import Approval, Run
from threads.reading import notifications
from threads.reading import stream as streams

pytestmark = pytest.mark.django_db(transaction=True)


def viewer(user):
    return streams.Viewer(user, Credential(user.pk))


@pytest_asyncio.fixture
async def listen(thread, ada):
    """Return ``listen(until, …)``: the stream's frames up to the first that holds ``until``."""
    token = await sync_to_async(make_token)(user=ada)
    client = AsyncClient()

    async def read(until, *, headers=(), **query):
        answer = await client.get(
            reverse("stream", args=["home", thread.pk]),
            query,
            headers={"Authorization": f"Bearer {token}", **dict(headers)},
        )
        assert answer.status_code == 200, answer.content
        frames, stream = [], answer.streaming_content
        async with asyncio.timeout(60):
            async for piece in stream:
                frames += [frame for frame in piece.decode().split("\n\n") if frame]
                if any(until in frame for frame in frames):
                    break
        await stream.aclose()
        return frames, answer

    yield read
    database_pool.close()


@pytest.fixture
def answered(say):
    """Return ``answered(text, …)``: a run of Ada's that was answered with the words given."""

    def make(text="hi", words=("Hel", "lo"), events=None):
        run = say(text)
        services.claim_run(run_id=run.pk)
        turn = [SandboxEvent(n, body) for n, body in enumerate(events or a_turn(*words), 1)]
        committing.commit([Share(run.pk, 1, turn)])
        return run

    return sync_to_async(make)


def chunks_of(frames):
    pairs = [frame.split("\n") for frame in frames if frame.startswith("id: ")]
    return [(int(a[4:]), json.loads(b[6:])) for a, b in pairs]


async def test_a_running_thread_is_sent_from_its_runs_start(listen, say):
    run = await sync_to_async(say)("hi")

    frames, answer = await listen("data-run-status")

    assert frames[0] == ": welcome"
    assert [n for n, _ in chunks_of(frames)] == [1, 2, 3]
    assert chunks_of(frames)[1][1]["data"]["runId"] == str(run.pk)
    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "text/event-stream"


@pytest.mark.parametrize(
    ("lose", "code"),
    [
        pytest.param(Membership.objects.all().delete, "not_found", id="left"),
        pytest.param(Token.objects.all().delete, "unauthorized", id="revoked"),
    ],
)
async def test_a_reader_who_loses_access_is_told_and_disconnected(
    listen, say, lose, code, monkeypatch
):
    monkeypatch.setattr(connection_checks, "LOOK_EVERY", 0.05)
    await sync_to_async(say)("hi")
    follow = streams.follow

    async def losing(*given):
        async for rows in follow(*given):
            yield rows
            await sync_to_async(lose)()

    monkeypatch.setattr(streams, "follow", losing)
    frames, _ = await listen('"type": "error"')

    assert json.loads(frames[-1].removeprefix("data: "))["code"] == code
    assert len(chunks_of(frames)) == 3


async def test_a_post_is_refused_in_the_one_form(thread, ada):
    browser = AsyncClient(enforce_csrf_checks=True)
    await browser.aforce_login(ada)
    answer = await browser.post(reverse("stream", args=["home", thread.pk]))

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "stale_page")


async def test_a_run_that_has_just_ended_is_sent_too(listen, answered):
    await answered()
    frames, _ = await listen('"type":"finish"')

    text = "".join(c["delta"] for _, c in chunks_of(frames) if c["type"] == "text-delta")
    assert text == "Hello"


async def test_an_older_run_is_left_alone(listen, answered, thread):
    await answered()
    ago = timezone.now() - timedelta(minutes=1)
    await Run.objects.aupdate(finished_at=ago)

    frames, _ = await listen("welcome")

    assert chunks_of(frames) == []


@pytest.mark.parametrize("how", ["header", "query"])
async def test_resumes_behind_the_last_number(listen, answered, how):
    await answered()
    given = {"headers": {"Last-Event-ID": "5"}} if how == "header" else {"after": "5"}

    frames, _ = await listen('"type":"finish"', **given)

    assert chunks_of(frames)[0][0] == 6


async def test_one_run_ends_with_done(listen, answered):
    first = await answered("one")
    await answered("two", words=("bye",))

    frames, _ = await listen("[DONE]", run=str(first.pk))

    assert frames[-1] == "data: [DONE]"
    assert chunks_of(frames)[-1][1]["type"] == "finish"
    assert "bye" not in "".join(frames)


@pytest.fixture
async def begun_anew(served, say):
    """A run whose first attempt has said "old" and was lost, and whose second one "new"."""

    def make():
        run = say("hi")
        services.claim_run(run_id=run.pk, node="A")
        for fence, bodies in ((1, a_turn("old")[:3]), (2, a_turn("new"))):
            turn = [SandboxEvent(n, body) for n, body in enumerate(bodies, 1)]
            committing.commit([Share(run.pk, fence, turn)])
            services.restart_run(run_id=run.pk, fence=fence, node="A")
        return run

    return await sync_to_async(make)()


async def test_one_run_is_read_from_behind_its_lost_attempts(listen, begun_anew):
    """For the AI SDK, which can't take text back; its message begins at once."""
    frames, _ = await listen("[DONE]", run=str(begun_anew.pk))

    kinds = [chunk["type"] for _, chunk in chunks_of(frames)]
    assert kinds[0] == "start"
    assert "old" not in "".join(frames)
    assert "new" in "".join(frames)


async def test_a_reader_with_a_cursor_learns_that_the_attempt_was_lost(listen, begun_anew):
    frames, _ = await listen("[DONE]", run=str(begun_anew.pk), after="2")

    kinds = [chunk["type"] for _, chunk in chunks_of(frames)]
    assert kinds.count("data-run-restarted") == 1
    assert "old" in "".join(frames)


async def test_a_run_that_was_read_to_its_end_is_done_immediately(listen, answered, thread):
    run = await answered()
    await thread.arefresh_from_db()

    frames, _ = await listen("[DONE]", run=str(run.pk), after=str(thread.last_seq))

    assert frames == [": welcome", "data: [DONE]"]


async def test_a_reader_ahead_of_the_journal_continues_at_its_end(listen, say, thread):
    await sync_to_async(say)("hi")
    frames, _ = await listen("welcome", after="99999")

    assert chunks_of(frames) == []


async def test_what_comes_later_is_sent_as_it_comes(listen, say, thread):
    reading = asyncio.ensure_future(listen("Later", after="0"))
    await sync_to_async(say)("hi")
    await sync_to_async(services.rename_thread)(thread=thread, title="Later")

    frames, _ = await reading
    assert [n for n, _ in chunks_of(frames)] == [1, 2, 3, 4]


async def test_a_silent_stream_shows_that_it_is_alive(thread, monkeypatch):
    monkeypatch.setattr(streams, "PING_EVERY", 0)
    follow = streams.follow
    monkeypatch.setattr(streams, "follow", lambda *a: follow(*a, look_every=0.01))
    stream = streams.events(streams.Reading(thread.pk, 0, viewer(thread.owner)))

    assert await anext(stream) == b": welcome\n\n"
    assert await anext(stream) == b": ping\n\n"
    await stream.aclose()
    database_pool.close()


async def test_silence_is_broken_every_fifteen_seconds(thread, monkeypatch):
    """On a clock of the test's own: each look lasts five of its seconds."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(streams, "time", clock)

    async def silence(*given):
        for _ in range(9):
            clock.now += 5
            yield []

    monkeypatch.setattr(streams, "follow", silence)
    reading = streams.Reading(thread.pk, 0, viewer(thread.owner))

    assert [piece async for piece in streams.events(reading)] == [
        b": welcome\n\n",
        *[b": ping\n\n"] * 3,
    ]
    database_pool.close()


async def test_a_reader_that_takes_nothing_is_disconnected_and_reconnects(listen, say, thread, ada):
    run = await sync_to_async(say)("hi")
    token = await sync_to_async(make_token)(user=ada)
    request, stuck = [{"type": "http.request", "body": b""}], asyncio.Event()

    async def receive():
        return request.pop() if request else await stuck.wait()

    async def send(message):
        if b"id: 3" in message.get("body", b""):
            await stuck.wait()  # the connection's buffer is full, and stays so

    scope = {
        **{"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http"},
        **{"path": reverse("stream", args=["home", thread.pk]), "query_string": b"after=0"},
        "headers": [(b"host", b"testserver"), (b"authorization", f"Bearer {token}".encode())],
    }
    async with asyncio.timeout(60):
        await impatient(get_asgi_application(), within=0.05)(scope, receive, send)
    await auntil(
        lambda: notifications.of_thread(thread.pk) not in notifications._subscribers,
        what="nobody listens",
    )

    await sync_to_async(services.finish_run)(run_id=run.pk, state="cancelled")
    frames, _ = await listen('"type":"finish"', after="3")
    assert chunks_of(frames)[0][0] == 4


async def test_a_question_that_was_sent_is_stamped_as_shown(thread, answered):
    ask = {
        "type": "ui-message-chunk",
        "chunk": {"type": "tool-approval-request", "approvalId": "a", "toolCallId": "c"},
        "approval": {"tool": "Bash", "input": {}},
    }
    await answered(events=[ask])
    assert (await Approval.objects.aget()).shown_at is None
    stream = streams.events(streams.Reading(thread.pk, 0, viewer(thread.owner)))
    assert b"welcome" in await anext(stream)
    assert b"tool-approval-request" in await anext(stream)
    reading = asyncio.ensure_future(anext(stream))

    async def is_shown():
        return (await Approval.objects.aget()).shown_at

    await auntil(is_shown)
    reading.cancel()
    database_pool.close()


@pytest.mark.parametrize(
    "run", [pytest.param("current", id="none is active"), pytest.param(str(uuid4()), id="unknown")]
)
async def test_where_there_is_nothing_to_resume_the_sdk_gets_its_204(thread, ada, run):
    client = AsyncClient()
    await client.aforce_login(ada)

    answer = await client.get(reverse("stream", args=["home", thread.pk]), {"run": run})

    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("who", "query", "status", "code"),
    [
        pytest.param(None, {}, 401, "unauthorized", id="nobody"),
        pytest.param("wrong", {}, 401, "unauthorized", id="a wrong token"),
        pytest.param("eve", {}, 404, "not_found", id="a stranger"),
        pytest.param("ada", {"after": "x"}, 400, "bad_cursor", id="no number"),
        pytest.param("ada", {"after": "-1"}, 400, "bad_cursor", id="below zero"),
        pytest.param("ada", {"after": "9" * 40}, 400, "bad_cursor", id="beyond all numbers"),
        pytest.param("ada", {"run": "x"}, 400, "bad_run_id", id="no id"),
        pytest.param("ada", {"sdk": "5"}, 400, "bad_sdk_version", id="another SDK"),
    ],
)
async def test_refusals_come_before_the_stream(request, thread, ada, eve, who, query, status, code):
    headers = {}
    if who == "wrong":
        headers["Authorization"] = "Bearer mesh_wrong"
    elif who:
        token = await sync_to_async(make_token)(user={"ada": ada, "eve": eve}[who])
        headers["Authorization"] = f"Bearer {token}"
    url = reverse("stream", args=["home", thread.pk])

    answer = await AsyncClient().get(url, query, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["hint"]
    database_pool.close()


async def test_a_session_is_as_good_as_a_token(thread, ada):
    client = AsyncClient()
    await client.aforce_login(ada)

    answer = await client.get(reverse("stream", args=["home", thread.pk]))

    assert answer.status_code == 200
    await answer.streaming_content.aclose()
    database_pool.close()
