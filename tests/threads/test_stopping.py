"""Whoever has pressed Stop has stopped it: no answer counts any more, and none is delivered."""

from __future__ import annotations

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from tests.threads.races import in_parallel
from threads import services
from threads.errors import RunOver
from threads.models import Approval, ApprovalRule
from threads.serving.orders import WorkScope, is_answer_due, list_work

ALLOW = services.Answer(decision="allow")


@pytest.fixture
def call(thread, ada):
    """Return ``call(method, name, *where, **body)``: what the API answers Ada."""

    def send(method, name, *where, **body):
        client = APIClient()
        client.force_authenticate(ada)
        answer = getattr(client, method)(reverse(name, args=["home", thread.pk, *where]), body)
        return answer.status_code, answer.json()

    return send


def decisions():
    return dict(Approval.objects.values_list("approval_id", "decision"))


def due(link):
    work = list_work(WorkScope(node="n", executors=["link"], links=[link.pk]))
    return [answer.approval_id for answer in work.answers]


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_an_answer_after_the_stop_is_refused(ask, call, thread, decision):
    ask()
    services.cancel(thread=thread)

    status, body = call("post", "approval", "a1", decision=decision)

    assert (status, body["error"]["code"]) == (409, "run_over")
    assert decisions() == {"a1": ""}


def test_so_are_several_at_once_and_a_rule(ask, call, thread):
    ask()
    services.cancel(thread=thread)

    several = call("post", "approvals", approvalIds=["a1"], decision="allow")
    always = call("post", "approval", "a1", decision="allow", remember=True)

    assert [several[0], always[0]] == [409, 409]
    assert (decisions(), ApprovalRule.objects.count()) == ({"a1": ""}, 0)


def test_the_level_answers_nothing_after_the_stop(ask, call, thread):
    ask()
    services.cancel(thread=thread)

    call("put", "level", level="auto")
    ask("a2")

    assert decisions() == {"a1": "", "a2": ""}


def test_a_rule_answers_nothing_after_the_stop(ask, call, thread):
    ask("a1")
    call("post", "approval", "a1", decision="allow", remember=True)
    services.cancel(thread=thread)

    ask("a2")

    assert decisions() == {"a1": "allow", "a2": ""}


def test_an_answer_that_the_stop_has_overtaken_is_not_delivered(ask, call, thread, link):
    ask()
    call("post", "approval", "a1", decision="allow")
    approval = Approval.objects.get()
    assert (due(link), is_answer_due(approval.pk)) == (["a1"], True)

    services.cancel(thread=thread)

    assert (due(link), is_answer_due(approval.pk)) == ([], False)


def test_an_answer_from_before_the_stop_may_be_repeated(ask, call, thread):
    ask()
    first = call("post", "approval", "a1", decision="allow")
    services.cancel(thread=thread)

    assert call("post", "approval", "a1", decision="allow") == first


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", range(5))
def test_an_answer_and_a_stop_at_once(ask, thread, ada, link, turn):
    ask()

    def answer():
        return services.answer_approval(thread=thread, approval_id="a1", answer=ALLOW, by=ada)

    given, _ = in_parallel(answer, lambda: services.cancel(thread=thread))

    assert decisions() == {"a1": "" if isinstance(given, RunOver) else given.decision}
    assert due(link) == []  # whichever was first
