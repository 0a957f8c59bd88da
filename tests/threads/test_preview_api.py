"""A thread's own sandbox, from the page: its preview, its steps, its events."""

import httpx
import pytest
from django.test import AsyncClient
from rest_framework.test import APIClient

from links.models import Link
from sandboxes.preview.tickets import find_place, read_cookie, use_ticket
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
def api(ada):
    client = APIClient()
    client.force_login(ada)
    return client


def at(thread, rest):
    return f"/api/home/decopilot/threads/{thread.pk}/sandbox/{rest}"


def test_the_preview_is_that_of_the_pinned_sandbox(api, thread, say, link, ada):
    say()
    Link.objects.create(user=ada, machine_id="m2", hostname="another", protocol_version=1)
    thread.refresh_from_db()

    told = api.post(at(thread, "preview"), HTTP_HOST="127.0.0.1:8321").json()

    handle = told["origin"].removeprefix("http://").partition(".")[0]
    cookie = use_ticket(told["url"].partition("ticket=")[2], handle=handle)
    assert find_place(read_cookie(cookie, handle=handle)) == place_of(thread)
    assert find_place(read_cookie(cookie, handle=handle)).link_id == link.pk


@pytest.mark.parametrize("rest", ["preview", "setup/start"])
def test_before_the_first_message_there_is_nothing_to_see(api, thread, answering, rest):
    assert code(api.post(at(thread, rest))) == (409, "not_begun")
    assert answering.asked == []


def test_a_step_is_started_again(api, thread, say, answering):
    say()
    answering.answer = httpx.Response(200, json={"enqueued": "start"})

    assert api.post(at(thread, "setup/start")).json() == {"enqueued": "start"}
    assert answering.asked[0][1:] == ("POST", "setup/start", {})


def test_a_step_that_there_is_not(api, thread, say, answering):
    say()

    assert code(api.post(at(thread, "setup/rm"))) == (400, "invalid_input")


async def test_events_of_a_machine_that_is_away(ada, thread, answering):
    from asgiref.sync import sync_to_async

    thread.sandbox_provider_kind, thread.harness_id, thread.branch = "remote-user", "demo", "main"
    await sync_to_async(thread.save)()
    answering.answer = LinkOffline("It sleeps.")
    client = AsyncClient()
    await client.aforce_login(ada)

    answer = await client.get(at(thread, "events"))
    body = b"".join([piece async for piece in answer.streaming_content])

    assert body.startswith(b"event: phase")
    assert b"It sleeps." in body


async def test_no_browser_shows_the_events(ada, thread, answering):
    client = AsyncClient()
    await client.aforce_login(ada)

    answer = await client.get(at(thread, "events"), headers={"sec-fetch-dest": "document"})

    assert code(answer) == (403, "not_a_page")


def test_another_persons_thread_is_not_there(thread, say, bob, answering):
    say()
    bobs = APIClient()
    bobs.force_authenticate(bob)

    for rest in ("preview", "setup/start"):
        assert code(bobs.post(at(thread, rest))) == (404, "not_found")
    assert code(APIClient().post(at(thread, "preview"))) == (401, "unauthorized")


@pytest.mark.parametrize("port", [5173, None])
def test_a_port_is_chosen(api, thread, say, answering, port):
    say()
    answering.answer = httpx.Response(200, json={"port": port})

    chosen = api.post(at(thread, "port"), {"port": port}, format="json")

    assert chosen.json() == {"port": port}
    assert answering.asked[0][1:] == ("POST", "port", {"port": port})


@pytest.mark.parametrize("body", [{}, {"port": 0}, {"port": 65536}, {"port": "x"}])
def test_what_is_no_port_is_not_asked_for(api, thread, say, answering, body):
    say()

    assert api.post(at(thread, "port"), body, format="json").status_code == 400
    assert answering.asked == []


def test_why_a_port_can_not_be_shown_is_told(api, thread, say, answering):
    say()
    error = {"code": "port_not_own", "message": "No process of this project listens there."}
    answering.answer = httpx.Response(409, json={"error": error})

    assert code(api.post(at(thread, "port"), {"port": 22}, format="json")) == (409, "port_not_own")
