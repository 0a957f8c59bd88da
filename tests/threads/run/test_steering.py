"""A waiting message handed to the agent in the middle of its work: once, or in its turn."""

from __future__ import annotations

from itertools import count

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import DONE, chunk
from threads import selectors, services
from threads.core.executors import LINK
from threads.journal import committing
from threads.journal.committing import Share
from threads.models import Run, Steer
from threads.serving.orders import WorkScope, list_work


@pytest.fixture
def run(say):
    """An active run."""
    run = say("first", client_id="first")
    services.claim_run(run_id=run.pk)
    return run


@pytest.fixture
def waiting(run, say):
    """A message that waits behind it."""
    return say("and this", client_id="second")


@pytest.fixture
def hear(run):
    """Return ``hear(*bodies)``: the sandbox sends them for the active run."""
    numbers = count(1)

    def commit(*bodies):
        events = [SandboxEvent(next(numbers), body) for body in bodies]
        return committing.commit([Share(run.pk, 1, events)])

    return commit


@pytest.fixture
def steer(thread, waiting):
    """Return ``steer(user)``: what the API answers."""

    def send(user, run=waiting):
        client = APIClient()
        client.force_authenticate(user)
        return client.post(reverse("steer", args=["home", thread.pk, run.pk]))

    return send


def due(link):
    scope = WorkScope(node="A", executors=[LINK], links=[link.pk])
    return list_work(scope).steers


def code(answer):
    return answer.json()["error"]["code"]


def said(kind, steer):
    return {"type": f"steer-{kind}", "steerId": str(steer.pk)}


def told(chunks, thread, kind):
    return [c["data"] for c in chunks(thread) if c["type"] == kind]


def state_of(run):
    return Run.objects.get(pk=run.pk).state


def test_a_steered_message_still_waits(steer, ada, waiting, run, link, thread, chunks):
    for _ in range(2):  # safe to repeat
        assert steer(ada).status_code == 202

    row = Steer.objects.get()
    assert (row.run, row.into, row.asked_by) == (waiting, run, ada)
    assert state_of(waiting) == "queued"
    assert [(each.id, each.run_id) for each in due(link)] == [(row.pk, run.pk)]
    assert [each["state"] for each in told(chunks, thread, "data-steering")] == ["asked"]


def test_when_the_agent_has_it_it_stands_in_the_answer(
    steer, ada, hear, waiting, thread, chunks, link
):
    steer(ada)
    row = Steer.objects.get()

    hear(chunk("start"), said("taken", row), said("applied", row))

    row.refresh_from_db()
    assert row.taken_at <= row.applied_at
    assert state_of(waiting) == "steered"
    [part] = told(chunks, thread, "data-steer")
    assert part["message"]["parts"][0]["text"] == "and this"
    assert due(link) == []
    page = selectors.page_of(thread)
    assert [m["id"] for m in page["messages"] if m["role"] == "user"] == ["first"]
    assert page["messages"][-1]["parts"][-1]["type"] == "data-steer"


def test_a_reader_of_the_waiting_run_sees_its_end(steer, ada, hear, waiting, thread, chunks):
    steer(ada)
    hear(said("taken", Steer.objects.get()), said("applied", Steer.objects.get()))

    assert chunks(thread, run=waiting)[-1]["type"] == "finish"


def test_a_program_learns_whose_answer_contains_it(steer, ada, hear, waiting, run, thread, chunks):
    def sent_again():
        client = APIClient()
        client.force_authenticate(ada)
        message = {"id": waiting.prompt.client_id, "role": "user", "parts": []}
        body = {"messages": [message | {"parts": [{"type": "text", "text": "and this"}]}]}
        path = reverse("messages", args=["home", thread.pk])
        return client.post(path, body | {"agent": {"id": "default"}}).json()["answeredBy"]

    steer(ada)
    assert sent_again() is None

    hear(said("taken", Steer.objects.get()), said("applied", Steer.objects.get()))

    told_by = [
        chunk.get("messageMetadata", chunk.get("data", {})).get("answeredBy")
        for chunk in chunks(thread, run=waiting)
    ]
    assert sent_again() == str(run.pk)
    assert [each for each in told_by if each] == [str(run.pk)] * 2  # its status, and its start


def test_what_the_agent_does_not_take_goes_out_in_its_turn(
    steer, ada, hear, waiting, thread, chunks
):
    steer(ada)
    row = Steer.objects.get()

    hear(said("taken", row), said("refused", row), chunk("finish"), DONE)

    assert state_of(waiting) == "queued"
    assert services.claim_run(run_id=waiting.pk)
    assert [s["state"] for s in told(chunks, thread, "data-steering")] == ["asked", "refused"]


