"""Sandboxes that are watched while agents work there in the background."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.utils import timezone

from tests.threads.doubles import DONE, BackgroundSandbox, a_turn, chunk
from tests.waiting import auntil
from threads import services
from threads.core.background import LINGER
from threads.models import Approval, BackgroundWork, Message, Run

pytestmark = pytest.mark.django_db(transaction=True)

TASK = {"id": "b1", "title": "npm test", "kind": "command", "startedAt": 5.0}
LEAVES_A_TASK = (chunk("start"), {"type": "background", "tasks": [TASK]}, chunk("finish"), DONE)


@pytest_asyncio.fixture
async def working(serve, say, thread):
    """A sandbox whose agent has answered Ada, and works in the background."""
    sandbox = BackgroundSandbox(*LEAVES_A_TASK)
    sandbox.tell(thread, TASK)
    run = await sync_to_async(say)("go")
    await serve(sandbox)
    await ended(run.pk)
    await auntil(lambda: sandbox.watched, what="it is watched")
    return sandbox


async def ended(run_id):
    async def is_over():
        found = await Run.objects.filter(pk=run_id).select_related("answer").afirst()
        return found if found is not None and found.finished_at else None

    return await auntil(is_over, what="the run has ended")


async def is_forgotten():
    return not await BackgroundWork.objects.aexists()


def text_of(run):
    return "".join(part["text"] for part in run.answer.parts if part["type"] == "text")


async def test_nothing_is_watched_where_nothing_runs(serve, say):
    sandbox = BackgroundSandbox(*a_turn("Hello"))
    run = await sync_to_async(say)("hi")
    dispatcher = await serve(sandbox)
    await ended(run.pk)
    await dispatcher.looked()

    assert sandbox.watched == 0


async def test_a_turn_that_a_program_begins_by_itself_is_answered(working, thread):
    run_id = uuid4()
    working.begin(thread, run_id, *a_turn("It", " passed."))

    run = await ended(run_id)

    assert (run.state, text_of(run)) == ("completed", "It passed.")
    assert str(run_id) not in working.starts  # it was followed, never sent
    await auntil(lambda: not working.state[str(thread.pk)]["runs"], what="it is acknowledged")


async def test_its_question_is_answered_by_a_person(working, thread, ada):
    run_id = uuid4()
    await BackgroundWork.objects.aupdate(executor="link")
    await Run.objects.aupdate(approval_level="readonly")
    question = {**chunk("tool-approval-request", approvalId="a1", toolCallId="c")}
    question["approval"] = {"approvalId": "a1", "toolCallId": "c", "tool": "Bash", "input": {}}
    working.begin(thread, run_id, chunk("start"), question)
    await auntil(Approval.objects.filter(run=run_id).aexists, what="it asks")

    allow = services.Answer(decision="allow")
    give = partial(services.answer_approval, thread=thread, approval_id="a1", by=ada, answer=allow)
    await sync_to_async(give)()

    told = working.runs[str(run_id)]
    await auntil(lambda: told.answers == [("a1", "allow", "")], what="the agent has the answer")


async def test_a_turn_is_taken_when_the_active_run_has_ended(working, thread, say):
    working.script = (chunk("start"),)
    active = await sync_to_async(say)("more")
    await auntil(lambda: str(active.pk) in working.runs, what="it is active")
    run_id = uuid4()
    working.begin(thread, run_id, *a_turn("Later"))
    working.runs[str(active.pk)].say(chunk("finish"), DONE)

    run = await ended(run_id)

    assert (text_of(run), run.position > active.position) == ("Later", True)


async def test_several_turns_are_taken_one_after_the_other(working, thread):
    first, second = uuid4(), uuid4()
    for run_id in (first, second):
        working.begin(thread, run_id, *a_turn(str(run_id)))
    facts = {"fence": 1, "reason": "", "doneN": 0}
    working.tell(thread, runs=[{"runId": str(each), **facts} for each in (first, second)])

    assert text_of(await ended(second)) == str(second)
    assert text_of(await ended(first)) == str(first)


async def test_two_processes_take_a_turn_once(working, thread, serve):
    await serve(working, node="B")
    await auntil(lambda: working.watched == 2, what="both watch")
    run_id = uuid4()
    working.begin(thread, run_id, *a_turn("Once"))

    assert text_of(await ended(run_id)) == "Once"
    assert await Message.objects.filter(role="system").acount() == 1


async def test_a_feed_that_breaks_is_opened_again(working, thread):
    working.break_feed()
    await auntil(lambda: working.watched == 2, what="it is watched again")
    run_id = uuid4()
    working.begin(thread, run_id, *a_turn("Still"))

    assert text_of(await ended(run_id)) == "Still"


async def test_a_machine_that_was_away_tells_it_later(working, thread, link):
    working.is_away = True
    working.changed.set()
    run_id = uuid4()
    working.begin(thread, run_id, *a_turn("Back"))
    working.is_away = False

    assert text_of(await ended(run_id)) == "Back"


async def test_a_sandbox_that_died_is_started_once_for_what_it_has(working, thread):
    run_id = uuid4()
    working.is_down = True
    before = working.ensured
    working.begin(thread, run_id, chunk("start"), {"type": "error", "code": "sandbox_died"}, DONE)

    assert (await ended(run_id)).error_code == "sandbox_died"
    assert working.ensured > before


async def test_a_sandbox_that_was_removed_is_not_made_again(working):
    working.is_down = working.is_removed = True
    before = working.ensured
    working.changed.set()

    await auntil(BackgroundWork.objects.filter(tasks=[]).aexists, what="nothing runs")
    assert working.ensured == before


async def test_a_stop_is_delivered(working, thread):
    await sync_to_async(services.cancel)(thread=thread)

    await auntil(lambda: working.stopped == [(str(thread.pk), "b1")], what="it is stopped")


async def test_a_deleted_thread_ends_its_work(working, thread):
    await sync_to_async(services.delete_thread)(thread=thread)
    await auntil(lambda: working.ended == [str(thread.pk)], what="it is ended")
    working.tell(thread)

    await auntil(is_forgotten, what="it is forgotten")


async def test_a_sandbox_that_stays_quiet_is_watched_no_longer(working, thread):
    working.tell(thread)
    await auntil(BackgroundWork.objects.filter(tasks=[]).aexists, what="it is quiet")
    await BackgroundWork.objects.aupdate(quiet_since=timezone.now() - LINGER)
    working.tell(thread, runs=[{}])

    await auntil(is_forgotten, what="it is forgotten")


async def test_an_older_state_from_the_journal_gives_way(working, thread):
    working.tell(thread)
    await auntil(BackgroundWork.objects.filter(tasks=[]).aexists, what="it is quiet")

    await BackgroundWork.objects.aupdate(tasks=[TASK])  # as a reader that lags behind does

    await auntil(BackgroundWork.objects.filter(tasks=[]).aexists, what="it is quiet again")
