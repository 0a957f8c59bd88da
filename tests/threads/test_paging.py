"""Pages of threads and messages, as programs and browsers ask for them."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from tests.threads.filled import fill, fill_list
from threads import services
from threads.models import Thread


@pytest.fixture
def get(thread):
    """Return ``get(user, name, …)``: what the API answers to that user."""

    def ask(user, name, **query):
        client = APIClient()
        client.force_authenticate(user)
        args = ["home", thread.pk] if name == "messages" else ["home"]
        return client.get(reverse(name, args=args), query)

    return ask


@pytest.fixture
def full(ada, org, agent):
    """Return ``full(count)``, which makes as many threads of Ada's."""

    def make(number, **fields):
        return fill_list(owner=ada, organization=org, agent=agent, count=number, **fields)

    return make


def ids(html):
    return re.findall(r'id="row-([-0-9a-f]{36})"', html)


def older_of(html):
    found = re.search(r'data-older="([-\w]+)"', html)
    return found and found[1]


def test_a_program_reads_the_whole_list_page_by_page(get, ada, full):
    full(120)
    found, page = [], ""
    while page is not None:
        answer = get(ada, "threads", page=page).json()
        found += [thread["id"] for thread in answer["threads"]]
        page = answer["older"]

    assert len(found) == len(set(found)) == Thread.objects.count()


def test_a_program_reads_the_whole_conversation_page_by_page(get, ada, thread):
    fill(thread, 70)
    found, page = [], ""
    while page is not None:
        answer = get(ada, "messages", page=page).json()
        found = [message["id"] for message in answer["messages"]] + found
        page = answer["older"]

    asked = [one for one in found if one.startswith("q")]
    assert (len(found), asked) == (140, [f"q{n}" for n in range(1, 71)])


def test_a_program_searches_all_threads(get, ada, full):
    full(1, title="needle")
    full(300)

    found = get(ada, "threads", search="NEEDLE").json()["threads"]

    assert [thread["title"] for thread in found] == ["needle 1"]


def test_a_program_reads_from_a_message_on(get, ada, thread):
    fill(thread, 9)

    page = get(ada, "messages", at="q4", limit=2).json()

    assert [m["id"] for m in page["messages"] if m["role"] == "user"] == ["q4", "q5"]
    assert get(ada, "messages", at="q99").status_code == 404


@pytest.mark.parametrize("name", ["threads", "messages"])
@pytest.mark.parametrize("page", ["x", "WyJ4Il0", "ä", "a" * 5_000])
def test_a_bad_cursor_is_one_clear_refusal(get, ada, name, page):
    answer = get(ada, name, page=page)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "bad_page_cursor")
    assert error["message"]
    assert error["hint"]


def test_the_cursor_of_one_list_is_no_cursor_of_the_other(get, ada, thread):
    fill(thread, 2)
    cursor = get(ada, "messages", limit=1).json()["older"]

    assert get(ada, "threads", page=cursor).json()["error"]["code"] == "bad_page_cursor"


@pytest.mark.parametrize("limit", ["0", "-1", "201", "x"])
@pytest.mark.parametrize("name", ["threads", "messages"])
def test_a_limit_has_limits(get, ada, name, limit):
    answer = get(ada, name, limit=limit)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_input")


def test_a_cursor_of_anothers_thread_opens_nothing(get, ada, bob, thread):
    fill(thread, 3)
    cursor = get(ada, "messages", limit=1).json()["older"]

    assert get(bob, "messages", page=cursor).status_code == 404


