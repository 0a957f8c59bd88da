"""The writer: what enters the journal, under which number, and what is refused."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.db import OperationalError

from mesh import database_pool
from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import DONE, a_turn, chunk
from threads import services
from threads.core.fold import fold
from threads.journal import committing
from threads.journal import writer as journal
from threads.journal.committing import Missing, Refused, Share, StaleFence
from threads.journal.writer import Writer
from threads.models import Approval, Event, Message, Run, Thread
from threads.run import unfinished_answer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest_asyncio.fixture
async def writer():
    writer = Writer()
    writer.start()
    yield writer
    writer.stop()
    database_pool.close()


@pytest_asyncio.fixture
async def run(say):
    """A run of Ada's on its way to her laptop, fence 1."""
    run = await sync_to_async(say)("hi")
    await sync_to_async(services.claim_run)(run_id=run.pk)
    return run


def events(*bodies, start=1):
    return [SandboxEvent(n, body) for n, body in enumerate(bodies, start)]


async def reread(run):
    return await Run.objects.select_related("thread", "answer").aget(pk=run.pk)


async def journal_of(run):
    rows = Event.objects.filter(thread=run.thread_id).order_by("seq")
    return [row async for row in rows.values("seq", "n", "run", "chunk")]


async def no_gap(run):
    seqs = [row["seq"] for row in await journal_of(run)]
    thread = await Thread.objects.aget(pk=run.thread_id)
    return seqs == list(range(1, thread.last_seq + 1))


async def test_events_get_the_threads_next_numbers(writer, run):
    queue = await writer.append(run.pk, 1, events(chunk("start"), chunk("start-step")))

    assert queue.committed == (await reread(run)).last_n == 2
    assert [row["n"] for row in await journal_of(run)][-2:] == [1, 2]
    assert await no_gap(run)


async def test_an_older_fence_is_refused(writer, run):
    await Run.objects.filter(pk=run.pk).aupdate(fence=2)
    before = await journal_of(run)

    with pytest.raises(StaleFence):
        await writer.append(run.pk, 1, events(chunk("start")))
    assert await journal_of(run) == before


async def test_a_run_that_is_gone_is_refused(writer, run):
    await Run.objects.filter(pk=run.pk).adelete()

    with pytest.raises(Refused):
        await writer.append(run.pk, 1, events(chunk("start")))


async def test_repeats_are_dropped(writer, run):
    turn = events(*a_turn("a", "b")[:4])
    await writer.append(run.pk, 1, turn)
    before = await journal_of(run)

    await writer.append(run.pk, 1, turn)
    await writer.append(run.pk, 1, turn[1:3])

    assert await journal_of(run) == before


async def test_a_missing_number_is_refused_and_nothing_of_its_batch_kept(writer, run):
    await writer.append(run.pk, 1, events(chunk("start")))

    with pytest.raises(Missing):
        await writer.append(run.pk, 1, events(chunk("start-step"), start=3))
    assert (await reread(run)).last_n == 1
    assert await no_gap(run)


async def test_deltas_that_piled_up_are_joined(writer, run, monkeypatch):
    taken = []
    commit = committing.commit

    def count(shares):
        taken.append([len(share.events) for share in shares])
        return commit(shares)

    monkeypatch.setattr(journal, "commit", count)
    words = [chunk("text-delta", id="t", delta=f"{n} ") for n in range(100)]
    await writer.append(run.pk, 1, events(chunk("text-start", id="t"), *words))

    rows = [row for row in await journal_of(run) if row["n"]]
    assert sum(map(sum, taken)) == 101
    assert len(rows) <= 1 + len(taken)
    assert rows[-1]["n"] == (await reread(run)).last_n == 101
    assert await no_gap(run)


async def test_a_turn_ends_with_its_answer_stored(writer, run):
    metadata = {"codingAgentSessionId": "s1", "usage": {"totalTokens": 9}}
    await writer.append(run.pk, 1, events(*a_turn("Hel", "lo", messageMetadata=metadata)))

    done = await reread(run)
    last = (await journal_of(run))[-1]
    assert (done.state, done.thread.session_ref) == ("completed", "s1")
    assert done.usage == {"usage": {"totalTokens": 9}}
    assert done.answer.seq == last["seq"]
    assert '"finish"' in last["chunk"]


async def test_the_end_becomes_visible_immediately(writer, run):
    """Who reads the finish also finds the answer: neither is there before ``done``."""
    turn = events(*a_turn("a"))
    queue = writer.queue(run_id=run.pk, fence=1)
    for event in turn[:-1]:
        queue.put(event)
    await queue.settled(turn[-3].n)
    assert not any('"finish"' in row["chunk"] for row in await journal_of(run))

    queue.put(turn[-1])
    await queue.settled(turn[-1].n)

    assert any('"finish"' in row["chunk"] for row in await journal_of(run))
    assert queue.is_over


