"""The JSON API of threads, as a program meets it."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from agents.catalog import load_catalog, load_runnable
from agents.core.offers import read_offer
from agents.models import Agent, DefaultModel
from threads import services
from threads.models import AgentOptions, Approval, BackgroundWork, Message, Run, Thread
from threads.serving.turn_input import harness_input


@pytest.fixture
def client_of():
    def make(user):
        client = APIClient()
        if user is not None:
            client.force_authenticate(user)
        return client

    return make


@pytest.fixture
def post(thread, client_of, link):
    """Return ``post(user, text, **body)``: what that user's request is answered."""

    def send(user, text="hi", **body):
        said = {"id": str(uuid4()), "role": "user", "parts": [{"type": "text", "text": text}]}
        body = {
            "messages": [said],
            "agent": {"id": "default"},
            "harnessId": "demo",
            **body,
        }
        return client_of(user).post(reverse("messages", args=["home", thread.pk]), body)

    return send


def said(text="hi", role="user", **more):
    return {"role": role, "parts": [{"type": "text", "text": text}], **more}


def code(answer):
    return answer.json()["error"]["code"]


def test_a_thread_is_made_with_the_default_agent(client_of, ada, agent):
    answer = client_of(ada).post(reverse("threads", args=["home"]), {})

    assert answer.status_code == 201
    assert answer.json()["agent"]["slug"] == "default"
    assert answer.json()["status"] == "idle"
    assert Thread.objects.get(pk=answer.json()["id"]).owner == ada


def test_a_thread_of_an_unknown_agent_is_refused(client_of, ada, agent):
    answer = client_of(ada).post(reverse("threads", args=["home"]), {"agentId": "nobody"})

    assert (answer.status_code, code(answer)) == (404, "not_found")


def test_the_list_shows_only_the_callers_threads(client_of, ada, bob, thread):
    url = reverse("threads", args=["home"])

    assert [t["id"] for t in client_of(ada).get(url).json()["threads"]] == [str(thread.pk)]
    assert client_of(bob).get(url).json()["threads"] == []


def test_accepts_a_message(post, ada, thread):
    answer = post(ada)

    run = Run.objects.get()
    assert answer.status_code == 202
    assert answer.json() == {
        "taskId": str(thread.pk),
        "runId": str(run.pk),
        "messageId": run.prompt.client_id,
        "answeredBy": None,
    }


def test_the_same_message_again_gives_the_same_run(post, ada):
    message = said(id="c1")

    first = post(ada, messages=[message])
    second = post(ada, messages=[message])

    assert (second.status_code, second.json()) == (202, first.json())
    assert Message.objects.count() == 1


def test_a_message_without_an_id_is_repeatable_while_it_is_unanswered(post, ada):
    first = post(ada, messages=[said()])

    assert post(ada, messages=[said()]).json() == first.json()
    assert post(ada, messages=[said("something else")]).json() != first.json()


@pytest.mark.parametrize(
    ("who", "status"),
    [
        pytest.param(None, 401, id="nobody"),
        pytest.param("bob", 404, id="a colleague, not his thread"),
        pytest.param("eve", 404, id="a stranger"),
    ],
)
def test_refuses_others(post, request, who, status):
    answer = post(request.getfixturevalue(who) if who else None)

    assert answer.status_code == status
    assert all(answer.json()["error"][part] for part in ("code", "message", "hint"))
    assert Message.objects.count() == 0


def test_an_unknown_thread_looks_like_a_foreign_one(client_of, ada, eve, thread):
    unknown = client_of(ada).get(reverse("thread", args=["home", uuid4()]))
    foreign = client_of(eve).get(reverse("thread", args=["home", thread.pk]))
    other_org = client_of(ada).get(reverse("thread", args=["other", thread.pk]))

    assert unknown.status_code == foreign.status_code == other_org.status_code == 404
    assert unknown.json() == foreign.json() == other_org.json()


