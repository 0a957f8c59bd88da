"""The server executor: any process may serve a run, one has it, and a lost one is replaced."""

from __future__ import annotations

from datetime import timedelta

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.db import transaction
from django.utils import timezone

from mesh import database_pool
from sandboxes.core.resolve import Target
from tests.stuck import stuck
from tests.threads.doubles import DONE, LostProcess, ScriptedSandbox, a_turn, chunk
from tests.threads.looking import LookingDispatcher
from tests.waiting import auntil
from threads import selectors, services
from threads.core.executors import ALL, LINK, SERVER, executor_of
from threads.journal.writer import Writer
from threads.models import Approval, Run, Thread
from threads.services import attempts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest_asyncio.fixture
async def process():
    """Return ``process(name, agents)``: one that executes server runs until the test ends."""
    writer = Writer()
    writer.start()
    started = []

    async def start(name, agents, *, executors=(SERVER,), renew_every=0.05):
        dispatcher = LookingDispatcher(
            provider_for=lambda kind, harness: agents,
            writer=writer,
            node=name,
            executors=executors,
            links=lambda: (),
            look_every=0.05,
            renew_every=renew_every,
        )
        await dispatcher.start()
        started.append(dispatcher)
        return dispatcher

    yield start
    for dispatcher in started:
        await dispatcher.stop()
    writer.stop()
    database_pool.close()


@pytest.fixture
def post(say, served):
    return sync_to_async(say)


async def row(run):
    return await Run.objects.select_related("answer").aget(pk=run.pk)


async def in_state(run, state):
    async def is_there():
        return (await row(run)).state == state

    await auntil(is_there, what=state)
    return await row(run)


async def lapse(run):
    """As if the holder had not renewed for long."""
    await Run.objects.filter(pk=run.pk).aupdate(leased_until=timezone.now() - timedelta(seconds=1))


def text_of(run):
    return "".join(part["text"] for part in run.answer.parts if part["type"] == "text")


@pytest.mark.parametrize(
    ("target", "executor"),
    [
        (Target("remote-cli", "desktop"), LINK),
        (Target("local", "desktop"), SERVER),
        (Target("local", "default"), SERVER),
    ],
)
def test_the_executor_follows_from_the_target(target, executor):
    assert executor_of(target) == executor


async def test_a_run_keeps_its_executor(post):
    run = await post()

    assert (run.executor, run.thread.link_id) == ("server", None)


async def test_a_run_of_a_laptop_is_of_the_link_executor(say):
    assert (await sync_to_async(say)()).executor == "link"


async def test_of_two_processes_one_has_the_run(process, post):
    """Two that look at the same moment, twenty times over."""
    agents = {name: LostProcess(*a_turn("a")) for name in "AB"}
    for name, own in agents.items():
        await process(name, own)

    runs = []
    for _ in range(20):
        runs.append(await in_state(await post(), "completed"))

    assert all(run.fence == 1 for run in runs)
    begun = agents["A"].starts + agents["B"].starts
    assert sorted(begun) == sorted(str(run.pk) for run in runs)


async def test_a_process_of_the_link_executor_leaves_it_alone(process, post):
    agents = LostProcess(*a_turn("a"))
    dispatcher = await process("A", agents, executors=(LINK,))
    run = await post()
    await dispatcher.looked()

    assert ((await row(run)).state, agents.starts) == ("queued", [])


async def test_a_lease_is_renewed_while_the_run_is_followed(process, post):
    await process("A", LostProcess(*a_turn("a")[:3]))
    run = await in_state(await post(), "running")
    first = run.leased_until

    async def is_later():
        return (await row(run)).leased_until > first

    await auntil(is_later, what="a later lease")
    other = LostProcess()
    await (await process("B", other)).looked()
    assert ((await row(run)).node, other.starts) == ("A", [])


async def test_a_lease_is_renewed_while_readers_writers_and_folding_are_stuck(process, post):
    await process("A", LostProcess(*a_turn("a")[:3]))
    run = await in_state(await post(), "running")

    async def is_later():
        return (await row(run)).leased_until > since

    async with stuck(database_pool.reads, database_pool.writes, database_pool.heavy):
        since = (await row(run)).leased_until
        await auntil(is_later, what="a later lease")


