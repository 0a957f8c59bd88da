"""Messages whose run ended while they waited: no agent has them, and they can be sent after all."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from threads import selectors, services
from threads.models import Attachment, Run, Steer


@pytest.fixture
def api(thread):
    """Return ``api(user, method, name, *where, **body)``: status and JSON of the answer."""

    def call(user, method, name, *where, **body):
        client = APIClient()
        client.force_authenticate(user)
        address = reverse(name, args=["home", thread.pk, *where])
        answer = getattr(client, method)(address, body, format="json")
        return answer.status_code, answer.json() if answer.content else None

    return call


@pytest.fixture
def stopped(say, thread):
    """Two messages that waited when the person pressed Stop."""
    active, *waiting = [say(text) for text in ("go", "first", "second")]
    services.claim_run(run_id=active.pk)
    services.cancel(thread=thread)
    services.finish_run(run_id=active.pk, state="cancelled")
    return waiting


def shown(thread):
    """Return each message that the thread shows: its role, text, and whether it was never sent."""
    return [
        (
            each["role"],
            "".join(part.get("text", "") for part in each["parts"]),
            "neverSent" in each["metadata"],
        )
        for each in selectors.page_of(thread)["messages"]
    ]


UNSENT = [
    ("user", "go", False),
    ("assistant", "", False),
    ("user", "first", True),
    ("user", "second", True),
]


def test_they_stand_in_their_order_without_an_answer(stopped, thread):
    assert shown(thread) == UNSENT
    assert list(Run.objects.filter(never_sent=True).order_by("position")) == stopped


def test_readers_learn_it_before_the_empty_answer(stopped, thread, chunks):
    told = chunks(thread, run=stopped[0])[-4:]

    assert [chunk["type"] for chunk in told] == ["data-run-status", "start", "abort", "finish"]
    assert told[0]["data"] == {
        "runId": str(stopped[0].pk),
        "messageId": stopped[0].prompt.client_id,
        "state": "cancelled",
        "neverSent": True,
    }


def test_stop_says_what_became_of_each_message(say, api, thread, ada):
    runs = [say(text) for text in ("go", "read meanwhile", "waits")]
    services.claim_run(run_id=runs[0].pk)
    Steer.objects.create(run=runs[1], into=runs[0], tried_at=timezone.now())

    _, body = api(ada, "post", "cancel")

    became = ["stopping", "handed_over", "never_sent"]
    assert body["runs"] == [
        {"runId": str(run.pk), "messageId": run.prompt.client_id, "became": what}
        for run, what in zip(runs, became, strict=True)
    ]
    assert [run.never_sent for run in Run.objects.order_by("position")] == [False, False, True]


def test_stopping_twice_has_nothing_more_to_say(stopped, api, ada):
    assert api(ada, "post", "cancel") == (200, {"cancelled": True, "runs": []})


def test_a_run_that_the_agent_had_was_sent(say, thread):
    run = say()
    services.claim_run(run_id=run.pk)
    services.finish_run(run_id=run.pk, state="failed", code="sandbox_down")

    assert not Run.objects.get(pk=run.pk).never_sent


@pytest.mark.parametrize(
    ("state", "code"),
    [("expired", "expired"), ("expired", "no_worker"), ("failed", "link_removed")],
)
def test_the_page_says_why_another_was_never_sent(say, thread, state, code):
    run = say()
    services.finish_run(run_id=run.pk, state=state, code=code)

    [message] = selectors.page_of(thread)["messages"]
    why = message["metadata"]["neverSent"]
    assert (why["runId"], why["code"]) == (str(run.pk), code)
    assert all((why["message"], why["hint"]))


def test_it_is_sent_after_all_and_the_old_one_disappears(stopped, api, ada, thread):
    status, body = api(ada, "post", "send_again", stopped[0].pk)

    assert (status, body["parts"]) == (202, [{"type": "text", "text": "first"}])
    new = Run.objects.get(state="queued")
    assert body["runId"] == str(new.pk)
    assert shown(thread) == [UNSENT[0], UNSENT[1], UNSENT[3], ("user", "first", False)]


def test_its_files_come_along(say, thread, ada, api, org):
    run = say()
    file = Attachment.objects.create(
        organization=org, owner=ada, thread=thread, name="a.txt", media_type="text/plain", size=1
    )
    run.prompt.parts = [services.part_of(file)]
    run.prompt.save()
    thread.refresh_from_db()
    type(thread).objects.filter(pk=thread.pk).update(harness_id="claude-code")
    services.cancel(thread=thread)

    _, body = api(ada, "post", "send_again", run.pk)

    assert body["parts"] == [services.part_of(file)]


def test_sending_it_twice_sends_it_once(stopped, api, ada):
    answers = [api(ada, "post", "send_again", stopped[0].pk) for _ in range(2)]

    assert answers[0] == answers[1]
    assert Run.objects.filter(state="queued").count() == 1


def test_the_journal_takes_the_old_one_away_before_it_shows_the_new_one(stopped, thread, chunks):
    before = len(chunks(thread))
    services.send_unsent(
        thread=thread, run_id=stopped[0].pk, by=thread.owner, queue_when_offline=False
    )

    told = chunks(thread)[before:]
    assert [chunk["type"] for chunk in told] == [
        "data-run-status",
        "data-user-message",
        "data-run-status",
    ]
    assert [told[0]["data"][name] for name in ("code", "state")] == ["withdrawn", "cancelled"]


def test_a_refusal_changes_nothing(stopped, api, ada, thread, link):
    link.offline_after = None
    link.save()

    status, body = api(ada, "post", "send_again", stopped[0].pk)

    assert (status, body["error"]["code"]) == (409, "link_offline")
    assert shown(thread) == UNSENT


def test_on_request_it_waits_for_an_offline_machine(stopped, api, ada, link):
    link.offline_after = None
    link.save()

    status, _ = api(ada, "post", "send_again", stopped[0].pk, whenOffline="queue")

    assert status == 202


def test_it_can_be_withdrawn_and_is_then_not_sent(stopped, api, ada, thread, chunks):
    assert api(ada, "delete", "queued", stopped[0].pk) == (204, None)

    assert shown(thread) == [UNSENT[0], UNSENT[1], UNSENT[3]]
    assert chunks(thread)[-1]["data"]["code"] == "withdrawn"
    assert api(ada, "post", "send_again", stopped[0].pk)[0] == 404


@pytest.mark.parametrize("is_sent", [True, False])
def test_what_waits_or_was_sent_is_not_sent_again(say, api, ada, is_sent):
    run = say()
    if is_sent:
        services.claim_run(run_id=run.pk)

    status, body = api(ada, "post", "send_again", run.pk)

    assert (status, body["error"]["code"]) == (409, "already_dispatched")


def test_nobody_else_sends_it(stopped, api, bob):
    assert api(bob, "post", "send_again", stopped[0].pk)[0] == 404
