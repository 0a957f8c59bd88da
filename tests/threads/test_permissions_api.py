"""Allowed once or permanently, denied with a reason, several at once, and the level switched."""

from __future__ import annotations

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import chunk
from threads import services
from threads.journal import committing
from threads.journal.committing import Share
from threads.models import Approval, ApprovalRule, Run
from threads.serving.orders import WorkScope, list_work

LS = {"command": "ls -l"}


@pytest.fixture
def call(thread):
    """Return ``call(user, method, name, *where, **body)``: what the API answers."""

    def send(user, method, name, *where, **body):
        client = APIClient()
        client.force_authenticate(user)
        return getattr(client, method)(reverse(name, args=["home", thread.pk, *where]), body)

    return send


def decisions():
    return dict(Approval.objects.values_list("approval_id", "decision"))


def state_of(run):
    return Run.objects.get(pk=run.pk).state


def told(chunks, thread, kind):
    return [c["data"] for c in chunks(thread) if c["type"] == kind]


def test_the_card_is_told_the_rule_that_always_would_write(ask, thread, chunks):
    ask()

    [asked] = told(chunks, thread, "data-approval")
    assert (asked["state"], asked["decision"]) == ("asked", "")
    assert asked["rule"] == "the command “ls -l” in the working folder, exactly as it stands"
    assert (asked["tool"], asked["input"]) == ("Bash", LS)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"isKnown": False}, id="only a title describes it"),
        pytest.param({"tool": "x" * 201}, id="its name is cut"),
        pytest.param({"because": "A rule asks."}, id="the person's settings ask"),
    ],
)
def test_what_may_look_like_another_call_offers_no_rule(ask, thread, chunks, call, ada, said):
    ask(**said)

    answer = call(ada, "post", "approval", "a1", decision="allow", remember=True)

    assert "rule" not in told(chunks, thread, "data-approval")[0]
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_rule")


def test_a_question_of_words_offers_no_rule(ask, thread, chunks, call, ada):
    ask(tool="AskUserQuestion", given={"questions": []})

    answer = call(ada, "post", "approval", "a1", decision="allow", remember=True)

    assert "rule" not in told(chunks, thread, "data-approval")[0]
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_rule")
    assert decisions() == {"a1": ""}  # nothing half-written


def test_always_allows_the_same_from_then_on_and_nothing_else(
    ask, call, ada, asking_run, thread, chunks
):
    ask("a1")
    assert call(ada, "post", "approval", "a1", decision="allow", remember=True).status_code == 200

    again = ask("a2")
    ask("a3", given={"command": "ls -l; rm x"})

    assert decisions() == {"a1": "allow", "a2": "allow", "a3": ""}
    approval = Approval.objects.get(approval_id="a2")
    assert (approval.answered_by, approval.rule.created_by) == (ada, ada)
    assert again.has_answered  # so that the dispatcher is rung
    assert told(chunks, thread, "data-approval")[2]["by"] == "rule"


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"cwd": "/elsewhere"}, id="in another folder"),
        pytest.param({"env": {"PATH": "."}}, id="with a variable"),
        pytest.param({"network": {"host": "x.example"}}, id="with the network"),
        pytest.param({"dangerouslyDisableSandbox": True}, id="without its sandbox"),
    ],
)
def test_always_counts_only_for_what_the_card_has_shown(ask, call, ada, thread, chunks, more):
    ask("a1")
    call(ada, "post", "approval", "a1", decision="allow", remember=True)

    ask("a2", given={**LS, **more})
    call(ada, "post", "approval", "a2", decision="allow", remember=True)
    ask("a3", given={**LS, **more})

    [shown] = [d for d in told(chunks, thread, "data-approval") if d["approvalId"] == "a2"][:1]
    assert (shown["state"], shown["input"]) == ("asked", {**LS, **more})
    assert decisions() == {"a1": "allow", "a2": "allow", "a3": "allow"}


def test_a_rule_made_before_folders_counted_is_for_the_working_folder(ask, thread, ada):
    ApprovalRule.objects.create(
        thread=thread, tool="Bash", scope="command", value="ls -l", created_by=ada
    )

    ask("a1", given={**LS, "cwd": "/elsewhere"})
    ask("a2")

    assert decisions() == {"a1": "", "a2": "allow"}


def test_a_write_below_git_is_asked_each_time(ask, call, ada):
    hook = {"file_path": ".git/hooks/pre-commit", "content": "x"}
    ask("a1", tool="Write", given=hook)
    answer = call(ada, "post", "approval", "a1", decision="allow", remember=True)

    ask("a2", tool="Write", given=hook)

    assert answer.json()["error"]["code"] == "no_rule"
    assert decisions() == {"a1": "", "a2": ""}