async def test_a_lost_process_is_replaced_and_nothing_is_read_twice(process, post, served, chunks):
    lost = await process("A", LostProcess(*a_turn("so f", "ar")[:4]), renew_every=3600)
    run = await in_state(await post(), "running")
    fresh = LostProcess(*a_turn("so far, ", "so good"))
    await lapse(run)
    await process("B", fresh)

    done = await in_state(run, "completed")

    assert (done.fence, done.node, text_of(done)) == (2, "B", "so far, so good")
    page = await sync_to_async(selectors.page_of)(served)
    assert page["messages"][-1]["parts"] == done.answer.parts
    kinds = [one["type"] for one in await sync_to_async(chunks)(served)]
    assert kinds.count("data-run-restarted") == 1
    assert kinds[-1] == "finish"
    await lost.stop()


async def test_a_process_that_wakes_late_is_refused_and_ends_its_attempt(process, post):
    """The stale fence: what a lost process still says does not get into the journal."""
    asleep = LostProcess(*a_turn("old")[:3])
    await process("A", asleep, renew_every=3600)
    run = await in_state(await post(), "running")
    await lapse(run)
    await process("B", LostProcess(*a_turn("new")))
    await in_state(run, "completed")

    asleep.runs[str(run.pk)].say(chunk("text-delta", id="t", delta=" news"), DONE)

    await auntil(lambda: asleep.let_gone == [(str(run.pk), 1)], what="let go")
    assert text_of(await row(run)) == "new"


async def test_a_process_that_can_not_renew_its_leases_releases_them(process, post):
    asleep = LostProcess(*a_turn("old")[:3])
    dispatcher = await process("A", asleep, renew_every=3600)
    run = await in_state(await post(), "running")
    await Run.objects.filter(pk=run.pk).aupdate(node="B")

    await dispatcher._renew()

    await auntil(lambda: asleep.let_gone == [(str(run.pk), 1)], what="let go")


