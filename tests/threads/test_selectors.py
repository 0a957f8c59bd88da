"""What is read: the viewer's own, of one moment, in a constant number of queries."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest

from mesh.models import Membership
from mesh.selectors import NotFound
from sandboxes.providers.base import SandboxEvent
from tests.threads.doubles import a_turn
from threads import selectors, services
from threads.journal import committing, rows
from threads.journal.committing import Share
from threads.journal.rows import Draft
from threads.models import Run
from threads.reading import message_pages, thread_pages


@pytest.fixture
def hear():
    """Return ``hear(run, *events)``: the run's machine says them, from the first on."""

    def commit(run, *bodies):
        if Run.objects.get(pk=run.pk).state == "queued":
            services.claim_run(run_id=run.pk)
        events = [SandboxEvent(n, body) for n, body in enumerate(bodies, 1)]
        return committing.commit([Share(run.pk, 1, events)])

    return commit


def texts(page):
    return [
        (m["role"], "".join(p["text"] for p in m["parts"] if p["type"] == "text"))
        for m in page["messages"]
    ]


def test_a_thread_is_its_owners(thread, ada, bob, eve):
    assert selectors.get_thread(viewer=ada, org_slug="home", thread_id=thread.pk) == thread
    for stranger in (bob, eve):
        with pytest.raises(NotFound):
            selectors.get_thread(viewer=stranger, org_slug="home", thread_id=thread.pk)


def test_who_left_the_organization_has_left_its_threads(thread, ada):
    Membership.objects.filter(user=ada).delete()

    assert selectors.find_thread(viewer=ada, thread_id=thread.pk) is None


@pytest.mark.parametrize("count", [1, 12])
def test_the_list_takes_one_query(ada, org, agent, say, count, django_assert_num_queries):
    for _ in range(count):
        say(to=services.create_thread(owner=ada, organization=org, agent=agent))

    with django_assert_num_queries(1):
        page = thread_pages.list_threads(viewer=ada, organization=org)
        summaries = [selectors.thread_summary(thread) for thread in page.threads]
    assert [summary["status"] for summary in summaries] == [*["queued"] * count, "idle"]


def test_a_summary(thread, say, ada, link):
    say("Hello there")
    found = selectors.get_thread(viewer=ada, org_slug="home", thread_id=thread.pk)

    summary = selectors.thread_summary(found)

    assert (summary["title"], summary["status"], summary["locked"]) == (
        "Hello there",
        "queued",
        True,
    )
    assert summary["machine"] == {
        "id": str(link.pk),
        "name": "adas-laptop",
        "state": "online",
        "cause": "",
    }
    assert (summary["harnessId"], summary["agent"]["slug"]) == ("demo", "default")
    assert (summary["runsOnMachine"], summary["resting"]) == (True, None)


def test_a_run_that_ended_here_before_its_machine_was_told_has_a_stop_due(thread, say, hear, ada):
    run = say("Hello there")
    hear(run, *a_turn("a")[:3])
    services.cancel(thread=thread)
    services.finish_run(run_id=run.pk, state="cancelled")

    def is_due():
        found = selectors.get_thread(viewer=ada, org_slug="home", thread_id=thread.pk)
        return selectors.thread_summary(found)["stopDue"]

    assert is_due()
    services.mark_stop_delivered(run_id=run.pk)
    assert not is_due()


@pytest.mark.parametrize("count", [1, 5])
def test_a_page_takes_five_queries(thread, say, hear, count, django_assert_num_queries):
    for _ in range(count):
        hear(say(), *a_turn("a"))
    hear(say(), *a_turn("b")[:3])

    with django_assert_num_queries(5):
        selectors.page_of(thread)


def test_answers_stand_behind_what_they_answer(thread, say, hear):
    first, second = say("one"), say("two")
    hear(first, *a_turn("1"))
    hear(second, *a_turn("2"))

    assert texts(selectors.page_of(thread)) == [
        ("user", "one"),
        ("assistant", "1"),
        ("user", "two"),
        ("assistant", "2"),
    ]


def test_an_answer_in_the_making_is_there_up_to_the_cursor(thread, say, hear):
    hear(say("one"), *a_turn("so far")[:3])

    page = selectors.page_of(thread)

    thread.refresh_from_db()
    answer = page["messages"][-1]
    assert page["cursor"] == thread.last_seq
    assert answer["parts"] == [{"type": "text", "text": "so far", "state": "streaming"}]
    assert answer["metadata"]["state"] == "running"


def test_a_page_is_of_one_moment(thread, say, hear, monkeypatch):
    """A run that ends between the look at the cursor and the look at the messages."""
    run = say("one")
    turn = a_turn("a", "b")
    hear(run, *turn[:3])
    objects = message_pages.Message.objects

    class Meanwhile:
        def filter(self, **given):
            hear(run, *turn)
            return objects.filter(**given)

    monkeypatch.setattr(message_pages, "Message", SimpleNamespace(objects=Meanwhile()))
    page = selectors.page_of(thread)

    assert texts(page) == [("user", "one"), ("assistant", "a")]
    assert page["messages"][-1]["parts"][0]["state"] == "streaming"


def test_events_are_read_behind_a_number(thread, say):
    say("one")
    say("two")

    found = selectors.list_events(thread_id=thread.pk, after=1, limit=2, size=9_999)

    assert [row.seq for row in found] == [2, 3]


def test_long_events_are_read_a_few_at_a_time(thread):
    rows.append(thread.pk, [Draft({"type": "x", "text": "x" * 100})] * 5)
    read = partial(selectors.list_events, thread_id=thread.pk, limit=9)

    assert [row.seq for row in read(after=0, size=200)] == [1, 2]
    assert [row.seq for row in read(after=2, size=1)] == [3]