def test_what_a_rule_answers_waits_for_nobody_and_goes_to_the_machine(
    ask, call, ada, asking_run, link
):
    ask("a1")
    call(ada, "post", "approval", "a1", decision="allow", remember=True)
    Approval.objects.update(delivered_at="2026-01-01T00:00Z", applied_at="2026-01-01T00:00Z")
    Run.objects.update(state="running")

    ask("a2")

    assert state_of(asking_run) == "running"
    scope = WorkScope(node="n", executors=["link"], links=[link.pk])
    assert [each.approval_id for each in list_work(scope).answers] == ["a2"]


def test_always_also_answers_what_waits_for_the_same(ask, call, ada):
    for approval, given in (("a1", LS), ("a2", LS), ("a3", {"command": "other"})):
        ask(approval, given=given)

    call(ada, "post", "approval", "a1", decision="allow", remember=True)

    assert decisions() == {"a1": "allow", "a2": "allow", "a3": ""}


def test_a_rule_counts_in_its_own_thread_only(ask, call, ada, org, agent, say):
    ask("a1")
    call(ada, "post", "approval", "a1", decision="allow", remember=True)
    other = services.create_thread(owner=ada, organization=org, agent=agent)
    elsewhere = say(to=other, approval_level="readonly")
    services.claim_run(run_id=elsewhere.pk)

    event = {
        **chunk("tool-approval-request", approvalId="b1", toolCallId="c"),
        "approval": {"tool": "Bash", "input": LS},
    }
    committing.commit([Share(elsewhere.pk, 1, [SandboxEvent(1, event)])])

    assert decisions()["b1"] == ""


def test_rules_are_listed_and_removed_and_then_it_is_asked_again(ask, call, ada, thread, chunks):
    ask("a1")
    call(ada, "post", "approval", "a1", decision="allow", remember=True)
    [rule] = call(ada, "get", "rules").json()["rules"]
    assert (rule["words"], rule["scope"]) == (
        "the command “ls -l” in the working folder, exactly as it stands",
        "command",
    )

    assert call(ada, "delete", "rule", rule["id"]).status_code == 204
    assert call(ada, "delete", "rule", rule["id"]).status_code == 204  # safe to repeat

    ask("a2")
    assert decisions()["a2"] == ""
    assert [len(each["rules"]) for each in told(chunks, thread, "data-rules")] == [1, 0]


def test_to_remember_again_makes_no_second_rule(ask, call, ada):
    ask()
    for _ in range(2):
        call(ada, "post", "approval", "a1", decision="allow", remember=True)

    assert ApprovalRule.objects.count() == 1


def test_a_thread_has_no_more_rules_than_the_limit(ask, call, ada, monkeypatch):
    monkeypatch.setattr("threads.services.rules.RULES_LIMIT", 1)
    ask("a1")
    ask("a2", given={"command": "other"})
    call(ada, "post", "approval", "a1", decision="allow", remember=True)

    answer = call(ada, "post", "approval", "a2", decision="allow", remember=True)

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "too_many_rules")
    assert decisions()["a2"] == ""


def test_a_denial_is_never_a_rule(ask, call, ada):
    ask()

    call(ada, "post", "approval", "a1", decision="deny", reason="too wide", remember=True)

    assert (decisions(), ApprovalRule.objects.count()) == ({"a1": "deny"}, 0)
    assert Approval.objects.get().reason == "too wide"


def test_several_are_answered_alike_in_one_request(ask, call, ada):
    for approval in ("a1", "a2", "a3"):
        ask(approval)

    for _ in range(2):  # safe to repeat
        answer = call(ada, "post", "approvals", approvalIds=["a1", "a3"], decision="allow")

    assert [each["approvalId"] for each in answer.json()["answered"]] == ["a1", "a3"]
    assert decisions() == {"a1": "allow", "a2": "", "a3": "allow"}


@pytest.mark.parametrize("wrong", ["unknown", "question", "denied"])
def test_all_are_answered_or_none(ask, call, ada, wrong):
    ask("a1")
    ask("denied")
    ask("question", tool="AskUserQuestion", given={"questions": []})
    call(ada, "post", "approval", "denied", decision="deny")

    answer = call(ada, "post", "approvals", approvalIds=["a1", wrong], decision="allow")

    assert answer.status_code in (404, 409)
    assert decisions()["a1"] == ""