async def test_events_after_the_end_are_counted_and_dropped(writer, run):
    await sync_to_async(services.finish_run)(run_id=run.pk, state="cancelled")
    before = await journal_of(run)

    queue = await writer.append(run.pk, 1, events(chunk("start"), chunk("start-step")))

    assert (queue.committed, queue.is_over) == (2, True)
    assert await journal_of(run) == before


async def test_one_runs_bad_events_harm_no_other_run(writer, run, say, thread, ada, org, agent):
    other_thread = await sync_to_async(services.create_thread)(
        owner=ada, organization=org, agent=agent
    )
    other = await sync_to_async(say)("hi", to=other_thread)
    await sync_to_async(services.claim_run)(run_id=other.pk)
    bad = SandboxEvent(1, {"type": "ui-message-chunk", "chunk": {"type": "x", "y": {1, 2}}})

    results = await asyncio.gather(
        writer.append(run.pk, 1, [bad]),
        writer.append(other.pk, 1, events(chunk("start"))),
        return_exceptions=True,
    )

    assert isinstance(results[0], Refused)
    assert (await reread(other)).last_n == 1


async def test_a_database_that_goes_beside_a_bad_event_is_waited_for(writer, run, monkeypatch):
    """The good share of a commit that fails is tried alone, and alone as often as it takes."""
    commit, faults = committing.commit, [OperationalError("gone"), ValueError("bad")]

    def fail(shares):
        if faults:
            raise faults.pop()
        return commit(shares)

    monkeypatch.setattr(journal, "commit", fail)
    shares = [Share(run.pk, 1, events(chunk("start"))), Share(uuid4(), 1, events(chunk("start")))]
    outcomes = await asyncio.to_thread(writer._commit_until_it_holds, shares)

    assert [type(outcome.error) for outcome in outcomes] == [type(None), Refused]
    assert (await reread(run)).last_n == 1


async def test_a_bug_costs_an_attempt_and_not_the_writer(writer, run, monkeypatch):
    serve, bugs = writer._serve, [ZeroDivisionError()]

    def fail_once(queues):
        if bugs:
            raise bugs.pop()
        serve(queues)

    monkeypatch.setattr(writer, "_serve", fail_once)
    with pytest.raises(Missing):  # on which a follower reads again
        await writer.append(run.pk, 1, events(chunk("start")))

    await writer.append(run.pk, 1, events(chunk("start")))
    assert (await reread(run)).last_n == 1


async def test_a_database_that_is_away_is_waited_for(writer, run, monkeypatch):
    """A crash in the middle of a commit leaves nothing; the next try brings all of it."""
    insert, calls = committing.rows.insert, []

    def fail_twice(numbered, **given):
        calls.append(1)
        written = insert(numbered, **given)
        if len(calls) <= 2:
            raise OperationalError("the connection was lost")
        return written

    monkeypatch.setattr(committing.rows, "insert", fail_twice)
    await writer.append(run.pk, 1, events(chunk("start"), chunk("start-step")))

    assert (len(calls), (await reread(run)).last_n) == (3, 2)
    assert await no_gap(run)


async def test_a_full_queue_makes_its_reader_wait(writer, run, monkeypatch):
    monkeypatch.setattr(journal, "CAPACITY", 3)
    queue = writer.queue(run_id=run.pk, fence=1)
    for event in events(*[chunk("start-step")] * 50):
        queue.put(event)
        await queue.room()
        assert len(queue.waiting) <= 3
    await queue.settled(50)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a\x00b", id="NUL"),
        pytest.param("a\ud800b", id="half a surrogate pair"),
    ],
)
async def test_what_no_database_takes_is_replaced(writer, run, text):
    turn = a_turn(text, messageMetadata={"codingAgentSessionId": text})
    await writer.append(run.pk, 1, events(*turn))

    done = await reread(run)
    assert done.answer.parts[0]["text"] == "a\ufffdb"
    assert done.thread.session_ref == "a\ufffdb"


@pytest.mark.parametrize("facts", [{}, {"approval": None}, {"approval": {"input": None}}])
async def test_a_question_without_its_facts_is_asked_all_the_same(writer, run, facts):
    asked = chunk("tool-approval-request", approvalId="a1", toolCallId="c")

    await writer.append(run.pk, 1, events({**asked, **facts}))

    assert (await reread(run)).state == "waiting"
    assert (await Approval.objects.aget(run=run.pk)).input == {}


async def test_long_events_make_their_reader_wait_too(writer, run, monkeypatch):
    monkeypatch.setattr(journal, "CAPACITY_SIZE", 100)
    queue = writer.queue(run_id=run.pk, fence=1)
    for event in events(*[chunk("start-step")] * 50):
        queue.put(event, size=60)
        await queue.room()
        assert len(queue.waiting) <= 1
    await queue.settled(50)


async def test_a_long_finish_does_not_keep_its_done_from_coming(writer, run, monkeypatch):
    monkeypatch.setattr(journal, "CAPACITY_SIZE", 100)
    queue = writer.queue(run_id=run.pk, fence=1)
    for event in events(*a_turn("a")):
        queue.put(event, size=1_000)
        async with asyncio.timeout(60):
            await queue.room()
    await queue.settled(event.n)

    assert queue.is_over


