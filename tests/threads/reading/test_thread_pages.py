"""The list of a person's threads in pages, whatever happens to it meanwhile."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.threads.filled import fill_list, plan_of
from threads import services
from threads.models import Run, Thread
from threads.reading import thread_pages
from threads.reading.page_cursors import ThreadCursor
from threads.reading.thread_pages import list_busy, list_threads


@pytest.fixture
def listed(ada, org):
    """Return ``listed(cursor, …)``: a page of Ada's threads."""

    def of(cursor=None, **options):
        behind = ThreadCursor.parse(cursor) if cursor else None
        return list_threads(viewer=ada, organization=org, behind=behind, **options)

    return of


@pytest.fixture
def full(ada, org, agent):
    """Return ``full(count)``, which makes as many threads."""

    def make(number, **fields):
        return fill_list(owner=ada, organization=org, agent=agent, count=number, **fields)

    return make


def titles(page):
    return [str(thread) for thread in page.threads]


def walked(listed, cursor=None, **options):
    """Return the titles of all pages, older and older."""
    page = listed(cursor, **options)
    found = titles(page)
    while page.older:
        page = listed(page.older, **options)
        found += titles(page)
    return found


@pytest.mark.parametrize("number", [0, 1, 2, 3, 6, 7])
def test_all_pages_together_are_the_list(full, listed, number):
    full(number)

    assert walked(listed, limit=3) == [f"chat {n}" for n in range(number, 0, -1)]


def test_threads_of_one_moment_are_told_apart(full, listed):
    full(7)
    Thread.objects.update(updated_at=timezone.now())

    assert sorted(walked(listed, limit=2)) == [f"chat {n}" for n in range(1, 8)]


def test_behind_newer_is_what_came_or_changed_since(full, listed):
    threads = full(5)
    first = listed(limit=2)

    services.rename_thread(thread=threads[4], title="renamed")  # a new name moves nothing
    Thread.objects.filter(pk=threads[0].pk).update(updated_at=timezone.now())
    full(1, title="new")

    newer = listed(first.newer)
    assert sorted(titles(newer)) == ["chat 1", "new 1"]
    assert titles(listed(newer.newer)) == []
    assert listed(newer.newer).newer == newer.newer


def test_the_first_page_asked_again_has_what_has_come_into_it(full, listed):
    threads = full(5)
    page = listed(limit=2)
    Thread.objects.filter(pk=threads[0].pk).update(updated_at=timezone.now())

    again = listed(down_to=ThreadCursor.parse(page.older), limit=2)

    assert titles(again) == ["chat 1", "chat 5", "chat 4"]
    assert again.older == page.older
    assert titles(listed(again.older)) == ["chat 3", "chat 2"]


def test_a_first_page_that_has_grown_too_long_starts_again(full, listed, monkeypatch):
    monkeypatch.setattr(thread_pages, "MOST_THREADS", 3)
    full(5)
    oldest = listed(limit=4).older

    again = listed(down_to=ThreadCursor.parse(oldest), limit=2)

    assert titles(again) == ["chat 5", "chat 4"]
    assert titles(listed(again.older)) == ["chat 3", "chat 2", "chat 1"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        pytest.param("ÄRGER", ["Ärger im Büro"], id="capitals beyond ASCII"),
        pytest.param("büro ärg", ["Ärger im Büro"], id="words in any order, begun"),
        pytest.param("100%", ["100% done"], id="a sign of LIKE"),
        pytest.param("a_b", ["a_b (c)"], id="another"),
        pytest.param("(c)", ["a_b (c)"], id="a sign of regular expressions"),
        pytest.param("chat new", ["New chat"], id="what has no title yet"),
        pytest.param("nowhere", [], id="nothing"),
        pytest.param("  ", ["New chat", "a_b (c)", "100% done", "Ärger im Büro"], id="no word"),
    ],
)
def test_a_search_finds_titles_with_all_words(ada, org, agent, listed, words, found):
    for place, title in enumerate(["Ärger im Büro", "100% done", "a_b (c)", ""]):
        at = timezone.now() + timedelta(seconds=place)
        Thread.objects.create(organization=org, owner=ada, agent=agent, title=title, updated_at=at)

    assert titles(listed(search=words)) == found