@pytest.mark.parametrize(
    ("body", "status", "expected", "text"),
    [
        pytest.param({"messages": []}, 400, "invalid_input", "", id="no message"),
        pytest.param(
            {"messages": [said(), said()]},
            400,
            "invalid_input",
            "Expected exactly one non-system message",
            id="two messages",
        ),
        pytest.param(
            {"messages": [said(role="system")]},
            400,
            "invalid_input",
            "Expected exactly one non-system message",
            id="only a system message",
        ),
        pytest.param({"branch": "a..b"}, 400, "bad_branch", "name", id="no branch"),
        pytest.param({"branch": "--force"}, 400, "bad_branch", "name", id="an option of git"),
        pytest.param(
            {"messages": [said(role="robot")]}, 400, "invalid_input", "robot", id="unknown role"
        ),
        pytest.param(
            {"messages": [{"role": "user", "parts": "hi"}]},
            400,
            "invalid_input",
            "",
            id="parts are no list",
        ),
        pytest.param(
            {"messages": [{"role": "user", "parts": []}]},
            400,
            "invalid_input",
            "is empty",
            id="nothing said",
        ),
        pytest.param({"messages": 5}, 400, "invalid_input", "", id="messages are no list"),
        pytest.param({"tier": "huge"}, 400, "tier_unavailable", "", id="unknown tier"),
        pytest.param(
            {"thread_id": str(uuid4())},
            400,
            "invalid_input",
            "threadId in URL does not match thread_id in body",
            id="another thread in the body",
        ),
        pytest.param(
            {"memory": {"windowSize": 5, "thread_id": "x"}},
            400,
            "invalid_input",
            "threadId in URL does not match thread_id in body",
            id="another thread in memory",
        ),
        pytest.param({"agent": {"id": "nobody"}}, 400, "agent_mismatch", "", id="another agent"),
        pytest.param({"harnessId": "hal"}, 400, "unknown_harness", "", id="unknown harness"),
        pytest.param(
            {"sandboxProviderKind": "docker"},
            400,
            "sandbox_kind_unavailable",
            "",
            id="no such sandbox here",
        ),
        pytest.param({"temperature": "hot"}, 400, "invalid_input", "", id="temperature"),
        pytest.param({"temperature": 0.5}, 400, "temperature_unsupported", "", id="a program's"),
        pytest.param({"mode": "web-search"}, 400, "mode_unavailable", "", id="no search"),
        pytest.param({"mode": "gen-image"}, 400, "mode_unavailable", "", id="no pictures"),
        pytest.param({"mode": "dance"}, 400, "invalid_input", "", id="mode"),
        pytest.param({"toolApprovalLevel": "yolo"}, 400, "invalid_input", "", id="level"),
        pytest.param({"folderChoices": ["cancel"]}, 400, "invalid_input", "", id="no choice"),
        pytest.param({"folderChoices": "work_here"}, 400, "invalid_input", "", id="no list"),
    ],
)
def test_refuses_bad_input(post, ada, body, status, expected, text):
    answer = post(ada, **body)

    assert (answer.status_code, code(answer)) == (status, expected)
    assert text in answer.json()["error"]["message"]
    assert Message.objects.count() == Run.objects.count() == 0


def test_the_checks_come_in_their_order_and_keep_nothing(post, ada, link, thread):
    """threads-and-sandboxes §1.1: everything is wrong at first, and is mended bit by bit."""
    link.offline_after = None
    link.save()
    body = {
        "messages": [said(), said()],
        "thread_id": str(uuid4()),
        "tier": "huge",
        "agent": {"id": "nobody"},
        "harnessId": "hal",
        "sandboxProviderKind": "toaster",
    }
    mends = [
        ("Expected exactly one", {"messages": [said()]}),
        ("does not match", {"thread_id": str(thread.pk)}),
        ("tier_unavailable", {"tier": "smart"}),
        ("agent_mismatch", {"agent": {"id": "default"}}),
        ("unknown_harness", {"harnessId": "demo"}),
        ("sandbox_kind_unavailable", {"sandboxProviderKind": None}),
        ("link_offline", {"whenOffline": "queue"}),
    ]
    for refusal, mend in mends:
        answer = post(ada, **body)
        assert refusal in f"{code(answer)} {answer.json()['error']['message']}"
        assert Message.objects.count() == Run.objects.count() == 0
        thread.refresh_from_db()
        assert (thread.harness_id, thread.link_id) == ("", None)
        body |= mend

    assert post(ada, **body).status_code == 202


def test_an_agent_that_can_not_plan_is_not_asked_to(post, ada, link):
    link.capabilities = ["decopilot-sandbox", "acp:vibe"]
    link.save()

    refused = post(ada, harnessId="acp:vibe", toolApprovalLevel="plan")
    assert (refused.status_code, code(refused)) == (409, "level_unavailable")
    assert Message.objects.count() == Run.objects.count() == 0

    assert post(ada, harnessId="acp:vibe", toolApprovalLevel="readonly").status_code == 202


