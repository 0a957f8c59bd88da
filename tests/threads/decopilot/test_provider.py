"""Decopilot behind a sandbox's interface: which attempt is joined, refused, ended or unknown."""

from __future__ import annotations

import asyncio

import pytest

from sandboxes.providers.base import DispatchRefused, UnknownRun
from tests.threads.decopilot.conftest import PLACE, Reader, started

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_run_stopped_before_its_start_does_not_start(runs, provider, standin):
    given = await started(runs, "hello")
    await provider.cancel(PLACE, run_id=given["runId"])

    with pytest.raises(DispatchRefused) as refused:
        await Reader(provider, given).follow()
    assert refused.value.code == "tombstoned"
    assert standin.requests == []


async def test_the_same_dispatch_joins_the_run_and_an_older_one_is_refused(runs, provider):
    given = await started(runs, "hello")
    first = await Reader(provider, given, fence=2).follow()
    again = await Reader(provider, given, fence=2).follow()

    assert again.bodies == first.bodies
    with pytest.raises(DispatchRefused):
        await Reader(provider, given, fence=1).follow()


async def test_another_process_does_not_know_the_run(runs, provider):
    given = await started(runs, "hello")
    with pytest.raises(UnknownRun):
        async with provider.attach(PLACE, run_id=given["runId"], fence=1, after=0):
            pass


async def test_attaching_joins_the_same_attempt_and_no_other(runs, provider):
    given = await started(runs, "hello")
    first = await Reader(provider, given, fence=2).follow()

    async with provider.attach(PLACE, run_id=given["runId"], fence=2, after=0) as events:
        assert [event.body async for event in events] == first.bodies
    with pytest.raises(DispatchRefused):
        async with provider.attach(PLACE, run_id=given["runId"], fence=1, after=0):
            pass
    with pytest.raises(UnknownRun):
        async with provider.attach(PLACE, run_id=given["runId"], fence=3, after=0):
            pass


async def test_acknowledged_events_are_gone_and_others_are_not(runs, provider):
    given = await started(runs, "hello")
    first = await Reader(provider, given).follow()
    await provider.ack(PLACE, run_id=given["runId"], fence=9, n=2)  # another attempt's
    await provider.ack(PLACE, run_id=given["runId"], fence=1, n=2)

    async with provider.attach(PLACE, run_id=given["runId"], fence=1, after=2) as events:
        assert [event.body async for event in events] == first.bodies[2:]
    async with provider.attach(PLACE, run_id=given["runId"], fence=1, after=1) as events:
        with pytest.raises(DispatchRefused, match="acknowledged"):
            await anext(events)


async def test_an_attempt_that_was_taken_over_ends_and_a_newer_one_does_not(runs, provider):
    given = await started(runs, "stall now")
    run = Reader(provider, given, fence=2)
    following = asyncio.create_task(run.follow())
    await run.until("text-delta")

    await provider.release(PLACE, run_id=given["runId"], fence=1)
    assert not following.done()
    await provider.release(PLACE, run_id=given["runId"], fence=2)
    await asyncio.wait_for(following, 60)

    assert run.of("abort")


async def test_an_answer_to_an_unknown_run_or_question_is_refused(runs, provider):
    given = await started(runs, "hello")
    with pytest.raises(UnknownRun):
        await Reader(provider, given).answer("a-1", "allow")

    run = await Reader(provider, given).follow()
    with pytest.raises(DispatchRefused) as refused:
        await run.answer("a-1", "allow")
    assert refused.value.code == "unknown_approval"