def nested(levels):
    value = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(float("inf"), id="a number without end"),
        pytest.param(float("nan"), id="no number"),
        pytest.param(nested(600), id="lists in lists"),
    ],
)
async def test_a_run_ends_whatever_its_tools_return(writer, run, odd):
    """Python reads them as JSON and writes them back; databases and browsers do not."""
    given = {"toolCallId": "c", "dynamic": True}
    turn = [
        chunk("tool-input-available", toolName="Bash", input={"a": odd}, **given),
        chunk("tool-output-available", output=odd, **given),
        chunk("finish", messageMetadata={"costUsd": odd}),
        DONE,
    ]
    await writer.append(run.pk, 1, events(*turn))

    done = await reread(run)
    assert (done.state, done.answer.parts[0]["state"]) == ("completed", "output-available")
    assert not any(
        "NaN" in row["chunk"] or "Infin" in row["chunk"] for row in await journal_of(run)
    )


async def test_services_and_writer_share_one_numbering(writer, run, thread):
    async def rename():
        for n in range(20):
            await sync_to_async(services.rename_thread)(thread=thread, title=f"t{n}")

    queue = writer.queue(run_id=run.pk, fence=1)

    async def produce():
        for event in events(*[chunk("start-step")] * 200):
            queue.put(event)
            await asyncio.sleep(0)
        await queue.settled(200)

    await asyncio.gather(rename(), produce())

    assert await no_gap(run)


async def test_the_answer_is_the_fold_of_the_journal(writer, run):
    await writer.append(run.pk, 1, events(*a_turn(*["a", "long", "answer"])))

    rows = Event.objects.filter(run=run.pk).order_by("seq")
    folded = fold([json.loads(row.chunk) async for row in rows])
    answer = await Message.objects.aget(pk=run.pk)
    assert answer.parts == folded.parts()


async def test_what_the_agent_left_open_is_closed(writer, run):
    tool = chunk("tool-input-available", toolCallId="c", toolName="Bash", input={}, dynamic=True)
    await writer.append(run.pk, 1, events(chunk("text-start", id="t"), tool, DONE))

    done = await reread(run)
    assert (done.state, done.error_code) == ("failed", "stream_truncated")
    assert [part["state"] for part in done.answer.parts] == ["done", "output-error"]


async def test_of_an_answer_that_is_too_large_the_beginning_is_kept(writer, run, monkeypatch):
    monkeypatch.setattr(unfinished_answer, "ANSWER_LIMIT", 2_000)
    words = [chunk("text-delta", id=f"t{n}", delta=str(n) * 400) for n in range(8)]

    await writer.append(run.pk, 1, events(chunk("start"), *words, chunk("finish"), DONE))

    done = await reread(run)
    assert (done.state, done.error_code) == ("failed", "answer_too_large")
    kept = "".join(part["text"][0] for part in done.answer.parts)
    assert 0 < len(kept) < 8
    assert "01234567".startswith(kept)
    assert done.answer.metadata["error"]["hint"]
    kinds = [json.loads(row["chunk"])["type"] for row in await journal_of(run)]
    assert kinds.count("text-delta") == 8  # its readers have seen it all
    assert kinds[-3:] == ["error", "data-run-status", "finish"]


class TooMuch(Exception):
    """As the driver says it: PostgreSQL's program_limit_exceeded."""

    sqlstate = "54000"


@pytest.mark.parametrize("cause", [TooMuch(), None], ids=["over a limit", "a bug of ours"])
async def test_an_answer_that_can_never_be_stored_ends_bare(writer, run, monkeypatch, cause):
    def refuse(folded):
        if not folded._parts:
            return []
        raise (OperationalError("total size exceeds the maximum") if cause else KeyError) from cause

    monkeypatch.setattr("threads.core.fold.Fold.parts", refuse)
    with pytest.raises(Refused):
        await writer.append(run.pk, 1, events(*a_turn("Hello")))
    await writer.append(run.pk, 1, events(*a_turn("Hello"))[:3])

    # What its follower does then:
    await sync_to_async(services.finish_run)(run_id=run.pk, state="failed", code="internal_error")

    done = await reread(run)
    assert (done.state, done.error_code, done.answer.parts) == ("failed", "internal_error", [])


async def test_a_run_that_hinders_all_is_found_while_the_database_answers(
    writer, say, run, monkeypatch
):
    """Such as a trigger or a timeout that meets this one run, again and again."""
    commit = committing.commit

    def hindered(shares):
        if any(share.run_id == run.pk for share in shares):
            raise OperationalError("canceling statement due to statement timeout")
        return commit(shares)

    monkeypatch.setattr(journal, "TRIES", 2)
    monkeypatch.setattr(journal, "commit", hindered)

    with pytest.raises(Refused):
        await writer.append(run.pk, 1, events(*a_turn("a")))