@pytest.fixture
def own_agent(settings, tmp_path):
    """An agent of the operator's, which the table of programs does not have."""
    path = tmp_path / "catalog.toml"
    tier = 'key = "smart"\nlabel = "Own"\ndescription = "Its own"\nicon = "zap"\n'
    entry = '[[agents]]\nkind = "acp:mine"\ntitle = "Mine"\nneeds = "capability"\n'
    path.write_text(f"{entry}[[agents.tiers]]\n{tier}")
    settings.MESH_CATALOG = str(path)
    for cached in (load_catalog, load_runnable):
        cached.cache_clear()
    yield
    settings.MESH_CATALOG = ""
    for cached in (load_catalog, load_runnable):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("levels", "status"),
    [
        pytest.param(None, 202, id="before it has run"),
        pytest.param(["auto", "readonly"], 409, id="it has no such mode"),
        pytest.param(["auto", "plan"], 202, id="it has one"),
    ],
)
def test_an_agent_that_the_table_lacks_is_known_once_it_has_run(
    post, ada, link, own_agent, levels, status
):
    link.capabilities = ["decopilot-sandbox", "acp:mine"]
    link.save()
    offer = read_offer({"levels": levels}).as_json()
    AgentOptions.objects.create(link=link, harness_id="acp:mine", options=offer)

    answer = post(ada, harnessId="acp:mine", toolApprovalLevel="plan")

    assert answer.status_code == status
    assert status == 202 or code(answer) == "level_unavailable"


@pytest.mark.parametrize(
    ("levels", "status"),
    [
        pytest.param("auto readonly", 409, id="it has no such mode"),
        pytest.param("auto plan", 202, id="it has one"),
    ],
)
def test_an_agent_that_has_said_it_to_the_machine_is_known_before_it_runs(
    post, client, ada, link, own_agent, levels, status
):
    report = {"state": "ready", "version": "1.2", "detail": "", "levels": levels}
    link.capabilities, link.harnesses = ["decopilot-sandbox", "acp:mine"], {"acp:mine": report}
    link.save()
    client.force_login(ada)

    shown = client.get(f"/api/home/decopilot/agent-options?harnessId=acp:mine&linkId={link.pk}")
    page = client.get("/home/?choice=acp:mine:smart").content.decode()
    answer = post(ada, harnessId="acp:mine", toolApprovalLevel="plan")

    assert shown.json()["levels"] == levels.split()
    assert ("Mine has no mode in which it changes nothing." in page) is (status == 409)
    assert answer.status_code == status
    assert status == 202 or code(answer) == "level_unavailable"


@pytest.mark.parametrize(
    ("version", "levels"),
    [
        pytest.param("1.2", ["auto", "plan"], id="what it said in a run counts most"),
        pytest.param("1.1", ["auto"], id="unless that was another version"),
    ],
)
def test_of_a_run_and_of_the_machine_the_one_of_this_version_counts(
    client, ada, link, version, levels
):
    report = {"state": "ready", "version": "1.2", "detail": "", "levels": "auto"}
    link.harnesses = {"acp:mine": report}
    link.save()
    offer = read_offer({"levels": ["auto", "plan"]}).as_json()
    row = {"link": link, "harness_id": "acp:mine", "version": version}
    AgentOptions.objects.create(options=offer, **row)
    client.force_login(ada)

    shown = client.get(f"/api/home/decopilot/agent-options?harnessId=acp:mine&linkId={link.pk}")

    assert shown.json()["levels"] == levels


@pytest.mark.parametrize(
    ("harness", "levels"),
    [
        ("claude-code", ["auto", "readonly", "plan"]),
        ("acp:vibe", ["auto", "readonly"]),
        ("acp:fast-agent", ["auto", "readonly", "plan"]),
        ("acp:mine", ["auto", "plan"]),
        ("acp:other", None),
    ],
)
def test_the_levels_of_an_agent_can_be_asked_for(client, ada, link, harness, levels):
    offer = read_offer({"levels": ["auto", "plan"]}).as_json()
    AgentOptions.objects.create(link=link, harness_id="acp:mine", options=offer)
    client.force_login(ada)

    address = f"/api/home/decopilot/agent-options?harnessId={harness}&linkId={link.pk}"

    assert client.get(address).json()["levels"] == levels


def test_what_the_reference_still_sends_is_dropped(post, ada, thread):
    answer = post(ada, runLocally=True, thread_id=str(thread.pk), whatever={"x": 1})

    assert answer.status_code == 202


