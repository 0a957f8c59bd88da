"""A conversation in pages: whole, in order, and at the same cost whatever its length."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mesh.selectors import NotFound
from tests.threads.filled import fill, plan_of, text_part
from threads import selectors, services
from threads.models import Run, Thread
from threads.reading import message_pages
from threads.reading.message_pages import cursor_at, page_of
from threads.reading.page_cursors import MessageCursor


def parse(text):
    return MessageCursor.parse(text)


def said(page):
    return [message["parts"][0]["text"] for message in page["messages"]]


def questions(page):
    return [message["id"] for message in page["messages"] if message["role"] == "user"]


def all_pages(thread, **options):
    """Return the pages of a thread from the newest to the oldest."""
    pages = [page_of(thread, **options)]
    while pages[-1]["older"]:
        pages.append(page_of(thread, behind=parse(pages[-1]["older"]), **options))
    return pages


def test_the_first_page_is_the_newest_messages_in_their_order(thread):
    fill(thread, 5)

    page = page_of(thread, limit=2)

    assert said(page) == ["question 4", "answer 4", "question 5", "answer 5"]
    assert page["newer"] is None


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 7])
def test_all_pages_together_are_the_whole_conversation(thread, turns):
    fill(thread, turns)

    pages = all_pages(thread, limit=2)

    shown = [text for page in reversed(pages) for text in said(page)]
    assert shown == [f"{who} {n}" for n in range(1, turns + 1) for who in ("question", "answer")]


def test_the_way_back_to_newer_messages_shows_the_same(thread):
    fill(thread, 7)
    oldest = all_pages(thread, limit=2)[-1]

    found, page = said(oldest), oldest
    while page["newer"]:
        page = page_of(thread, behind=parse(page["newer"]), limit=2)
        found += said(page)

    assert found == [text for page in all_pages(thread, limit=100) for text in said(page)]


def test_what_is_said_meanwhile_moves_no_older_page(thread, say):
    fill(thread, 4)
    older = page_of(thread, limit=2)["older"]

    say("meanwhile")

    assert questions(page_of(thread, behind=parse(older), limit=2)) == ["q1", "q2"]


def test_all_that_waits_is_on_the_first_page(thread, say):
    fill(thread, 3)
    for word in "abc":
        say(word, client_id=word)

    page = page_of(thread, limit=1)

    assert questions(page) == ["q3", "a", "b", "c"]
    assert [each["messageId"] for each in page["queue"]] == ["a", "b", "c"]
    assert questions(page_of(thread, behind=parse(page["older"]), limit=9)) == ["q1", "q2"]


def test_what_was_withdrawn_takes_no_place_on_a_page(thread, say, ada):
    fill(thread, 2)
    gone = [say(word) for word in "abc"]
    for run in gone:
        services.withdraw_queued(thread=thread, run_id=run.pk, by=ada)

    assert questions(page_of(thread, limit=2)) == ["q1", "q2"]


def test_large_answers_make_a_page_shorter(thread, monkeypatch):
    monkeypatch.setattr(message_pages, "SIZE", 1_000)
    fill(thread, 6, parts=lambda number: [text_part("x" * 600)])

    pages = all_pages(thread, limit=30)

    assert [len(questions(page)) for page in pages] == [2, 2, 2]


def test_an_answer_larger_than_a_page_is_a_page(thread, monkeypatch):
    monkeypatch.setattr(message_pages, "SIZE", 1_000)
    fill(thread, 2, parts=lambda number: [text_part("x" * 5_000)])

    assert [questions(page) for page in all_pages(thread)] == [["q2"], ["q1"]]


def test_a_page_can_begin_with_a_question_or_with_what_an_answer_answers(thread):
    fill(thread, 5)
    run = Run.objects.get(prompt__client_id="q3")

    for message_id in ("q3", str(run.pk)):
        page = page_of(thread, behind=cursor_at(thread, message_id), limit=2)
        assert questions(page) == ["q3", "q4"]
        assert questions(page_of(thread, behind=parse(page["older"]))) == ["q1", "q2"]
        assert questions(page_of(thread, behind=parse(page["newer"]))) == ["q5"]


def test_a_page_that_begins_with_the_first_message_has_none_before(thread):
    fill(thread, 2)

    page = page_of(thread, behind=cursor_at(thread, "q1"))

    assert (page["older"], page["newer"]) == (None, None)


@pytest.mark.parametrize(
    "message_id", ["nothing", "x" * 100, "00000000-0000-0000-0000-000000000000"]
)
def test_an_unknown_message_is_not_found(thread, message_id):
    fill(thread, 1)

    with pytest.raises(NotFound):
        cursor_at(thread, message_id)


def test_a_message_of_another_thread_is_not_found(thread, ada, org, agent):
    other = fill(services.create_thread(owner=ada, organization=org, agent=agent), 1)

    for message_id in ("q1", str(other.runs.get().pk)):
        with pytest.raises(NotFound):
            cursor_at(thread, message_id)


def test_a_page_asks_the_database_as_often_for_a_long_thread_as_for_a_short_one(
    thread, ada, org, agent
):
    long = fill(services.create_thread(owner=ada, organization=org, agent=agent), 1_000)
    fill(thread, 40)
    for behind in (None, MessageCursor(90), MessageCursor(4, is_newer=True)):
        counts = []
        for each in (thread, long):
            with CaptureQueriesContext(connection) as queries:
                page_of(each, behind=behind)
            counts.append(len(queries))
        assert counts[0] == counts[1] <= 6


@pytest.mark.parametrize("behind", [None, MessageCursor(90), MessageCursor(4, is_newer=True)])
def test_a_page_reads_its_runs_in_the_order_of_an_index(thread, behind):
    fill(thread, 100)
    with CaptureQueriesContext(connection) as queries:
        page_of(thread, behind=behind)

    pages = [q["sql"] for q in queries if re.search("threads_run.*ORDER BY.*LIMIT", q["sql"])]
    assert len(pages) == 1
    for plan in map(plan_of, pages):
        assert "runs_in_order" in plan
        assert not re.search("sort|temp b-tree", plan, re.IGNORECASE)


def test_the_summary_of_a_thread_does_not_look_at_all_its_runs(thread):
    summarised = selectors.summarised(Thread.objects.filter(pk=thread.pk))

    # Of the active run and why it rests, of what waits, and of state and moment of the last end.
    # PostgreSQL may find the first three by partial indexes; SQLite takes none whose condition is
    # a list.
    if connection.vendor == "sqlite":
        found = re.findall(
            r"U0 USING INDEX newest_ends \(thread_id=\? AND fin", summarised.explain()
        )
        assert len(found) == 5
    else:
        with CaptureQueriesContext(connection) as queries:
            list(summarised)
        assert plan_of(queries[0]["sql"]).count("newest_ends") >= 2


def test_an_answer_in_the_making_stands_at_the_end_of_a_long_thread(thread, say):
    fill(thread, 50)
    run = say("now")
    services.claim_run(run_id=run.pk)

    page = page_of(thread, limit=3)

    assert questions(page)[-2:] == ["q50", run.prompt.client_id]
    assert page["cursor"] == Thread.objects.get(pk=thread.pk).last_seq
