"""What waits can be changed until it has gone out, and every device is told the same."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from tests.threads.races import in_parallel
from threads import selectors, services
from threads.core.executors import LINK
from threads.models import Message, Run
from threads.serving.orders import WorkScope, find_order, list_work


def next_runs(link):
    scope = WorkScope(node="A", executors=[LINK], links=[link.pk])
    return [job.run_id for job in list_work(scope).jobs]


def text(words):
    return [{"type": "text", "text": words}]


def words_of(run):
    return Message.objects.get(run=run).parts[0]["text"]


@pytest.fixture
def queued(say):
    """Three messages that wait: a, b, c."""
    return [say(words, client_id=words) for words in "abc"]


@pytest.fixture
def order(thread):
    """Return ``order()``: the waiting messages' words, the next one first."""
    return lambda: "".join(words_of(run) for run in selectors.list_queue(thread=thread))


@pytest.fixture
def call(thread):
    """Return ``call(user, method, run=None, **body)``: what the API answers."""

    def send(user, method, run=None, **body):
        client = APIClient()
        client.force_authenticate(user)
        where = ["home", thread.pk, *([run.pk if isinstance(run, Run) else run] if run else [])]
        return getattr(client, method)(reverse("queued" if run else "queue", args=where), body)

    return send


def code(answer):
    return answer.json()["error"]["code"]


def test_the_queue_is_listed_in_order(call, ada, queued):
    listed = call(ada, "get").json()["queue"]

    assert [each["messageId"] for each in listed] == ["a", "b", "c"]
    assert listed[0]["runId"] == str(queued[0].pk)
    assert listed[0]["parts"] == text("a")


def test_other_words_go_out(call, ada, queued, thread, chunks):
    answer = call(ada, "patch", queued[0], parts=text("other"))

    assert answer.status_code == 200
    assert answer.json()["parts"] == text("other")
    assert chunks(thread)[-1]["data"]["message"]["parts"] == text("other")
    services.claim_run(run_id=queued[0].pk)
    assert find_order(queued[0].pk).input["messages"][-1]["parts"] == text("other")


@pytest.mark.parametrize(
    ("moves", "before", "expected"),
    [("c", "a", "cab"), ("a", None, "bca"), ("a", "c", "bac"), ("b", "b", "abc")],
)
def test_a_place_is_given(call, ada, queued, thread, chunks, order, moves, before, expected):
    runs = dict(zip("abc", queued, strict=True))

    answer = call(ada, "patch", runs[moves], before=str(runs[before].pk) if before else None)

    assert (answer.status_code, order()) == (200, expected)
    assert chunks(thread)[-1] == {
        "type": "data-queue",
        "data": {"order": list(expected)},
        "transient": True,
    }


def test_the_first_of_the_queue_goes_first_and_what_is_sent_later_last(
    queued, thread, ada, link, say, order
):
    change = services.QueueChange(moves=True, before=queued[0].pk)
    services.change_queued(thread=thread, run_id=queued[2].pk, change=change, by=ada)
    say("d")

    assert order() == "cabd"
    assert next_runs(link) == [queued[2].pk]


def test_a_page_shows_the_conversation_in_the_order_it_had(queued, thread, ada):
    change = services.QueueChange(moves=True, before=queued[0].pk)
    services.change_queued(thread=thread, run_id=queued[2].pk, change=change, by=ada)
    services.claim_run(run_id=queued[2].pk)
    services.finish_run(run_id=queued[2].pk, state="completed")

    page = selectors.page_of(thread)

    said = [message["id"] for message in page["messages"] if message["role"] == "user"]
    assert said == ["c", "a", "b"]
    assert [each["messageId"] for each in page["queue"]] == ["a", "b"]


def test_what_is_withdrawn_is_never_sent_and_leaves_the_page(call, ada, queued, thread, link):
    assert call(ada, "delete", queued[0]).status_code == 204
    assert call(ada, "delete", queued[0]).status_code == 204  # safe to repeat

    page = selectors.page_of(thread)
    assert [message["id"] for message in page["messages"]] == ["b", "c"]
    assert next_runs(link) == [queued[1].pk]


def test_readers_are_told_of_a_withdrawal_and_its_run_ends(queued, thread, ada, chunks):
    services.withdraw_queued(thread=thread, run_id=queued[0].pk, by=ada)

    told = chunks(thread, run=queued[0])
    assert told[-1]["type"] == "finish"  # a program that follows the run stops waiting
    [status] = [c["data"] for c in told if c["type"] == "data-run-status"][-1:]
    assert (status["state"], status["code"]) == ("cancelled", "withdrawn")


