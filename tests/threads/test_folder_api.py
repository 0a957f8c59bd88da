"""The person's uncommitted changes, taken along into the thread's own sandbox."""

import httpx
import pytest
from rest_framework.test import APIClient

from sandboxes.providers.base import LinkOffline
from tests.sandboxes.doubles import AnsweringProvider
from tests.sandboxes.test_api import code
from threads.targets import place_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def answering(monkeypatch):
    provider = AnsweringProvider()
    monkeypatch.setattr("sandboxes.providers.provider_for", lambda kind: provider)
    return provider


@pytest.fixture
def take(ada, thread):
    client = APIClient()
    client.force_login(ada)
    return lambda: client.post(f"/api/home/decopilot/threads/{thread.pk}/sandbox/take-along")


def test_the_thread_s_own_sandbox_takes_them(take, say, thread, answering):
    say()
    answering.answer = httpx.Response(200, json={"ok": True, "taken": ["a.txt"]})

    assert take().json()["taken"] == ["a.txt"]
    thread.refresh_from_db()
    assert answering.asked == [(place_of(thread), "POST", "git/take-along", {})]


def test_what_the_sandbox_refuses_is_passed_on(take, say, answering):
    say()
    refusal = {"error": {"code": "changes_conflict", "message": "No.", "files": ["a.txt"]}}
    answering.answer = httpx.Response(409, json=refusal)

    assert code(take()) == (409, "changes_conflict")


def test_before_the_first_message_there_is_no_folder(take, answering):
    assert code(take()) == (409, "not_begun")
    assert answering.asked == []


def test_a_machine_that_is_away_is_told(take, say, answering):
    say()
    answering.answer = LinkOffline("It sleeps.")

    assert code(take()) == (503, "no_sandbox_runner")