def test_after_a_refusal_it_can_be_handed_over_again(steer, ada, hear):
    steer(ada)
    first = Steer.objects.get()
    hear(said("refused", first))

    assert steer(ada).status_code == 202
    assert Steer.objects.get() != first  # under another id, which the sandbox does not know


def test_a_run_that_ends_before_goes_without_it(steer, ada, hear, waiting):
    steer(ada)
    services.try_steer(steer_id=Steer.objects.get().pk)

    hear(chunk("finish"), DONE)

    assert (state_of(waiting), Steer.objects.exists()) == ("queued", False)


def test_what_the_sandbox_took_before_it_died_is_not_sent_twice(
    steer, ada, hear, waiting, run, chunks, thread
):
    steer(ada)
    died = {"type": "error", "code": "sandbox_died", "message": "It died."}

    hear(said("taken", Steer.objects.get()), died, DONE)

    assert (state_of(run), state_of(waiting)) == ("failed", "steered")
    assert told(chunks, thread, "data-steer")


@pytest.mark.parametrize(("tried", "state"), [(False, "queued"), (True, "steered")])
def test_by_the_servers_word_it_may_have_reached_the_agent_or_not(
    steer, ada, waiting, run, tried, state
):
    steer(ada)
    if tried:
        services.try_steer(steer_id=Steer.objects.get().pk)

    services.finish_run(run_id=run.pk, state="failed", code="sandbox_down")

    assert state_of(waiting) == state


def test_a_late_refusal_of_what_was_applied_changes_nothing(steer, ada, hear, waiting):
    steer(ada)
    row = Steer.objects.get()
    hear(said("taken", row), said("applied", row))

    services.mark_steer_delivered(steer_id=row.pk, is_taken=False)

    assert state_of(waiting) == "steered"


def test_a_message_that_may_have_been_read_is_neither_edited_nor_withdrawn(
    steer, ada, waiting, thread, link
):
    steer(ada)
    services.try_steer(steer_id=Steer.objects.get().pk)
    client = APIClient()
    client.force_authenticate(ada)
    where = reverse("queued", args=["home", thread.pk, waiting.pk])
    parts = [{"type": "text", "text": "x"}]

    answers = [client.patch(where, {"parts": parts}, format="json"), client.delete(where)]

    assert [(a.status_code, code(a)) for a in answers] == [(409, "already_dispatched")] * 2


def test_what_is_given_is_what_it_says_at_that_moment(steer, ada, waiting, thread):
    steer(ada)
    change = services.QueueChange(parts=[{"type": "text", "text": "edited"}])
    services.change_queued(thread=thread, run_id=waiting.pk, change=change, by=ada)

    given = services.try_steer(steer_id=Steer.objects.get().pk)

    assert given["parts"][0]["text"] == "edited"


def test_a_withdrawn_message_is_not_steered(steer, ada, waiting, thread, link):
    steer(ada)
    services.withdraw_queued(thread=thread, run_id=waiting.pk, by=ada)

    assert due(link) == []
    assert services.try_steer(steer_id=Steer.objects.get().pk) is None


def test_stop_stops_both(steer, ada, waiting, thread, link):
    steer(ada)
    services.cancel(thread=thread)

    assert (state_of(waiting), due(link)) == ("cancelled", [])


@pytest.mark.parametrize(
    ("harness", "expected"), [("acp:gemini", "cannot_steer"), ("unheard-of", "cannot_steer")]
)
def test_a_harness_that_takes_nothing_is_a_409(steer, ada, thread, harness, expected):
    type(thread).objects.filter(pk=thread.pk).update(harness_id=harness)

    answer = steer(ada)

    assert (answer.status_code, code(answer)) == (409, expected)


def test_without_an_active_run_it_is_a_409(steer, ada, run):
    services.finish_run(run_id=run.pk, state="completed")

    assert code(steer(ada)) == "nothing_runs"


def test_what_has_gone_out_is_a_409(steer, ada, run):
    assert code(steer(ada, run)) == "already_dispatched"


def test_strangers_find_nothing(steer, eve, bob):
    assert [steer(user).status_code for user in (eve, bob)] == [404, 404]


@pytest.mark.parametrize(
    ("harness", "steers", "hears"),
    [
        ("codex", "now", False),
        ("claude-code", "now", True),
        ("demo", "now", True),
        ("acp:gemini", "next", False),
    ],
)
def test_the_page_is_told_what_the_catalog_says(thread, ada, harness, steers, hears):
    type(thread).objects.filter(pk=thread.pk).update(harness_id=harness)

    found = selectors.thread_summary(selectors.find_thread(viewer=ada, thread_id=thread.pk))

    assert (found["steer"], found["hearsReasons"]) == (steers, hears)