@pytest.fixture
def stopped_while_asleep(process, post, served):
    """Return ``stopped(agents)``: a process that slept while its run was stopped, and the run.

    Its lease had lapsed, so the run ended, and the stop was delivered to another process.
    """

    async def stopped(agents):
        dispatcher = await process("A", agents, renew_every=3600)
        run = await in_state(await post(), "running")
        await sync_to_async(stop_elsewhere)(run)
        assert ((await row(run)).state, agents.cancelled) == ("cancelled", [])
        return dispatcher, run

    @transaction.atomic  # or the process that sleeps would find the stop, and deliver it
    def stop_elsewhere(run):
        Run.objects.filter(pk=run.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
        services.cancel(thread=served)
        services.mark_stop_delivered(run_id=run.pk)

    return stopped


async def test_a_process_that_slept_through_a_stop_ends_its_silent_loop(stopped_while_asleep):
    asleep = LostProcess(*a_turn("old")[:3])
    dispatcher, run = await stopped_while_asleep(asleep)

    await dispatcher._renew()

    await auntil(lambda: asleep.let_gone == [(str(run.pk), 1)], what="let go")


async def test_a_process_that_slept_through_a_stop_ends_its_loop_at_the_next_word(
    stopped_while_asleep,
):
    asleep = LostProcess(*a_turn("old")[:3])
    _, run = await stopped_while_asleep(asleep)

    asleep.runs[str(run.pk)].say(chunk("text-delta", id="t", delta=" news"))

    await auntil(lambda: asleep.let_gone == [(str(run.pk), 1)], what="let go")


async def test_a_container_that_knows_the_attempt_continues_it(process, post):
    """Who takes over joins under the same fence: the prompt is sent once."""
    container = ScriptedSandbox(*a_turn("a", "b")[:3])
    first = await process("A", container, renew_every=3600)
    run = await in_state(await post(), "running")
    await first.stop()  # lets others take over now
    await process("B", container)
    container.runs[str(run.pk)].say(*a_turn("a", "b")[3:])

    done = await in_state(run, "completed")

    assert (done.fence, done.node, text_of(done)) == (1, "B", "ab")
    assert container.starts == [str(run.pk)]


async def test_a_run_that_costs_every_process_its_life_ends(process, post, monkeypatch):
    run = await post()
    for fence, name in enumerate("ABC", 1):
        dispatcher = await process(name, LostProcess(*a_turn("x")[:3]))

        async def is_at_work(fence=fence):
            now = await row(run)
            return (now.fence, now.state) == (fence, "running")

        await auntil(is_at_work, what=f"{name} at work")
        await dispatcher.stop()
    await process("D", LostProcess())

    done = await in_state(run, "failed")

    assert (done.error_code, done.fence) == ("owner_lost", attempts.ATTEMPTS)
    assert done.answer.metadata["error"]["hint"]


async def test_a_stop_whose_process_is_lost_ends_the_run_immediately(process, post, served):
    first = await process("A", LostProcess(*a_turn("x")[:3]))
    run = await in_state(await post(), "running")
    await first.stop()

    stopped = await sync_to_async(services.cancel)(thread=served)

    assert (await row(run)).state == "cancelled"
    assert not stopped.is_over
    after = await post("and now?")
    await process("B", LostProcess(*a_turn("yes")))
    assert text_of(await in_state(after, "completed")) == "yes"


async def test_a_stop_reaches_the_process_that_has_the_run(process, post, served):
    agents = LostProcess(*a_turn("x")[:3])
    await process("A", agents)
    await process("B", other := LostProcess(*a_turn("x")[:3]))
    run = await in_state(await post(), "running")
    holder = {"A": agents, "B": other}[(await row(run)).node]

    await sync_to_async(services.cancel)(thread=served)

    await auntil(lambda: holder.cancelled == [str(run.pk)], what="told")
    await in_state(run, "cancelled")


async def test_a_question_of_a_lost_attempt_is_gone_with_it(process, post, served, ada):
    ask = (
        chunk("start"),
        chunk("tool-input-available", toolCallId="c", toolName="Bash", input={}, dynamic=True),
        chunk("tool-approval-request", approvalId="a1", toolCallId="c"),
    )
    first = await process("A", LostProcess(*ask))
    run = await in_state(await post(), "waiting")
    await first.stop()
    await process("B", again := LostProcess(*ask))
    await auntil(lambda: again.starts == [str(run.pk)])
    await in_state(run, "waiting")

    asked = await Approval.objects.aget()
    await sync_to_async(services.answer_approval)(
        thread=served, approval_id="a1", answer=services.Answer(decision="allow"), by=ada
    )

    assert not asked.decision
    told = again.runs[str(run.pk)]
    await auntil(lambda: told.answers == [("a1", "allow", "")], what="the answer")


async def test_a_loop_in_the_server_waits_for_the_machine_of_its_tools(process, post, served, link):
    """Decopilot with a desktop: the executor is the server's, the files are the laptop's."""
    run = await post()
    here = {"sandbox_provider_kind": "remote-user", "link": link}
    await Thread.objects.filter(pk=served.pk).aupdate(**here)
    link.offline_after = None
    await link.asave()
    dispatcher = await process("A", agents := LostProcess(*a_turn("a")), executors=ALL)
    await dispatcher.looked()
    assert ((await row(run)).state, agents.starts) == ("queued", [])

    link.offline_after = timezone.now() + timedelta(minutes=5)
    await link.asave()

    assert (await in_state(run, "completed")).fence == 1


async def test_a_process_takes_no_more_than_it_has_room_for(
    process, post, served, ada, org, agent, monkeypatch
):
    monkeypatch.setattr("threads.serving.dispatcher.CAPACITY", 1)
    agents = LostProcess()
    first = await post()
    other = await services_thread(ada, org, agent)
    second = await post(to=other)
    dispatcher = await process("A", agents)
    await auntil(lambda: agents.starts == [str(first.pk)], what="the first")
    await dispatcher.looked()
    assert (await row(second)).state == "queued"

    agents.runs[str(first.pk)].say(*a_turn("a"))

    await auntil(lambda: str(second.pk) in agents.starts, what="the second")


async def services_thread(ada, org, agent):
    thread = await sync_to_async(services.create_thread)(owner=ada, organization=org, agent=agent)
    thread.sandbox_provider_kind, thread.harness_id, thread.branch = "docker", "demo", "x"
    await thread.asave()
    return thread
