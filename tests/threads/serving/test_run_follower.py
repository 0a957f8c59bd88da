"""One run on its machine, without a dispatcher beside it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection
from django.utils import timezone

from mesh import database_pool
from tests.threads.doubles import (
    CuttingSandbox,
    ForgetfulSandbox,
    LostProcess,
    OfflineSandbox,
    RefusingSandbox,
    ScriptedSandbox,
    StaleSandbox,
    a_turn,
    chunk,
)
from tests.waiting import auntil
from threads.core.fold import Fold
from threads.journal.writer import Writer
from threads.models import Run
from threads.serving.run_follower import RunFollower

pytestmark = pytest.mark.django_db(transaction=True)


@pytest_asyncio.fixture
async def follower_of():
    """Return ``follower_of(run, sandbox)``, of the process "A"."""
    writer = Writer()
    writer.start()

    def make(run, sandbox, *, started=None):
        started = {} if started is None else started
        return RunFollower(run.pk, provider=sandbox, writer=writer, node="A", started=started)

    yield make
    await asyncio.to_thread(writer.stop)
    database_pool.close()


@pytest.fixture
def post(say, link):
    return sync_to_async(say)


@pytest.fixture
def post_served(say, served):
    """Post a message whose run is of the server executor."""
    return sync_to_async(say)


async def row(run):
    return await Run.objects.select_related("thread").aget(pk=run.pk)


async def test_a_claimed_run_is_read_to_its_end_and_acknowledged(follower_of, post):
    run, sandbox = await post(), ScriptedSandbox(*a_turn("a", "b"))
    follower = follower_of(run, sandbox)

    assert await follower.begin("claim")
    assert await follower.follow(is_fresh=True) is None

    assert (await row(run)).state == "completed"
    assert sandbox.runs[str(run.pk)].acked == len(a_turn("a", "b"))


async def test_a_run_is_claimed_by_one_follower(follower_of, post):
    run = await post()

    first, second = (follower_of(run, ScriptedSandbox()) for _ in range(2))

    assert [await first.begin("claim"), await second.begin("claim")] == [True, False]


async def test_a_lease_that_holds_is_not_taken_over(follower_of, post_served):
    run = await post_served()
    follower = follower_of(run, LostProcess())
    assert await follower.begin("claim")

    assert not await follower.begin("take over")

    await Run.objects.filter(pk=run.pk).aupdate(leased_until=None)
    assert await follower.begin("take over")


async def test_a_stream_that_breaks_again_and_again_is_read_by_one_follower(follower_of, post):
    run, sandbox = await post(), CuttingSandbox(*a_turn("a", "b", "c"))
    follower = follower_of(run, sandbox)
    await follower.begin("claim")

    assert await follower.follow(is_fresh=True) is None

    assert (await row(run)).state == "completed"
    assert (sandbox.cuts > 1, sandbox.starts) == (True, [str(run.pk)])


async def test_a_machine_that_is_away_before_the_run_was_sent_leaves_it_queued(follower_of, post):
    run = await post()
    follower = follower_of(run, OfflineSandbox())
    await follower.begin("claim")

    assert await follower.follow(is_fresh=True) is None

    assert (await row(run)).state == "queued"


async def test_a_machine_that_is_away_in_the_middle_has_the_run_rest(follower_of, post):
    run, sandbox = await post(), OfflineSandbox()
    follower = follower_of(run, sandbox)
    await follower.begin("claim")
    since = timezone.now() - timedelta(minutes=1)
    await Run.objects.filter(pk=run.pk).aupdate(resting_since=since)

    wait = await follower.follow()

    now = await row(run)
    assert wait > 1
    assert (now.state, now.resting_since, now.resting_code) == ("dispatched", since, "link_offline")


@pytest.mark.parametrize(
    ("sandbox", "code"),
    [
        pytest.param(RefusingSandbox(), "not_signed_in", id="the sandbox refuses it"),
        pytest.param(StaleSandbox(), "stale_fence", id="it knows an attempt that no row knows"),
        pytest.param(
            ForgetfulSandbox(*a_turn("a", "b")), "stream_truncated", id="it has lost its journal"
        ),
    ],
)
async def test_what_no_other_try_can_heal_ends_with_a_code(follower_of, post, sandbox, code):
    run = await post()
    follower = follower_of(run, sandbox)
    await follower.begin("claim")

    assert await follower.follow(is_fresh=True) is None

    now = await row(run)
    assert (now.state, now.error_code) == ("failed", code)


async def test_a_run_that_was_stopped_before_it_was_sent_is_never_sent(follower_of, post):
    run, sandbox = await post(), ScriptedSandbox(*a_turn("a"))
    follower = follower_of(run, sandbox)
    await follower.begin("claim")
    await Run.objects.filter(pk=run.pk).aupdate(cancelled_at=timezone.now())

    assert await follower.follow(is_fresh=True) is None

    assert ((await row(run)).state, sandbox.starts) == ("cancelled", [])


async def test_an_attempt_that_started_in_no_process_is_replaced_by_the_next(
    follower_of, post_served
):
    """A restart of the process: the row says "dispatched", and no loop runs."""
    run, sandbox = await post_served(), LostProcess(*a_turn("a"))
    started = {}
    await follower_of(run, sandbox).begin("claim")

    assert await follower_of(run, sandbox, started=started).follow() is None

    now = await row(run)
    assert (now.state, now.fence, started) == ("completed", 2, {run.pk: 2})


async def test_a_follower_that_loses_its_run_ends_the_agent(follower_of, post_served):
    run, sandbox = await post_served(), LostProcess(chunk("start"))
    follower = follower_of(run, sandbox)
    await follower.begin("claim")
    following = asyncio.create_task(follower.follow(is_fresh=True))
    await auntil(lambda: sandbox.starts == [str(run.pk)])

    follower.lose()

    assert await following is None
    assert sandbox.let_gone == [(str(run.pk), 1)]


class CutLoop(LostProcess, CuttingSandbox):
    """A loop in the server whose stream breaks after every second event."""


async def test_a_follower_that_loses_its_run_between_two_streams_ends_the_agent_too(
    follower_of, post_served, monkeypatch
):
    rests, rest = asyncio.Event(), RunFollower._rest

    async def note(self, *args):
        try:
            return await rest(self, *args)
        finally:
            rests.set()

    monkeypatch.setattr(RunFollower, "_rest", note)
    run, sandbox = await post_served(), CutLoop(*a_turn("a", "b")[:4])
    follower = follower_of(run, sandbox)
    await follower.begin("claim")
    following = asyncio.create_task(follower.follow(is_fresh=True))
    await rests.wait()

    follower.lose()

    assert await following is None
    assert sandbox.let_gone == [(str(run.pk), 1)]


async def test_losing_a_run_whose_last_event_has_come_changes_nothing(follower_of, post_served):
    run, sandbox = await post_served(), LostProcess(*a_turn("a"))
    follower = follower_of(run, sandbox)
    await follower.begin("claim")
    await follower.follow(is_fresh=True)

    follower.lose()

    assert not asyncio.current_task().cancelling()
    assert sandbox.let_gone == []


# Long answers


@pytest.fixture
def folded_inside(monkeypatch):
    """The types of the chunks that are folded in a transaction."""
    types, apply = [], Fold.apply

    def note(self, chunk):
        if connection.in_atomic_block:
            types.append(chunk["type"])
        apply(self, chunk)

    monkeypatch.setattr(Fold, "apply", note)
    return types


async def test_a_long_answer_is_folded_before_its_end_is_committed(
    follower_of, post, folded_inside, monkeypatch
):
    monkeypatch.setattr("threads.serving.attempt_reader.LONG_ANSWER", 100)
    words = [f"word {n} " for n in range(200)]
    run, sandbox = await post(), ScriptedSandbox(*a_turn(*words))
    follower = follower_of(run, sandbox)
    await follower.begin("claim")

    assert await follower.follow(is_fresh=True) is None

    ended = await Run.objects.select_related("answer").aget(pk=run.pk)
    assert (ended.state, ended.answer.parts[0]["text"]) == ("completed", "".join(words))
    assert folded_inside == ["data-run-status", "finish"]


async def test_an_answer_that_can_not_be_folded_before_is_folded_with_its_end(
    follower_of, post, monkeypatch
):
    def fail(run_id):
        raise OperationalError("The database is away.")

    monkeypatch.setattr("threads.serving.attempt_reader.LONG_ANSWER", 1)
    monkeypatch.setattr("threads.serving.attempt_reader.fold_ahead", fail)
    run = await post()
    follower = follower_of(run, ScriptedSandbox(*a_turn("a", "b")))
    await follower.begin("claim")

    assert await follower.follow(is_fresh=True) is None

    ended = await Run.objects.select_related("answer").aget(pk=run.pk)
    assert (ended.state, ended.answer.parts[0]["text"]) == ("completed", "ab")
