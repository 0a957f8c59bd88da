"""What services write, what they announce, and what may be repeated."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

from mesh.selectors import NotFound
from threads import selectors, services
from threads.errors import ApprovalAnswered, MessageIdTaken, RunOver, TooManyQueued
from threads.journal import rows
from threads.models import Approval, Message, Run, Thread
from threads.reading import notifications
from threads.run import state as run_state
from threads.services import messages

NOON = timezone.now()


@pytest.fixture
def published(monkeypatch):
    """The topics that rang."""
    topics = []
    monkeypatch.setattr(notifications, "_publish", lambda by_topic: topics.extend(by_topic))
    return topics


def types(found):
    return [chunk["type"] for chunk in found]


def test_a_message_is_kept_whole(say, thread, chunks, ada):
    run = say("# Hello\nthere", client_id="c1")

    thread.refresh_from_db()
    message = run.prompt
    assert (run.state, message.author, message.client_id) == ("queued", ada, "c1")
    assert thread.title == "Hello"
    assert types(chunks(thread)) == ["data-user-message", "data-run-status", "data-thread-title"]
    assert chunks(thread)[0]["data"]["message"]["parts"] == message.parts
    assert message.seq == 1
    assert thread.last_seq == 3


def test_bells_ring_only_after_the_commit(
    say, thread, ada, published, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as callbacks:
        say("hi")
    assert published == []

    for callback in callbacks:
        callback()
    assert published == [
        notifications.of_thread(thread.pk),
        notifications.of_person(ada.pk),
        notifications.RUNS,
    ]


def test_the_same_client_id_gives_the_same_run(say):
    assert say("hi", client_id="c1") == say("hi", client_id="c1")
    assert Message.objects.count() == 1


def test_a_repeat_is_answered_even_when_the_machine_has_gone(say, link):
    run = say("hi", client_id="c1")
    link.offline_after = None
    link.save()

    assert say("hi", client_id="c1") == run


def test_the_same_words_without_an_id_are_new_once_they_are_answered(say):
    first = say("go on", client_id="")
    assert say("go on", client_id="") == first
    services.claim_run(run_id=first.pk)
    services.finish_run(run_id=first.pk, state="completed")

    assert say("go on", client_id="") != first


def test_the_first_message_pins_where_the_thread_runs(say, thread, link):
    say()

    thread.refresh_from_db()
    assert (thread.sandbox_provider_kind, thread.harness_id) == ("remote-user", "demo")
    assert (thread.link, thread.branch) == (link, f"thread:{thread.pk}")


def test_a_deleted_thread_takes_no_message(say, thread):
    services.delete_thread(thread=thread)

    with pytest.raises(NotFound):
        say()


def test_no_more_messages_wait_than_the_limit(say, monkeypatch):
    monkeypatch.setattr(messages, "QUEUE_LIMIT", 2)
    say()
    say()

    with pytest.raises(TooManyQueued):
        say()
    assert Message.objects.count() == 2


def test_one_run_of_a_thread_is_active(say):
    first, second = say(), say()

    assert services.claim_run(run_id=first.pk)
    assert not services.claim_run(run_id=second.pk)
    assert not services.claim_run(run_id=first.pk)
    first.refresh_from_db()
    assert (first.state, first.fence) == ("dispatched", 1)


def test_a_run_that_was_never_sent_goes_back(say, thread, chunks):
    run = say()
    services.claim_run(run_id=run.pk)

    assert services.requeue_run(run_id=run.pk)
    assert services.claim_run(run_id=run.pk)
    run.refresh_from_db()
    assert run.fence == 2


def test_a_run_that_has_begun_does_not_go_back(say):
    run = say()
    services.claim_run(run_id=run.pk)
    Run.objects.update(last_n=1)

    assert not services.requeue_run(run_id=run.pk)


def test_an_end_by_the_server_tells_its_readers(say, thread, chunks):
    run = say()
    services.claim_run(run_id=run.pk)

    assert services.finish_run(run_id=run.pk, state="failed", code="sandbox_down")

    run.refresh_from_db()
    assert types(chunks(thread))[-4:] == ["start", "error", "data-run-status", "finish"]
    assert (run.state, run.error_code, run.answer.parts) == ("failed", "sandbox_down", [])
    assert run.answer.metadata["error"]["code"] == "sandbox_down"


def test_a_run_ends_once(say, thread, chunks):
    run = say()
    services.finish_run(run_id=run.pk, state="failed", code="sandbox_down")
    before = chunks(thread)

    assert not services.finish_run(run_id=run.pk, state="completed")
    assert chunks(thread) == before


def test_stopping_ends_queued_runs_at_once_and_asks_the_active_one(say, thread, link, settings):
    link.node = settings.MESH_NODE
    link.save()
    active, queued = say(), say()
    services.claim_run(run_id=active.pk)

    assert services.cancel(thread=thread).is_over

    active.refresh_from_db()
    queued.refresh_from_db()
    assert (active.state, queued.state) == ("dispatched", "cancelled")
    assert active.cancelled_at is not None


def test_stopping_twice_keeps_the_first_time(say, thread):
    run = say()
    services.claim_run(run_id=run.pk)
    services.cancel(thread=thread)
    first = Run.objects.get(pk=run.pk).cancelled_at

    services.cancel(thread=thread)

    assert Run.objects.get(pk=run.pk).cancelled_at == first


def test_a_run_on_an_offline_machine_is_stopped_for_the_person_at_once(say, thread, link):
    run = say()
    services.claim_run(run_id=run.pk)
    link.offline_after = None
    link.save()

    assert not services.cancel(thread=thread).is_over

    run.refresh_from_db()
    assert (run.state, run.stop_delivered_at) == ("cancelled", None)


def test_a_stop_that_takes_too_long_is_made_true(say, thread):
    run = say()
    services.claim_run(run_id=run.pk)
    services.cancel(thread=thread)
    asked = Run.objects.get(pk=run.pk).cancelled_at

    assert services.end_overdue_stops(now=asked + timedelta(milliseconds=900)) == 0
    assert services.end_overdue_stops(now=asked + timedelta(seconds=1)) == 1
    assert Run.objects.get(pk=run.pk).state == "cancelled"


def test_whoever_was_told_to_stop_ends_as_stopped(say, thread):
    run = say()
    services.claim_run(run_id=run.pk)
    services.cancel(thread=thread)

    services.finish_run(run_id=run.pk, state="failed", code="tombstoned")

    run.refresh_from_db()
    assert (run.state, run.error_code) == ("cancelled", "")


@pytest.fixture
def question(say):
    run = say()
    services.claim_run(run_id=run.pk)
    return Approval.objects.create(
        run=run, approval_id="a1", tool_call_id="c", tool="Bash", input={}, level="auto"
    )


@pytest.fixture
def answer(thread, ada):
    def give(decision="allow", approval_id="a1"):
        given = services.Answer(decision=decision, reason="so")
        return services.answer_approval(
            thread=thread, approval_id=approval_id, answer=given, by=ada
        )

    return give


def test_an_answer_is_stamped_and_told(question, answer, thread, chunks, ada):
    answer("deny")

    question.refresh_from_db()
    assert (question.decision, question.reason, question.answered_by) == ("deny", "so", ada)
    assert question.answered_at is not None
    assert chunks(thread)[-1]["data"]["state"] == "answered"


def test_what_was_answered_is_kept_and_told(question, thread, chunks, ada):
    given = services.Answer(decision="allow", answers={"Which?": ["a", "b\x00"]})
    services.answer_approval(thread=thread, approval_id="a1", answer=given, by=ada)

    question.refresh_from_db()
    assert question.answers == {"Which?": ["a", "b\ufffd"]}
    assert chunks(thread)[-1]["data"]["answers"] == question.answers


def test_the_first_answer_counts(question, answer, thread, chunks):
    answer("allow")
    before = chunks(thread)

    assert answer("allow").decision == "allow"
    with pytest.raises(ApprovalAnswered):
        answer("deny")
    assert chunks(thread) == before


def test_an_answer_after_the_end_is_refused(question, answer):
    services.finish_run(run_id=question.run_id, state="cancelled")

    with pytest.raises(RunOver):
        answer()


def test_an_unknown_question_is_not_found(question, answer):
    with pytest.raises(NotFound):
        answer(approval_id="a2")


def test_a_delivery_is_told_once(question, answer, thread, chunks):
    answer()
    services.mark_answer_delivered(approval_id=question.pk)
    services.mark_answer_delivered(approval_id=question.pk)

    stations = [c["data"]["state"] for c in chunks(thread) if c["type"] == "data-approval"]
    assert stations == ["answered", "delivered"]


def test_a_delivery_says_nothing_after_the_end(question, answer, thread, chunks, monkeypatch):
    """The run ends while the note of the delivery waits for the thread's lock."""
    answer()
    lock = rows.lock

    def lock_late(thread_id):
        monkeypatch.setattr(rows, "lock", lock)
        services.finish_run(run_id=question.run_id, state="completed")
        return lock(thread_id)

    monkeypatch.setattr(rows, "lock", lock_late)
    services.mark_answer_delivered(approval_id=question.pk)

    assert chunks(thread)[-1]["type"] == "finish"


