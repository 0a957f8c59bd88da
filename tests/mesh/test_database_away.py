"""While the database is away every edge answers 503, and says when to come again."""

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


@pytest.fixture
def away(monkeypatch):
    """Have every look at a session or token fail, as the first query of a request does."""

    def fail(*_, **__):
        raise OperationalError("connection to server at db.internal failed")

    monkeypatch.setattr(SessionStore, "load", fail)
    monkeypatch.setattr("mesh.authentication.find_sign_in", fail)


def test_a_page_says_that_it_can_be_tried_again(client, ada, away):
    client.cookies[settings.SESSION_COOKIE_NAME] = "x" * 32

    answer = client.get("/home/")

    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert "database can" in answer.content.decode()
    assert "db.internal" not in answer.content.decode()


@pytest.mark.parametrize("path", ["/api/links", "/api/home/decopilot/threads"])
def test_the_api_gives_a_code_and_a_time(client, ada, away, path):
    answer = client.get(path, headers={"Authorization": "Bearer " + "t" * 40})

    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert answer.json()["error"]["code"] == "store_not_ready"
    assert "db.internal" not in answer.content.decode()