def test_switching_to_auto_allows_what_waits_and_what_comes(ask, call, ada, asking_run):
    ask("a1")
    ask("question", tool="AskUserQuestion", given={"questions": []})

    switched = call(ada, "put", "level", level="auto").json()
    ask("a2", given={"command": "rm x"})

    assert switched == {"applies": "now", "allowed": ["a1"]}
    assert decisions() == {"a1": "allow", "question": "", "a2": "allow"}
    assert Approval.objects.get(approval_id="a2").answered_by == ada


def test_each_question_keeps_the_level_in_force_when_it_was_asked(ask, call, ada):
    ask("a1")
    call(ada, "put", "level", level="auto")
    ask("a2")
    call(ada, "put", "level", level="readonly")
    ask("a3")

    levels = dict(Approval.objects.values_list("approval_id", "level"))
    assert levels == {"a1": "readonly", "a2": "auto", "a3": "readonly"}
    assert decisions()["a3"] == ""


def test_a_denied_call_stays_denied_when_the_level_goes_to_auto(ask, call, ada):
    ask("a1")
    call(ada, "post", "approval", "a1", decision="deny")

    call(ada, "put", "level", level="auto")

    assert decisions() == {"a1": "deny"}


@pytest.mark.parametrize(
    ("begun", "level", "applies"),
    [
        ("auto", "readonly", "next"),
        ("auto", "auto", "now"),
        ("readonly", "readonly", "now"),
        ("readonly", "plan", "next"),
        ("plan", "auto", "next"),
    ],
)
def test_a_switch_says_from_when_it_counts(say, call, ada, begun, level, applies):
    mode = "plan" if begun == "plan" else "default"
    services.claim_run(run_id=say(approval_level=begun, mode=mode).pk)

    assert call(ada, "put", "level", level=level).json()["applies"] == applies


def test_without_a_run_a_switch_counts_from_the_next_message(call, ada):
    assert call(ada, "put", "level", level="auto").json() == {"applies": "next", "allowed": []}


def test_in_plan_mode_nothing_is_allowed_beforehand(ask, call, ada, asking_run):
    ask("a1")
    call(ada, "post", "approval", "a1", decision="allow", remember=True)
    Run.objects.filter(pk=asking_run.pk).update(mode="plan")

    call(ada, "put", "level", level="auto")
    ask("a2")

    assert decisions() == {"a1": "allow", "a2": ""}
    assert Approval.objects.get(approval_id="a2").level == "plan"


def test_planning_is_a_level_to_people_and_a_mode_to_agents(call, ada, link):
    said = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}

    call(ada, "post", "messages", messages=[said], harnessId="demo", toolApprovalLevel="plan")

    run = Run.objects.get()
    assert (run.mode, run.approval_level) == ("plan", "plan")


def test_a_message_without_a_level_gets_the_threads(call, ada, link):
    def send(id, **fields):
        said = {"id": id, "role": "user", "parts": [{"type": "text", "text": "hi"}]}
        call(ada, "post", "messages", messages=[said], harnessId="demo", **fields)
        return Run.objects.get(prompt__client_id=id)

    assert send("m1").approval_level == "auto"
    assert send("m2", toolApprovalLevel="readonly").approval_level == "readonly"
    assert send("m3").approval_level == "readonly"
    call(ada, "put", "level", level="plan")
    assert (send("m4").mode, send("m5").approval_level) == ("plan", "plan")


def test_strangers_find_nothing(ask, call, eve, ada):
    ask("a1")
    call(ada, "post", "approval", "a1", decision="allow", remember=True)
    rule = ApprovalRule.objects.get()

    answers = [
        call(eve, "post", "approvals", approvalIds=["a1"], decision="deny"),
        call(eve, "get", "rules"),
        call(eve, "delete", "rule", rule.pk),
        call(eve, "put", "level", level="auto"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert ApprovalRule.objects.exists()


def test_what_the_persons_settings_ask_is_asked_at_every_level(ask, thread, chunks, call, ada):
    ask()
    ask("a2", because="A rule of yours asks.")

    switched = call(ada, "put", "level", level="auto").json()
    ask("a3", because="A rule of yours asks.")

    assert switched["allowed"] == ["a1"]
    open_ones = Approval.objects.filter(decision="").order_by("approval_id")
    assert [each.approval_id for each in open_ones] == ["a2", "a3"]
    asked = [each for each in told(chunks, thread, "data-approval") if each["approvalId"] == "a3"]
    assert asked[0]["because"] == "A rule of yours asks."
