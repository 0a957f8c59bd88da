"""What was said before a run, as the harness is told."""

import pytest
from django.utils import timezone

from threads import services
from threads.models import Message, Run, Steer
from threads.run import transitions
from threads.serving import history as module
from threads.serving.history import earlier_messages, messages_before
from threads.serving.turn_input import harness_input


@pytest.fixture
def remembered(thread, say, answer):
    """Return ``remembered(*texts)``: a run whose thread has a session, and these texts before."""

    def make(*texts):
        for question, reply in zip(texts[::2], texts[1::2], strict=True):
            answer(say(question), reply)
        thread.session_ref = "s"
        thread.save(update_fields=["session_ref"])
        return again(say("and now?"))

    return make


@pytest.fixture
def answer():
    """Return ``answer(run, text)``, which ends a run with an answer."""

    def end(run, text):
        services.claim_run(run_id=run.pk)
        services.finish_run(run_id=run.pk, state="completed")
        parts = [{"type": "step-start"}, {"type": "text", "text": text}]
        Message.objects.filter(pk=run.pk).update(parts=parts)

    return end


def again(run):
    return Run.objects.select_related("prompt", "thread__agent").get(pk=run.pk)


def texts_before(run):
    return [each.parts[-1]["text"] for each in messages_before(again(run), limit=9)]


def test_the_oldest_first_and_texts_alone(remembered):
    run = remembered("my word is walnut", "Noted.")

    said = [{"role": "user", "text": "my word is walnut"}, {"role": "assistant", "text": "Noted."}]
    assert earlier_messages(run) == said
    assert harness_input(run)["earlier"] == said


def test_nothing_where_the_harness_remembers_nothing_yet(say, django_assert_num_queries):
    run = say()

    with django_assert_num_queries(0):
        assert earlier_messages(run) == []


@pytest.fixture
def refused(remembered, thread):
    """Return a run in a thread whose first message was refused, and whose second was not."""
    run = remembered("bad words", "No.", "my word is walnut", "Noted.")
    first = thread.runs.order_by("position").first()
    Run.objects.filter(pk=first.pk).update(state="failed", error_code="model_refused")
    return again(run)


def test_what_the_model_refused_is_not_told_again(refused):
    said = ["my word is walnut", "Noted."]

    assert [each["text"] for each in earlier_messages(refused)] == said
    assert texts_before(refused) == said


def test_a_run_after_a_refusal_begins_afresh_unless_one_has_done_so(refused):
    (later,) = refused.thread.runs.filter(state="completed")
    given = [harness_input(refused)]
    Message.objects.filter(pk=later.prompt_id).update(role="system")
    given.append(harness_input(refused))  # that one was begun by the program, in its old session

    assert [each["beginsAfresh"] for each in given] == [False, True]
    assert [each["resumeSessionRef"] for each in given] == ["s", None]


def test_a_message_may_leave_out_all_earlier_ones_for_good(remembered):
    run = remembered("odd words", "Well.")
    run.prompt.metadata = {"withoutEarlier": True}
    run.prompt.save(update_fields=["metadata"])

    given = harness_input(run)

    assert (given["beginsAfresh"], given["earlier"]) == (True, [])


def test_they_stay_left_out_if_that_message_is_refused_too(remembered, say):
    run = remembered("odd words", "Well.")
    run.prompt.metadata = {"withoutEarlier": True}
    run.prompt.save(update_fields=["metadata"])
    services.claim_run(run_id=run.pk)
    services.finish_run(run_id=run.pk, state="failed", code="model_refused")

    assert texts_before(say("hello")) == []


def test_it_has_a_limit(remembered, monkeypatch):
    monkeypatch.setattr(module, "MAX_TOTAL", 10)

    assert earlier_messages(remembered("x" * 9, "yes")) == [{"role": "assistant", "text": "yes"}]


def test_a_message_that_waited_knows_the_answer_that_it_waited_for(say, answer):
    first, second = say("first"), say("second")
    answer(first, "first answer")

    assert texts_before(second) == ["first", "first answer"]


def test_messages_that_changed_places_know_what_was_sent_before_them(say, answer, thread, ada):
    first, second, third = say("first"), say("second"), say("third")
    change = services.QueueChange(moves=True, before=second.pk)
    services.change_queued(thread=thread, run_id=third.pk, change=change, by=ada)
    answer(first, "1")
    answer(third, "3")

    assert texts_before(third) == ["first", "1"]
    assert texts_before(second) == ["first", "1", "third", "3"]


def test_what_was_taken_back_or_never_sent_is_not_told(say, answer, thread, ada):
    first, taken, stopped = say("first"), say("taken back"), say("stopped")
    services.withdraw_queued(thread=thread, run_id=taken.pk, by=ada)
    answer(first, "1")
    services.cancel(thread=thread)

    assert again(stopped).never_sent
    assert texts_before(say("now")) == ["first", "1"]


def test_a_message_read_in_the_middle_of_an_answer_stands_before_it(say, answer):
    first, steered = say("first"), say("and this")
    Steer.objects.create(run=steered, into=first, applied_at=timezone.now())
    transitions.hand_over(steered, now=timezone.now())
    answer(first, "both")

    assert texts_before(say("now")) == ["first", "and this", "both"]