def test_a_withdrawn_message_is_not_what_the_thread_did_last(say, thread, ada):
    answered = say()
    services.claim_run(run_id=answered.pk)
    services.finish_run(run_id=answered.pk, state="completed")
    services.withdraw_queued(thread=thread, run_id=say().pk, by=ada)

    found = selectors.find_thread(viewer=ada, thread_id=thread.pk)
    assert selectors.thread_summary(found)["status"] == "completed"


def test_what_has_gone_out_is_refused_with_a_code(call, ada, queued):
    services.claim_run(run_id=queued[0].pk)
    gone, other = queued[:2]

    refused = [
        call(ada, "patch", gone, parts=text("late")),
        call(ada, "patch", gone, before=None),
        call(ada, "patch", other, before=str(gone.pk)),
        call(ada, "delete", gone),
    ]

    assert [(a.status_code, code(a)) for a in refused] == [(409, "already_dispatched")] * 4
    assert words_of(gone) == "a"


def test_of_words_and_place_both_or_neither_are_changed(call, ada, queued):
    services.claim_run(run_id=queued[0].pk)

    answer = call(ada, "patch", queued[1], parts=text("new"), before=str(queued[0].pk))

    assert (answer.status_code, words_of(queued[1])) == (409, "b")


def test_strangers_find_nothing(call, eve, bob, queued):
    for user in (eve, bob):
        answers = [call(user, "get"), call(user, "patch", queued[0], parts=text("x"))]
        answers.append(call(user, "delete", queued[0]))
        assert [answer.status_code for answer in answers] == [404] * 3


def test_only_the_author_changes_a_message(call, ada, bob, queued):
    Message.objects.filter(run=queued[0]).update(author=bob)

    answers = [call(ada, "patch", queued[0], parts=text("x")), call(ada, "delete", queued[0])]

    assert [(a.status_code, code(a)) for a in answers] == [(403, "not_the_author")] * 2


@pytest.mark.parametrize(
    "body", [{}, {"parts": []}, {"parts": [{"text": "no type"}]}, {"before": "first"}]
)
def test_refuses_bad_input(call, ada, queued, body):
    assert call(ada, "patch", queued[0], **body).status_code == 400


def test_an_unknown_run_is_not_found(call, ada, queued):
    assert call(ada, "delete", uuid4()).status_code == 404


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """On PostgreSQL they really meet (``tests.on_postgres``); SQLite lets one after the other."""

    @pytest.mark.parametrize("turn", range(5))
    def test_an_edit_and_a_claim(self, thread, ada, say, turn):
        """Either the agent gets the new words, or the person hears that it is too late."""
        run = say("old")
        change = services.QueueChange(parts=text("new"))

        def edit():
            return services.change_queued(thread=thread, run_id=run.pk, change=change, by=ada)

        def claim():
            services.claim_run(run_id=run.pk)
            return find_order(run.pk).input["messages"][-1]["parts"]

        edited, sent = in_parallel(edit, claim)

        too_late = getattr(edited, "code", "") == "already_dispatched"
        assert sent == text("old" if too_late else "new")
        assert words_of(run) == sent[0]["text"]

    @pytest.mark.parametrize("turn", range(5))
    def test_a_withdrawal_and_a_claim(self, thread, ada, say, turn):
        run = say()

        withdrawn, claimed = in_parallel(
            lambda: services.withdraw_queued(thread=thread, run_id=run.pk, by=ada),
            lambda: services.claim_run(run_id=run.pk),
        )

        run.refresh_from_db()
        assert (withdrawn is None) is not claimed
        assert run.state == ("dispatched" if claimed else "cancelled")

    def test_many_moves_keep_every_message_once(self, thread, ada, say, order):
        runs = [say(words) for words in "abcdef"]

        def move(run, before):
            change = services.QueueChange(moves=True, before=before.pk)
            return lambda: services.change_queued(
                thread=thread, run_id=run.pk, change=change, by=ada
            )

        results = in_parallel(*[move(runs[n], runs[(n + 3) % 6]) for n in range(6)])

        assert [r for r in results if isinstance(r, Exception)] == []
        assert sorted(order()) == list("abcdef")
        assert len(set(Run.objects.values_list("position", flat=True))) == 6