def test_a_body_over_10_mb_is_413(client_of, ada, thread):
    answer = client_of(ada).post(
        reverse("messages", args=["home", thread.pk]),
        b'{"x": "' + b"a" * 10 * 1024 * 1024 + b'"}',
        content_type="application/json",
    )

    assert (answer.status_code, code(answer)) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(b"{", "application/json", id="broken"),
        pytest.param(b"[]", "application/json", id="no object"),
        pytest.param(b"a=b", "application/x-www-form-urlencoded", id="a form"),
    ],
)
def test_what_is_no_json_is_400(client_of, ada, thread, body, kind):
    url = reverse("messages", args=["home", thread.pk])
    answer = client_of(ada).post(url, body, content_type=kind)

    assert (answer.status_code, code(answer)) == (400, "invalid_json")


def test_an_offline_machine_is_409_and_pins_nothing(post, ada, thread, link):
    """S46, and the pins' defect of lessons §7."""
    link.offline_after = None
    link.save()

    answer = post(ada)

    thread.refresh_from_db()
    assert (answer.status_code, code(answer)) == (409, "link_offline")
    assert answer.json()["error"]["machine"] == "adas-laptop"
    assert (thread.harness_id, thread.link, Message.objects.count()) == ("", None, 0)


def test_a_missing_capability_is_409_with_those_there_are(post, ada, link):
    """S47."""
    link.capabilities = ["decopilot-sandbox"]
    link.save()

    answer = post(ada, harnessId="claude-code")

    assert (answer.status_code, code(answer)) == (409, "capability_missing")
    assert answer.json()["error"]["activeCapabilities"] == ["decopilot-sandbox"]


@pytest.mark.parametrize("wished", [{"harnessId": "decopilot"}, {"harnessId": None}])
def test_decopilot_without_a_key_is_refused_with_the_way_to_one(post, ada, thread, wished):
    """Also where nobody was named, for an agent that only Decopilot can answer for."""
    Agent.objects.update(metadata={"files": "none"})

    answer = post(ada, **wished)

    thread.refresh_from_db()
    assert (answer.status_code, code(answer)) == (400, "tier_unavailable")
    assert "settings, under AI providers" in answer.json()["error"]["hint"]
    assert Message.objects.count() == Run.objects.count() == 0
    assert (thread.harness_id, thread.branch, thread.last_seq) == ("", "", 0)


def test_decopilot_at_a_tier_without_a_model_is_refused(post, ada, key):
    DefaultModel.objects.filter(tier="thinking").delete()

    refused = post(ada, harnessId="decopilot", tier="thinking")

    assert (refused.status_code, code(refused)) == (400, "tier_unavailable")
    instead = refused.json()["error"]["instead"]
    assert instead["tier"] in ("fast", "smart")
    assert f"“{instead['title']}” has one" in refused.json()["error"]["message"]
    assert post(ada, harnessId="decopilot", tier="smart").status_code == 202


def test_decopilot_takes_a_temperature(post, ada, key):
    assert post(ada, harnessId="decopilot", temperature=0.25).status_code == 202
    assert Run.objects.get().temperature == 0.25


def test_a_message_may_choose_in_advance_how_to_work_in_the_folder(post, ada):
    assert post(ada, folderChoices=["work_here", "new_branch"]).status_code == 202
    assert harness_input(Run.objects.get())["folderChoices"] == ["work_here", "new_branch"]


def test_a_message_may_wait_for_an_offline_machine(post, ada, thread, link):
    link.offline_after = None
    link.save()

    assert post(ada, whenOffline="queue").status_code == 202
    assert Run.objects.get().state == "queued"


def test_later_bodies_cannot_change_the_pins(post, ada, thread):
    post(ada)
    post(ada, harnessId="claude-code", branch="elsewhere")

    thread.refresh_from_db()
    assert (thread.harness_id, thread.branch) == ("demo", f"thread:{thread.pk}")


def test_the_messages_come_with_a_cursor(post, client_of, ada, thread):
    post(ada, "hello there")

    page = client_of(ada).get(reverse("messages", args=["home", thread.pk])).json()

    thread.refresh_from_db()
    assert [m["parts"][0]["text"] for m in page["messages"]] == ["hello there"]
    assert page["messages"][0]["metadata"]["createdAt"]
    assert page["cursor"] == thread.last_seq


def test_stopping_a_queued_run_ends_it_immediately(post, client_of, ada, thread):
    post(ada)

    answer = client_of(ada).post(reverse("cancel", args=["home", thread.pk]))

    assert answer.status_code == 200
    assert [run["became"] for run in answer.json().pop("runs")] == ["never_sent"]
    assert Run.objects.get().state == "cancelled"


def test_stopping_a_run_elsewhere_is_202(post, client_of, ada, thread):
    post(ada)
    Run.objects.update(state="running")

    answer = client_of(ada).post(reverse("cancel", args=["home", thread.pk]))

    body = answer.json()
    assert [run["became"] for run in body.pop("runs")] == ["stopping"]
    assert (answer.status_code, body) == (202, {"cancelled": True, "async": True})
    assert Run.objects.get().cancelled_at is not None