def test_a_search_reaches_all_threads_in_pages(full, listed):
    full(300, title="other")
    full(5, title="wanted")

    assert walked(listed, search="WANTED", limit=2) == [f"wanted {n}" for n in range(5, 0, -1)]


def test_what_is_at_work_is_listed_however_old_it_is(full, ada, org, say):
    old, *_ = full(3)
    say(to=old)
    Thread.objects.filter(pk=old.pk).update(updated_at=timezone.now() - timedelta(days=300))

    assert list_busy(viewer=ada, organization=org) == [old]


def test_what_is_at_work_is_found_in_a_page_of_all_threads_without_a_query(
    full, listed, ada, org, say, django_assert_num_queries
):
    waiting, active, ended, _ = full(4)
    for thread, state in ((waiting, "queued"), (active, "running"), (ended, "completed")):
        run = say(to=thread)
        Run.objects.filter(pk=run.pk).update(
            state=state, finished_at=timezone.now() if state == "completed" else None
        )
    page = listed()

    with django_assert_num_queries(0):
        busy = list_busy(viewer=ada, organization=org, known=page.threads, are_all=True)
    assert busy == list_busy(viewer=ada, organization=org)
    assert {thread.pk for thread in busy} == {waiting.pk, active.pk}


def test_deleted_and_foreign_threads_are_on_no_page(full, listed, ada, bob, org, agent, say):
    deleted, *_ = full(2)
    say(to=deleted)
    services.delete_thread(thread=deleted)
    fill_list(owner=bob, organization=org, agent=agent, count=2, title="Bob's")

    assert walked(listed) == ["chat 2", "New chat"]
    assert walked(listed, search="chat") == ["chat 2", "New chat"]
    assert list_busy(viewer=ada, organization=org) == []


STEPS = st.lists(st.sampled_from(["page", "page", "add", "delete", "touch"]), max_size=30)


@pytest.mark.thorough
@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(begin=st.integers(0, 9), steps=STEPS, limit=st.integers(1, 4), data=st.data())
def test_whatever_happens_while_paging_nothing_is_shown_twice_or_missed(
    full, listed, ada, org, agent, begin, steps, limit, data
):
    with transaction.atomic():
        Thread.objects.all().delete()
        clock = (timezone.now() + timedelta(seconds=n) for n in count(1))
        stayed, moved = {thread.pk for thread in full(begin)}, set()
        page = listed(limit=limit)
        first, shown = page.newer, [thread.pk for thread in page.threads]
        for step in steps:
            there = sorted(Thread.objects.values_list("pk", flat=True))
            if step == "page" and page.older:
                page = listed(page.older, limit=limit)
                shown += [thread.pk for thread in page.threads]
            elif step == "add":
                Thread.objects.create(
                    organization=org, owner=ada, agent=agent, updated_at=next(clock)
                )
            elif there and step in ("delete", "touch"):
                chosen = data.draw(st.sampled_from(there))
                stayed.discard(chosen)
                if step == "delete":
                    Thread.objects.get(pk=chosen).delete()
                    moved.discard(chosen)
                else:
                    Thread.objects.filter(pk=chosen).update(updated_at=next(clock))
                    moved.add(chosen)
        while page.older:
            page = listed(page.older, limit=limit)
            shown += [thread.pk for thread in page.threads]

        assert len(shown) == len(set(shown))
        assert stayed <= set(shown)
        if first:
            assert moved <= {thread.pk for thread in listed(first, limit=200).threads}
        transaction.set_rollback(True)


@pytest.mark.parametrize("kind", ["first", "older", "newer", "again"])
def test_a_page_is_read_in_the_order_of_an_index(full, listed, kind):
    full(100)
    page = listed()
    with CaptureQueriesContext(connection) as queries:
        match kind:
            case "first":
                listed()
            case "again":
                listed(down_to=ThreadCursor.parse(page.older))
            case _:
                listed(getattr(page, kind))

    plan = plan_of(queries[0]["sql"])
    assert "newest_threads" in plan
    outer = [line for line in plan.splitlines() if "TEMP B-TREE" in line]
    assert outer == []


def test_a_page_asks_as_often_for_many_threads_as_for_few(full, listed, django_assert_num_queries):
    full(2_000)

    with django_assert_num_queries(1):
        listed()
    with django_assert_num_queries(1):
        listed(search="chat 1")
