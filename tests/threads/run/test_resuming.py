"""A sandbox dies while a person is asked: the agent asks again, and the answer counts once."""

from __future__ import annotations

import pytest

from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import DONE, chunk
from threads import services
from threads.core.executors import LINK
from threads.journal import committing
from threads.journal.committing import Share
from threads.models import Approval, Run
from threads.serving.orders import WorkScope, find_order, list_work
from threads.serving.turn_input import harness_input

LS = {"command": "ls"}
SESSION = chunk("message-metadata", messageMetadata={"codingAgentSessionId": "s1"})
DEATH = [
    {"type": "error", "code": "sandbox_died", "message": "It died."},
    chunk("tool-output-error", toolCallId="c", errorText="It died."),
    chunk("error", errorText="It died."),
    chunk("finish", finishReason="error"),
    DONE,
]


@pytest.fixture
def run(say):
    run = say("clean up", approval_level="readonly")
    services.claim_run(run_id=run.pk)
    return run


@pytest.fixture
def hear(run):
    """Return ``hear(*bodies)``: the newest attempt says them, behind what it has said."""

    def commit(*bodies):
        run.refresh_from_db()
        events = [SandboxEvent(n, body) for n, body in enumerate(bodies, run.last_n + 1)]
        [outcome] = committing.commit([Share(run.pk, run.fence, events)])
        run.refresh_from_db()
        return outcome

    return commit


def ask(approval="a", tool="Bash", given=LS):
    asked = chunk("tool-approval-request", approvalId=approval, toolCallId="c")
    return {**asked, "approval": {"tool": tool, "input": given}}


@pytest.fixture
def answer(thread, ada):
    def give(decision="allow", approval="a"):
        given = services.Answer(decision=decision, reason="so")
        return services.answer_approval(thread=thread, approval_id=approval, answer=given, by=ada)

    return give


def decisions():
    return dict(Approval.objects.values_list("approval_id", "decision"))


def to_deliver(link):
    scope = WorkScope(node="A", executors=[LINK], links=[link.pk])
    return [(each.approval_id, each.decision) for each in list_work(scope).answers]


def test_the_run_continues_with_a_new_attempt(hear, run, thread, chunks):
    hear(SESSION, ask(), *DEATH)

    assert (run.state, run.fence, run.last_n, run.error_code) == ("dispatched", 2, 0, "")
    kinds = [c["type"] for c in chunks(thread)]
    assert "finish" not in kinds
    assert "error" not in kinds
    assert "tool-output-error" in kinds  # the call that was asked for is over


def test_its_agent_takes_the_conversation_up_and_is_told_what_to_ask_again(hear, run):
    hear(SESSION, ask(), *DEATH)

    order = find_order(run.pk)
    [said] = order.input["messages"]
    assert (order.fence, order.last_n) == (2, 0)
    assert order.input["resumeSessionRef"] == "s1"
    assert "exactly the same call" in said["parts"][0]["text"]
    assert '"command": "ls"' in said["parts"][0]["text"]
    assert "clean up" not in said["parts"][0]["text"]  # the prompt is sent once


@pytest.mark.parametrize("decision", ["allow", "deny"])
@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_the_answer_counts_for_the_same_question_whenever_it_is_given(
    hear, run, answer, link, when, decision
):
    hear(SESSION, ask())
    if when == "before":
        answer(decision)
    hear(*DEATH)
    if when == "between":
        answer(decision)
    hear(ask())
    if when == "after":
        answer(decision)  # from a page that still shows the card of the first one

    assert decisions()["1:a"] == decision
    assert to_deliver(link) == [("a", decision)]  # under the agent's own name
    assert Approval.objects.get(approval_id="1:a").reason == "so"


def test_an_answer_does_not_go_to_another_question_of_that_name(hear, answer, link):
    hear(SESSION, ask())
    answer("allow")
    hear(*DEATH)
    hear(ask("a", given={"command": "rm -rf ~"}))

    assert decisions()["1:a"] == ""
    assert to_deliver(link) == []


def test_an_answer_counts_once(hear, answer):
    hear(SESSION, ask())
    answer("allow")
    hear(*DEATH)
    hear(ask("a"))
    hear({"type": "approval-applied", "approvalId": "a"}, ask("b"))

    assert decisions()["1:b"] == ""


def test_what_was_applied_is_not_asked_again(hear, run, answer):
    hear(SESSION, ask())
    answer("allow")
    hear({"type": "approval-applied", "approvalId": "a"}, *DEATH)

    assert (run.state, run.error_code) == ("failed", "sandbox_died")


@pytest.mark.parametrize("said", [[ask(), *DEATH], [SESSION, chunk("start"), *DEATH]])
def test_without_a_conversation_or_a_question_it_has_failed(hear, run, said):
    hear(*said)

    assert (run.state, run.error_code) == ("failed", "sandbox_died")


def test_what_was_told_to_stop_is_stopped(hear, run, thread):
    hear(SESSION, ask())
    services.cancel(thread=thread)
    hear(*DEATH)

    assert run.state == "cancelled"


def test_after_three_deaths_it_has_failed(hear, run):
    hear(SESSION, ask(), *DEATH)
    for _ in range(3):
        hear(ask(), *DEATH)

    assert (run.state, run.fence) == ("failed", 4)


def test_cut_anywhere_the_sandboxs_last_words_lead_to_the_same(hear, run):
    for body in (SESSION, ask(), *DEATH):
        hear(body)

    assert (Run.objects.get(pk=run.pk).state, run.fence) == ("dispatched", 2)


def asks_first(tool="WorkingFolder"):
    return ask("f", tool=tool, given={"questions": []})


def test_a_run_whose_agent_had_no_message_yet_asks_again_without_a_session(hear, run):
    hear(asks_first(), *DEATH)

    assert (run.state, run.fence, run.error_code) == ("dispatched", 2, "")


def test_any_other_question_needs_a_session_to_continue(hear, run):
    hear(asks_first(tool="AskUserQuestion"), *DEATH)

    assert (run.state, run.error_code) == ("failed", "sandbox_died")


def test_the_agent_then_gets_the_person_s_own_message(hear, run):
    hear(asks_first(), *DEATH)

    assert harness_input(run)["messages"][-1]["parts"] == run.prompt.parts


def test_an_answer_for_the_folder_that_was_given_meanwhile_counts_once(hear, answer, link):
    hear(asks_first(), *DEATH)
    answer(approval="f")
    hear(asks_first())

    assert decisions() == {"f": "allow", "1:f": "allow"}
    assert to_deliver(link) == [("f", "allow")]  # as its sandbox calls it


SECRET = {"questions": [{"question": "Key?", "secret": True}]}


@pytest.mark.parametrize(("is_delivered", "answers"), [(False, ["hunter2"]), (True, [])])
def test_a_secret_that_a_sandbox_took_to_its_end_is_asked_for_again(
    hear, run, thread, ada, link, is_delivered, answers
):
    hear(SESSION, ask(tool="AskUserQuestion", given=SECRET))
    given = services.Answer(decision="allow", answers={"Key?": "hunter2"})
    services.answer_approval(thread=thread, approval_id="a", answer=given, by=ada)
    if is_delivered:
        services.mark_answer_delivered(approval_id=Approval.objects.get().pk)
    hear(*DEATH)
    hear(ask(tool="AskUserQuestion", given=SECRET))

    scope = WorkScope(node="A", executors=[LINK], links=[link.pk])
    assert [each.answers["Key?"] for each in list_work(scope).answers] == answers
    assert Approval.objects.get(lost_at__isnull=False).sealed_answers == ""