@pytest.fixture
def working(thread):
    """Ada's thread, whose agent runs the tests in the background."""
    task = {"id": "b1", "title": "npm test", "kind": "command", "startedAt": 5.0}
    BackgroundWork.objects.create(thread=thread, tasks=[task])
    return task


def test_a_thread_names_what_runs_in_the_background(client_of, ada, thread, working):
    shown = client_of(ada).get(reverse("thread", args=["home", thread.pk])).json()

    assert shown["background"] == [working | {"isStopping": False}]


def test_stopping_an_idle_thread_names_what_was_stopped(client_of, ada, thread, working):
    answer = client_of(ada).post(reverse("cancel", args=["home", thread.pk]))

    stopped = [working | {"isStopping": True}]
    assert answer.json() == {"cancelled": True, "runs": [], "background": stopped}
    shown = client_of(ada).get(reverse("thread", args=["home", thread.pk])).json()
    assert shown["background"] == stopped


@pytest.mark.parametrize(
    ("task", "status"), [pytest.param("b1", 202, id="it"), pytest.param("b2", 404, id="another")]
)
def test_one_thing_in_the_background_is_stopped(client_of, ada, thread, working, task, status):
    answer = client_of(ada).delete(reverse("background-task", args=["home", thread.pk, task]))

    assert answer.status_code == status
    assert BackgroundWork.objects.get().stops == (["b1"] if status == 202 else [])


def test_stopping_a_foreign_thread_is_404(client_of, eve, thread):
    assert client_of(eve).post(reverse("cancel", args=["home", thread.pk])).status_code == 404


def test_renames(client_of, ada, thread):
    url = reverse("thread", args=["home", thread.pk])

    assert client_of(ada).patch(url, {"title": "Plans"}).json()["title"] == "Plans"
    assert client_of(ada).get(url).json()["title"] == "Plans"


def test_a_deleted_thread_is_gone_and_its_run_stopped(post, client_of, ada, thread):
    post(ada)
    url = reverse("thread", args=["home", thread.pk])

    assert client_of(ada).delete(url).status_code == 204
    assert client_of(ada).get(url).status_code == 404
    assert post(ada).status_code == 404
    assert Run.objects.get().state == "cancelled"


@pytest.fixture
def answer(post, ada, client_of, thread):
    """Return ``answer(user, **body)``: what is said to that user's answer to a question."""
    post(ada)
    run = Run.objects.get()
    Run.objects.update(state="waiting")
    Approval.objects.create(
        run=run, approval_id="a1", tool_call_id="c", tool="AskUserQuestion", input={}, level="auto"
    )
    url = reverse("approval", args=["home", thread.pk, "a1"])
    return lambda user, **body: client_of(user).post(url, body)


def test_an_answer_carries_what_was_chosen(answer, ada):
    given = answer(ada, decision="allow", answers={"Which?": "this", "And?": ["a", "b"]})

    assert (given.status_code, given.json()["decision"]) == (200, "allow")
    assert Approval.objects.get().answers == {"Which?": "this", "And?": ["a", "b"]}


def test_a_denial_carries_no_answers(answer, ada):
    answer(ada, decision="deny", answers={"Which?": "this"})

    assert Approval.objects.get().answers == {}


@pytest.mark.parametrize("answers", [["this"], {"Which?": 7}, {"Which?": "x" * 5_000}])
def test_answers_that_are_none_are_refused(answer, ada, answers):
    refused = answer(ada, decision="allow", answers=answers)

    assert refused.status_code == 400
    assert "answer" in refused.json()["error"]["message"]
    assert Approval.objects.get().decision == ""


def test_a_strangers_answer_is_404(answer, eve):
    assert answer(eve, decision="allow").status_code == 404


def test_an_answer_is_unread_until_it_was_seen(client_of, post, ada, bob, eve, thread):
    url = reverse("thread", args=["home", thread.pk])
    run = Run.objects.get(pk=post(ada).json()["runId"])
    assert client_of(ada).get(url).json()["unread"] is False

    services.finish_run(run_id=run.pk, state="failed", code="stuck")
    assert client_of(ada).get(url).json()["unread"] is True
    assert {client_of(who).put(f"{url}/seen").status_code for who in (bob, eve)} == {404}
    assert [client_of(ada).put(f"{url}/seen").status_code for _ in range(2)] == [204, 204]

    assert client_of(ada).get(url).json()["unread"] is False
