"""What agents do beside their runs: kept, stopped, and taken as runs."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from mesh.models import Membership
from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import DONE, chunk
from threads import services
from threads.core.background import LINGER, ThreadBackground, UnaskedRun
from threads.errors import UnknownTask
from threads.journal import committing
from threads.models import Approval, BackgroundWork, Message, Run, Thread
from threads.services.levels import set_level
from threads.targets import place_of

pytestmark = pytest.mark.django_db

TASK = {"id": "b1", "title": "npm test", "kind": "command", "startedAt": 5.0}
ANOTHER = TASK | {"id": "b2"}


@pytest.fixture
def spoken(say, thread):
    """Ada's thread, whose agent has answered her."""
    run = say("go")
    services.claim_run(run_id=run.pk)
    services.finish_run(run_id=run.pk, state="completed")
    services.mark_stop_delivered(run_id=run.pk)
    thread.refresh_from_db()
    return thread


@pytest.fixture
def review(thread):
    """Return ``review(*tasks, runs=…)``: the thread's sandbox tells that."""

    def tell(*tasks, runs=(), of=None):
        place = place_of(Thread.objects.select_related("agent").get(pk=thread.pk))
        told = ThreadBackground(tasks=tasks, runs=tuple(runs))
        return services.review_background(place=place, state={(of or thread).pk: told})

    return tell


@pytest.fixture
def turn():
    return UnaskedRun(id=uuid4(), reason="The build ended.")


def kept(thread):
    return BackgroundWork.objects.filter(pk=thread.pk).first()


def commit(run, *bodies):
    events = [SandboxEvent(n, body) for n, body in enumerate(bodies, 1)]
    return committing.commit([committing.Share(run.pk, 1, events)])


# What runs


def test_a_turn_tells_what_it_leaves_running(say, thread):
    run = say("go")
    services.claim_run(run_id=run.pk)

    [outcome] = commit(run, chunk("start"), {"type": "background", "tasks": [TASK]})

    assert outcome.has_background
    assert (kept(thread).tasks, kept(thread).executor) == ([TASK], "link")


def test_a_turn_that_leaves_nothing_has_no_row(say, thread):
    run = say("go")
    services.claim_run(run_id=run.pk)

    [outcome] = commit(run, {"type": "background", "tasks": []}, chunk("finish"), DONE)

    assert (outcome.has_background, kept(thread)) == (False, None)


def test_turns_that_the_server_has_not_taken_are_looked_for(say, thread):
    run = say("go")
    services.claim_run(run_id=run.pk)

    commit(run, {"type": "background", "tasks": [], "hasUnclaimed": True})

    assert kept(thread).quiet_since is not None


def test_the_row_follows_what_the_sandbox_tells(spoken, review):
    review(TASK, ANOTHER)
    due = review(ANOTHER)

    assert kept(spoken).tasks == [ANOTHER]
    assert due.look_in == LINGER


def test_a_quiet_sandbox_is_watched_for_a_while(spoken, review):
    review(TASK)
    due = review()
    row = kept(spoken)

    assert (row.tasks, row.quiet_since is None, due.look_in <= LINGER) == ([], False, True)


def test_a_sandbox_that_stays_quiet_is_watched_no_longer(spoken, review):
    review(TASK)
    review()
    BackgroundWork.objects.update(quiet_since=timezone.now() - LINGER)

    assert review().look_in is None
    assert kept(spoken) is None


def test_a_sandbox_says_nothing_about_threads_of_others(spoken, review, org, agent, bob):
    theirs = services.create_thread(owner=bob, organization=org, agent=agent)

    review(TASK, of=theirs)

    assert kept(theirs) is None


# Turns that a program begins by itself


def test_a_turn_becomes_a_run_under_its_own_id(spoken, review, turn, chunks):
    due = review(runs=[turn])

    run = Run.objects.select_related("prompt").get(pk=turn.id)
    assert (run.state, run.fence, run.executor, due.waits) == ("dispatched", 1, "link", False)
    assert (run.prompt.role, run.prompt.parts[0]["text"]) == (
        "system",
        "Demo began this by itself: The build ended.",
    )
    assert [each["data"]["state"] for each in chunks(spoken, run=run) if "state" in each["data"]]


def test_a_turn_becomes_a_run_once(spoken, review, turn):
    for _ in range(3):
        review(runs=[turn])

    assert Run.objects.filter(pk=turn.id).count() == 1
    assert Message.objects.filter(role="system").count() == 1


