"""The name of a thread comes beside the answer: late, once, and retried after a failure."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async

from tests.harness.shapes import check_chunks
from tests.threads.decopilot.conftest import PLACE, Reader, make_run
from tests.threads.decopilot.test_loop import started
from tests.waiting import auntil
from threads.decopilot import engine, naming
from threads.models import Event, Run, Thread
from threads.serving.orders import harness_input

pytestmark = pytest.mark.django_db(transaction=True)
SAID = "say: A better name"


@pytest.fixture
def unnamed(runs):
    """Return ``await unnamed(text)``: the input of the first run of a thread named after it."""

    async def make(text=SAID, **fields):
        given = await started(runs, text, **fields)
        given["currentThreadTitle"] = text
        await sync_to_async(Thread.objects.update)(title=text)
        return given

    return make


@pytest.fixture
def slow(monkeypatch):
    """Block names until the event is set; return the event."""
    gate = asyncio.Event()
    title = engine.Engine.title

    async def wait(self, text):
        name = await title(self, text)
        await gate.wait()
        return name

    monkeypatch.setattr(engine.Engine, "title", wait)
    return gate


async def named():
    await auntil(lambda: not naming._tasks)
    return await sync_to_async(Thread.objects.values_list("title", flat=True).get)()


async def test_a_thread_is_named_by_the_fast_model_and_its_readers_are_notified(unnamed, ask):
    await ask(await unnamed())

    assert await named() == "A better name"
    last = await sync_to_async(Event.objects.order_by("-seq").first)()
    assert '"data-thread-title"' in last.chunk


async def test_the_answer_does_not_wait_for_the_name(unnamed, ask, slow):
    run = await ask(await unnamed())

    check_chunks(run.chunks)
    assert run.chunks[-1]["type"] == "finish"
    assert naming._tasks
    slow.set()
    assert await named() == "A better name"


async def test_what_a_name_has_cost_is_kept_with_the_run(unnamed, ask):
    given = await unnamed()
    await ask(given)
    await named()
    run = await sync_to_async(Run.objects.get)(pk=given["runId"])

    assert run.usage["naming"]["usage"]["totalTokens"] > 0


async def test_a_name_that_a_person_gave_meanwhile_stays(unnamed, ask, slow):
    await ask(await unnamed())
    await sync_to_async(Thread.objects.update)(title="Mine")
    slow.set()

    assert await named() == "Mine"


@pytest.mark.parametrize(("messages", "is_named"), [(2, True), (3, True), (4, False)])
async def test_a_failed_naming_is_retried_by_the_next_messages(
    unnamed, ask, ada, org, agent, monkeypatch, messages, is_named
):
    given = await unnamed()

    def go_on():
        thread = Thread.objects.get(pk=given["threadId"])
        for n in range(messages - 1):
            thread.runs.update(state="completed", finished_at=thread.created_at)
            run = make_run(ada, org, agent, f"say: {n}", thread=thread)
        return harness_input(run)

    later = await sync_to_async(go_on)()
    later["currentThreadTitle"] = SAID
    await ask(later)

    assert await named() == ("A better name" if is_named else SAID)


async def test_a_stopped_run_no_longer_asks_for_a_name(unnamed, provider, slow):
    given = await unnamed("stall now")
    run = Reader(provider, given)
    following = asyncio.create_task(run.follow())
    await run.until("text-delta")
    await provider.cancel(PLACE, run_id=given["runId"])
    await asyncio.wait_for(following, 60)

    assert await named() == "stall now"


async def test_a_name_is_sought_while_a_tool_asks(unnamed, ask):
    """The model that names the thread is asked the same words, and has no tools."""
    run = await ask(await unnamed("bash: echo hi", approval_level="readonly"), decision="allow")

    check_chunks(run.chunks)
    assert "The tool said: hi" in run.text
    assert await named() == "bash: echo hi"  # what a tool says is no name