def test_what_no_database_takes_is_replaced_in_messages_too(say):
    run = say("a\x00b\ud800")

    assert Message.objects.get(pk=run.prompt_id).parts[0]["text"] == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"state": "running", "finished_at": NOON}, id="ended but running"),
        pytest.param({"state": "completed", "finished_at": None}, id="completed but not ended"),
        pytest.param({"state": "lost", "finished_at": None}, id="no such state"),
    ],
)
def test_the_table_refuses(say, wrong):
    run = say()
    with pytest.raises(IntegrityError):
        Run.objects.filter(pk=run.pk).update(**wrong)


def test_one_active_run_by_constraint(say):
    first, second = say(), say()
    Run.objects.filter(pk=first.pk).update(state=run_state.RUNNING)

    with pytest.raises(IntegrityError):
        Run.objects.filter(pk=second.pk).update(state=run_state.DISPATCHED)


def test_numbers_follow_each_other(thread):
    for count in (1, 3, 2):
        rows.append(thread.pk, [rows.Draft({"type": "x"})] * count)

    assert [
        row.seq for row in selectors.list_events(thread_id=thread.pk, after=0, limit=9, size=9_999)
    ] == [*range(1, 7)]
    assert Thread.objects.get(pk=thread.pk).last_seq == 6


def ended(run):
    services.claim_run(run_id=run.pk)
    services.finish_run(run_id=run.pk, state="failed", code="stuck")


def at_work(run):
    services.claim_run(run_id=run.pk)


def waiting(run):
    pass


@pytest.mark.parametrize("become", [ended, at_work, waiting])
def test_a_message_can_not_take_the_id_of_an_answer(say, become):
    """Also of one that is still to come: it could not be stored."""
    run = say()
    become(run)

    with pytest.raises(MessageIdTaken):
        say("again", client_id=str(run.pk))
    assert Message.objects.filter(role="user").count() == 1


def test_the_id_of_another_threads_answer_is_free(say, thread, ada, org, agent):
    run = say()
    other = services.create_thread(owner=ada, organization=org, agent=agent)

    assert say(to=other, client_id=str(run.pk)).thread == other
