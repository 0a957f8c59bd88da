"""Posting messages: what is stored, what is announced, and what may be repeated."""

from __future__ import annotations

import pytest

from mesh.selectors import NotFound
from threads import services
from threads.errors import MessageChanged, MessageIdTaken, TooManyQueued
from threads.models import Message, Run
from threads.reading import notifications
from threads.services import messages


@pytest.fixture
def published(monkeypatch):
    """The topics that were notified."""
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


def test_notifications_go_out_only_after_the_commit(
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


def test_the_same_client_id_with_other_words_is_refused_and_not_answered_with_the_old_run(say):
    say("hi", client_id="c1")

    with pytest.raises(MessageChanged):
        say("bye", client_id="c1")
    assert Run.objects.count() == 1


def test_a_waiting_message_that_was_edited_may_still_be_sent_again(say, ada):
    run = say("hi", client_id="c1")
    change = services.QueueChange(parts=[{"type": "text", "text": "bye"}])
    services.change_queued(thread=run.thread, run_id=run.pk, change=change, by=ada)

    assert say("hi", client_id="c1") == run


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


def test_what_no_database_takes_is_replaced_in_messages_too(say):
    run = say("a\x00b\ud800")

    assert Message.objects.get(pk=run.prompt_id).parts[0]["text"] == "a\ufffdb\ufffd"


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
