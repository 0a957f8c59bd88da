"""A tool's question: answered by a person, and delivered."""

from __future__ import annotations

import pytest
from django.utils import timezone

from agents.harness.questions import ANSWERED
from mesh.selectors import NotFound
from threads import services
from threads.errors import ApprovalAnswered, QuestionWithdrawn, RunOver
from threads.journal import rows
from threads.models import Approval, Run


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


def test_an_answer_is_stamped_and_announced(question, answer, thread, chunks, ada):
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


def test_the_same_decision_with_another_choice_is_another_answer(question, thread, ada):
    def choose(choice):
        given = services.Answer(decision="allow", answers={"How?": choice})
        return services.answer_approval(thread=thread, approval_id="a1", answer=given, by=ada)

    choose("Start a repository")
    assert choose("Start a repository").answers == {"How?": "Start a repository"}
    with pytest.raises(ApprovalAnswered):
        choose("Work here without history")


def test_an_answer_to_what_the_agent_took_back_is_refused(question, answer, thread, chunks):
    Approval.objects.update(withdrawn_at=timezone.now())
    before = chunks(thread)

    with pytest.raises(QuestionWithdrawn) as refused:
        answer()
    assert (refused.value.status, refused.value.code) == (409, "question_withdrawn")
    question.refresh_from_db()
    assert (question.decision, chunks(thread)) == ("", before)


def test_neither_rule_nor_level_answers_what_the_agent_took_back(question, thread, ada):
    Approval.objects.update(withdrawn_at=timezone.now())
    Run.objects.update(approval_level="readonly")

    switched = services.set_level(thread=thread, level="auto", by=ada)

    assert (switched.is_now, switched.allowed) == (True, [])


def test_an_answer_that_came_too_late_is_not_told_as_delivered(question, answer, thread, chunks):
    answer()
    Approval.objects.update(withdrawn_at=timezone.now())

    services.mark_answer_delivered(approval_id=question.pk)

    stations = [c["data"]["state"] for c in chunks(thread) if c["type"] == "data-approval"]
    assert stations == ["answered"]


def test_an_answer_after_the_end_is_refused(question, answer):
    services.finish_run(run_id=question.run_id, state="cancelled")

    with pytest.raises(RunOver):
        answer()


def test_an_unknown_question_is_not_found(question, answer):
    with pytest.raises(NotFound):
        answer(approval_id="a2")


def test_a_delivery_is_announced_once(question, answer, thread, chunks):
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


SECRET = {"questions": [{"question": "Key?", "secret": True, "options": []}]}


@pytest.fixture
def told(question, thread, ada):
    """A question for a secret, answered."""
    Approval.objects.filter(pk=question.pk).update(tool="AskUserQuestion", input=SECRET)
    given = services.Answer(decision="allow", answers={"Key?": "hunter2"})
    services.answer_approval(thread=thread, approval_id="a1", answer=given, by=ada)
    question.refresh_from_db()
    return question


def everywhere(approval, chunks):
    fields = {field.attname: getattr(approval, field.attname) for field in Approval._meta.fields}
    return f"{fields} {chunks(approval.run.thread)}"


def test_a_secret_waits_encrypted_and_readers_get_a_marker(told, chunks):
    assert told.answers == {"Key?": ANSWERED}
    assert told.whole_answers == {"Key?": "hunter2"}
    assert "hunter2" not in everywhere(told, chunks)


def test_a_secret_is_erased_once_the_agent_has_it(told, chunks):
    services.mark_answer_delivered(approval_id=told.pk)

    told.refresh_from_db()
    assert (told.sealed_answers, told.whole_answers) == ("", {"Key?": ANSWERED})


def test_a_secret_is_erased_when_its_run_ends_before(told):
    services.finish_run(run_id=told.run_id, state="cancelled")

    told.refresh_from_db()
    assert told.sealed_answers == ""


def test_a_secret_may_be_sent_again(told, thread, ada):
    given = services.Answer(decision="allow", answers={"Key?": "hunter2"})

    services.answer_approval(thread=thread, approval_id="a1", answer=given, by=ada)

    told.refresh_from_db()
    assert told.whole_answers == {"Key?": "hunter2"}