def test_a_turn_has_the_settings_of_the_last_run(say, spoken, review, turn):
    run = say("more", approval_level="readonly", tier="fast")
    services.claim_run(run_id=run.pk)
    services.finish_run(run_id=run.pk, state="completed")

    review(runs=[turn])

    taken = Run.objects.get(pk=turn.id)
    assert (taken.approval_level, taken.tier, taken.eased_at) == ("readonly", "fast", None)


def test_a_turn_waits_for_the_active_run(say, spoken, review, turn):
    run = say("more")
    services.claim_run(run_id=run.pk)
    assert review(runs=[turn]).waits
    services.finish_run(run_id=run.pk, state="completed")

    assert not review(runs=[turn]).waits
    assert Run.objects.get(pk=turn.id).state == "dispatched"


def test_a_message_that_waits_goes_after_the_turn(say, spoken, review, turn):
    run = say("more")
    review(runs=[turn])

    assert not services.claim_run(run_id=run.pk)


def test_a_turn_that_is_stored_is_acknowledged(spoken, review, turn):
    review(runs=[turn])
    services.finish_run(run_id=turn.id, state="completed")

    due = review(runs=[UnaskedRun(id=turn.id, reason="", done_n=9)])

    assert due.acks == [(turn.id, 9)]


@pytest.mark.parametrize("of", ["run", "message", "answer"])
def test_a_turn_with_the_id_of_something_else_is_stopped(say, spoken, review, org, ada, agent, of):
    other = services.create_thread(owner=ada, organization=org, agent=agent)
    known = {
        "run": lambda: say("x", to=other).pk,
        "message": lambda: say("x").prompt_id,
        "answer": lambda: (say("x", client_id=str(fresh)), fresh)[1],
    }
    fresh = uuid4()
    due = review(runs=[UnaskedRun(id=known[of](), reason="")])

    assert len(due.cancels) == 1
    assert not Message.objects.filter(role="system").exists()


def test_a_turn_of_a_thread_that_was_never_sent_anything_is_stopped(say, thread, review, turn):
    say("hi")  # it waits

    assert review(runs=[turn]).cancels == [turn.id]


def began_in_a_row(review, count):
    """Have the program begin so many turns by itself, and end them; return the last one."""
    for _ in range(count):
        told = UnaskedRun(id=uuid4(), reason="Again.")
        review(runs=[told])
        run = Run.objects.filter(pk=told.id).first()
        if run is not None:
            services.finish_run(run_id=run.pk, state="completed")
    return told


def test_after_twenty_turns_in_a_row_one_says_why_it_is_stopped(spoken, review, turn, chunks):
    assert Run.objects.get(pk=began_in_a_row(review, 20).id).cancelled_at is None

    review(runs=[turn])

    run = Run.objects.get(pk=turn.id)
    assert run.cancelled_at is not None
    (notice,) = (each for each in chunks(spoken, run=run) if each["type"] == "data-notice")
    assert "until you send a message" in notice["data"]["text"]


@pytest.mark.parametrize("done_n", [0, 7])
def test_then_no_further_one_is_taken(spoken, review, done_n):
    began_in_a_row(review, 21)
    told = UnaskedRun(id=uuid4(), reason="Again.", done_n=done_n)

    due = review(runs=[told])

    assert not Run.objects.filter(pk=told.id).exists()
    assert (due.cancels, due.acks) == (([], [(told.id, 7)]) if done_n else ([told.id], []))
    assert review().waits is False


def test_a_message_lets_it_begin_anew(spoken, review, turn, say):
    began_in_a_row(review, 22)
    run = say("go on")
    services.claim_run(run_id=run.pk)
    services.finish_run(run_id=run.pk, state="completed")

    review(runs=[turn])

    assert Run.objects.get(pk=turn.id).cancelled_at is None


@pytest.mark.parametrize(("by_a_person", "is_stopped"), [(True, False), (False, True)])
def test_whoever_answers_a_question_is_there(spoken, review, turn, ada, by_a_person, is_stopped):
    asking = Run.objects.get(pk=began_in_a_row(review, 1).id)
    asked_at = timezone.now()
    Approval.objects.create(
        run=asking,
        approval_id="q",
        tool="Bash",
        input={},
        decision="allow",
        asked_at=asked_at,
        answered_at=asked_at + timedelta(seconds=by_a_person),
        answered_by=ada,
    )
    began_in_a_row(review, 19)

    review(runs=[turn])

    assert (Run.objects.get(pk=turn.id).cancelled_at is not None) is is_stopped