def test_a_long_thread_opens_with_as_many_queries_and_bytes_as_a_short_one(
    client, ada, org, agent, thread
):
    client.force_login(ada)
    long = fill(services.create_thread(owner=ada, organization=org, agent=agent), 1_000)
    cost = []
    client.get(f"/home/threads/{thread.pk}")
    for each in (fill(thread, 40), long):
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(f"/home/threads/{each.pk}")
        cost.append((len(queries), len(answer.content) // 2_000))

    assert cost[0] == cost[1]


def test_the_page_lists_the_newest_and_what_is_at_work(client, ada, full, say):
    old, *_ = full(80)
    say(to=old)
    Thread.objects.filter(pk=old.pk).update(updated_at=old.updated_at)
    client.force_login(ada)

    html = client.get("/home/").content.decode()

    assert len(ids(html)) == 51
    assert str(old.pk) in ids(html)


def test_the_rows_behind_the_list_come_page_by_page(client, ada, full):
    full(120)
    client.force_login(ada)
    html = client.get("/home/").content.decode()
    found = ids(html)
    while cursor := older_of(html):
        html = client.get(f"/home/older?chats={cursor}").content.decode()
        found += ids(html)

    assert len(found) == len(set(found)) == 120


def test_without_script_older_chats_are_a_link(client, ada, full):
    full(60)
    client.force_login(ada)
    html = client.get("/home/").content.decode()
    link = re.search(r'href="(\?chats=[-\w]+)"', html)[1]

    older = client.get(f"/home/{link}").content.decode()

    assert len(ids(older)) == 10
    assert "Newest chats" in older


def test_the_list_keeps_its_length_when_it_is_asked_again(client, ada, full):
    full(60)
    client.force_login(ada)
    cursor = older_of(client.get("/home/").content.decode())
    full(1, title="new")

    again = client.get(f"/home/live?upto={cursor}").content.decode()

    assert (len(ids(again)), older_of(again)) == (51, cursor)


def test_the_page_searches_all_chats_and_counts_who_needs_the_person(client, ada, full, say):
    full(1, title="needle")
    full(300)
    services.claim_run(run_id=(run := say("x")).pk)
    type(run).objects.update(state="waiting")
    client.force_login(ada)

    html = client.get("/home/live", {"search": "nEEdle"}).content.decode()

    assert len(ids(html)) == 1
    assert 'id="needs" data-count="1"' in html


@pytest.mark.parametrize("query", ["chats=x", "upto=x"])
@pytest.mark.parametrize("path", ["/home/", "/home/live", "/home/older"])
def test_a_page_with_a_bad_cursor_is_a_bad_request(client, ada, agent, path, query):
    client.force_login(ada)

    assert client.get(f"{path}?{query}").status_code == 400


def test_a_stranger_sees_no_older_rows(client, eve, org, full):
    full(3)
    client.force_login(eve)

    assert client.get("/home/older").status_code == 404


def test_the_schema_knows_the_pages(client, db):
    paths = client.get("/api/schema/", headers={"accept": "application/json"}).json()["paths"]

    for path, extra in (("", {"search"}), ("/{thread_id}/messages", {"at", "short", "sdk"})):
        get = paths[f"/api/{{org}}/decopilot/threads{path}"]["get"]
        names = {each["name"] for each in get["parameters"] if each["in"] == "query"}
        assert names == {"page", "limit", *extra}


def test_a_page_has_the_head_of_a_long_output_and_says_where_the_whole_is(get, client, ada, thread):
    long = {
        "type": "dynamic-tool",
        "toolName": "Bash",
        "toolCallId": "a b&c",
        "output": "x" * 10**6,
    }
    fill(thread, 1, parts=lambda number: [long])
    client.force_login(ada)

    answer = client.get(f"/home/threads/{thread.pk}")
    [_, short] = get(ada, "messages", short="true").json()["messages"]
    [_, whole] = get(ada, "messages").json()["messages"]

    assert len(answer.content) < 100_000
    assert whole["parts"] == [long]
    [part] = short["parts"]
    assert client.get(part["outputCut"]["url"]).json() == {"part": long}


@pytest.mark.parametrize("who", ["bob", "eve"])
def test_a_whole_output_is_its_readers_only(client, request, thread, who):
    fill(thread, 1, parts=lambda number: [{"type": "dynamic-tool", "toolCallId": "t"}])
    url = reverse("part", args=["home", thread.pk, thread.runs.get().pk])
    client.force_login(request.getfixturevalue(who))

    assert client.get(f"{url}?toolCallId=t").status_code == 404


@pytest.mark.parametrize(
    ("query", "status"), [("?toolCallId=other", 404), ("", 400), ("?toolCallId=", 400)]
)
def test_an_output_that_is_not_there_is_refused(client, ada, thread, query, status):
    fill(thread, 1, parts=lambda number: [{"type": "dynamic-tool", "toolCallId": "t"}])
    client.force_login(ada)

    url = reverse("part", args=["home", thread.pk, thread.runs.get().pk])

    assert client.get(url + query).status_code == status
