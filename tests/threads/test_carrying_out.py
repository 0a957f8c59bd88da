"""A plan that is agreed to: carried out once, in a chat of its own, not where it is from."""

from __future__ import annotations

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from agents.harness.questions import PLAN_READY
from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import DONE, chunk
from tests.threads.promises import assert_whole
from tests.threads.races import in_parallel
from threads import services
from threads.core.executors import LINK
from threads.journal import committing
from threads.journal.committing import Share
from threads.models import Approval, Run, Thread
from threads.serving.orders import WorkScope, list_work

PLAN = "# Mend the login\n\n1. Read `auth.py`\n2. Mend it"


@pytest.fixture
def run(say):
    """A run that plans."""
    run = say("Plan it", approval_level="plan", tier="thinking")
    services.claim_run(run_id=run.pk)
    return run


@pytest.fixture
def ask(run):
    """Return ``ask(tool, input)``: the planning agent asks."""

    def commit(tool=PLAN_READY, given=None):
        given = {"plan": PLAN} if given is None else given
        call = {"toolCallId": "c", "toolName": tool, "dynamic": True}
        bodies = [
            chunk("start", messageId=str(run.pk)),
            chunk("tool-input-available", **call, input=given),
            {
                **chunk("tool-approval-request", approvalId="a1", toolCallId="c"),
                "approval": {"tool": tool, "input": given},
            },
        ]
        events = [SandboxEvent(n, body) for n, body in enumerate(bodies, 1)]
        committing.commit([Share(run.pk, 1, events)])

    return commit


def carry_out(thread, ada):
    return services.carry_out_plan(thread=thread, approval_id="a1", by=ada)


@pytest.mark.django_db
def test_a_new_thread_begins_with_the_plan_where_the_old_one_works(ask, thread, run, ada):
    ask()

    begun = carry_out(thread, ada)

    thread.refresh_from_db()
    pins = ("sandbox_provider_kind", "harness_id", "link_id", "branch", "agent_id", "owner_id")
    for name in pins:
        assert getattr(begun.thread, name) == getattr(thread, name)
    assert begun.thread_id != thread.pk
    assert begun.thread.title == "Mend the login"
    assert begun.prompt.parts[0]["text"] == f"Implement this plan:\n\n{PLAN}"
    assert (begun.approval_level, begun.mode, begun.tier) == ("auto", "default", "thinking")


@pytest.mark.django_db
def test_the_planning_run_ends_and_its_agent_is_stopped(ask, thread, run, ada, link):
    ask()
    begun = carry_out(thread, ada)

    run.refresh_from_db()
    assert (run.state, run.error_code) == ("completed", "")
    parts = {part["type"]: part for part in run.answer.parts}
    assert parts["dynamic-tool"]["state"] == "output-available"
    assert parts["data-carried-out"]["data"] == {"threadId": str(begun.thread_id)}
    work = list_work(WorkScope(node="A", executors=[LINK], links={link.pk}))
    assert ([stop.run_id for stop in work.stops], work.answers) == ([run.pk], [])
    assert_whole(thread)


@pytest.mark.django_db
def test_what_its_agent_still_says_is_dropped(ask, thread, run, ada):
    ask()
    carry_out(thread, ada)
    events = [SandboxEvent(n, body) for n, body in enumerate([chunk("abort"), DONE], 4)]

    [outcome] = committing.commit([Share(run.pk, 1, events)])

    assert (outcome.is_over, outcome.last_n) == (True, 5)
    assert_whole(thread)


@pytest.mark.django_db(transaction=True)
def test_a_plan_is_carried_out_once(ask, thread, ada):
    ask()

    begun = in_parallel(*[lambda: carry_out(thread, ada)] * 3)

    assert len({run.pk for run in begun}) == 1
    assert Thread.objects.count() == 2


@pytest.mark.django_db
class TestRefusals:
    @pytest.fixture
    def call(self, thread, ada):
        """Return ``call(user)``: what the API answers."""

        def send(user=ada):
            client = APIClient()
            client.force_authenticate(user)
            return client.post(reverse("carry-out", args=["home", thread.pk, "a1"]))

        return send

    def test_the_api_says_where(self, call, ask, thread):
        ask()

        first, again = call(), call()

        assert (first.status_code, first.json()) == (202, again.json())
        assert Run.objects.get(pk=first.json()["runId"]).thread_id != thread.pk

    def test_another_question_is_no_plan(self, call, ask):
        ask("Bash", {"command": "ls"})

        assert call().status_code == 404

    @pytest.mark.parametrize("who", ["bob", "eve"])
    def test_nobody_else_s(self, call, ask, request, who):
        ask()

        assert call(request.getfixturevalue(who)).status_code == 404
        assert Thread.objects.count() == 1

    @pytest.mark.parametrize("decision", ["allow", "deny"])
    def test_an_answered_one(self, call, ask, thread, ada, decision):
        ask()
        answer = services.Answer(decision=decision)
        services.answer_approval(thread=thread, approval_id="a1", answer=answer, by=ada)

        assert call().json()["error"]["code"] == "approval_answered"

    def test_a_stopped_one(self, call, ask, thread):
        ask()
        services.cancel(thread=thread)

        assert call().json()["error"]["code"] == "run_over"
        assert Approval.objects.get().decision == ""

    def test_what_can_not_begin_leaves_the_plan_waiting(self, call, ask, run, link):
        ask()
        link.capabilities = []
        link.save()
        Thread.objects.update(harness_id="claude-code")

        assert call().json()["error"]["code"] == "capability_missing"
        run.refresh_from_db()
        assert (run.state, Thread.objects.count()) == ("waiting", 1)