def test_a_stricter_level_stops_a_turn_at_the_level_before(spoken, review, turn, ada, chunks):
    set_level(thread=spoken, level="readonly", by=ada)

    review(runs=[turn])

    run = Run.objects.get(pk=turn.id)
    assert run.cancelled_at is not None
    [notice] = [each for each in chunks(spoken, run=run) if each["type"] == "data-notice"]
    assert "stricter approval level" in notice["data"]["text"]


def test_a_turn_that_has_ended_is_shown_at_any_level(spoken, review, turn, ada):
    set_level(thread=spoken, level="readonly", by=ada)

    review(runs=[UnaskedRun(id=turn.id, reason="", done_n=9)])

    assert Run.objects.get(pk=turn.id).cancelled_at is None


def test_auto_chosen_since_applies_to_a_turn_that_asks(say, spoken, review, turn, ada):
    run = say("more", approval_level="readonly")
    services.claim_run(run_id=run.pk)
    services.finish_run(run_id=run.pk, state="completed")
    set_level(thread=spoken, level="auto", by=ada)

    review(runs=[turn])

    taken = Run.objects.get(pk=turn.id)
    assert (taken.approval_level, taken.eased_by_id) == ("readonly", ada.pk)


# Stopping


def test_cancel_on_an_idle_thread_stops_its_background_work(spoken, review):
    review(TASK)

    assert services.cancel(thread=spoken).background == [TASK]
    assert review(TASK).stops == [(spoken.pk, "b1")]


def test_cancel_during_a_run_stops_that_alone(say, spoken, review):
    review(TASK)
    run = say("more")
    services.claim_run(run_id=run.pk)

    assert services.cancel(thread=spoken).background == []
    assert review(TASK).stops == []


def test_one_task_is_stopped_by_its_name(spoken, review):
    review(TASK, ANOTHER)

    assert services.stop_task(thread=spoken, task_id="b2") == ANOTHER
    assert review(TASK, ANOTHER).stops == [(spoken.pk, "b2")]


def test_a_task_that_has_ended_is_stopped_no_more(spoken, review):
    review(TASK, ANOTHER)
    services.stop_task(thread=spoken, task_id="b2")

    review(TASK)

    assert kept(spoken).stops == []


def test_a_task_that_nobody_knows_can_not_be_stopped(spoken, review):
    review(TASK)

    with pytest.raises(UnknownTask):
        services.stop_task(thread=spoken, task_id="b2")


def deleted(thread):
    services.delete_thread(thread=thread)


def left(thread):
    Membership.objects.filter(user=thread.owner).delete()


@pytest.mark.parametrize("gone", [deleted, left])
def test_all_ends_when_nobody_may_see_it(spoken, review, turn, gone):
    review(TASK)
    gone(spoken)

    due = review(TASK, runs=[turn])

    assert (due.ends, due.cancels) == ([spoken.pk], [turn.id])
    assert not Run.objects.filter(pk=turn.id).exists()


@pytest.mark.parametrize("gone", [deleted, left])
def test_what_has_ended_is_forgotten_when_nobody_may_see_it(spoken, review, turn, gone):
    review(TASK)
    gone(spoken)

    due = review(runs=[UnaskedRun(id=turn.id, reason="", done_n=3)])

    assert (due.acks, due.look_in, kept(spoken)) == ([(turn.id, 3)], None, None)


def test_a_deleted_thread_is_purged_after_its_work_has_ended(spoken, review, settings):
    settings.MESH_KEEP_DELETED_DAYS = 0
    review(TASK)
    services.delete_thread(thread=spoken)
    assert services.purge_deleted(now=timezone.now()) == 0

    review()

    assert services.purge_deleted(now=timezone.now()) > 0


def test_the_work_of_a_machine_that_was_removed_is_forgotten(spoken, review, link):
    review(TASK)
    link.delete()

    assert services.forget_background(now=timezone.now()) == 1


# Watching


def test_one_process_watches_a_container(spoken):
    BackgroundWork.objects.create(thread=spoken, executor="server")
    hold = {"thread_ids": [spoken.pk]}

    assert services.hold_background(**hold, node="a")
    assert services.hold_background(**hold, node="a")
    assert not services.hold_background(**hold, node="b")
    BackgroundWork.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert services.hold_background(**hold, node="b")
