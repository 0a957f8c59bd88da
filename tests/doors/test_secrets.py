"""Previews, tickets, grants and logs hold nothing that signs anybody in."""

from __future__ import annotations

import base64
import json
import zlib
from urllib.parse import urlsplit

import pytest


def unpacked(signed):
    """Return what stands in a signed text, as anybody can read it."""
    payload = signed.partition(":")[0]
    data = base64.urlsafe_b64decode(payload.lstrip(".") + "===")
    return (zlib.decompress(data) if payload.startswith(".") else data).decode()


@pytest.fixture(scope="module")
def secrets(front):
    """What signs Ada or her laptop in, and what the server signs and seals with."""
    keys = front.shell(
        "from django.conf import settings\n"
        "answer([settings.SECRET_KEY, *settings.MESH_ENCRYPTION_KEYS])"
    )
    machine = [path.read_text().strip() for path in front.laptop_home.glob("**/token")]
    assert machine
    return [front.ada.token, front.ada.cookie.partition("=")[2], *machine, *keys]


def found(text, secrets):
    return [secret for secret in secrets if secret in text]


@pytest.fixture(scope="module", params=["session", "token"])
def entered(request, front):
    """A preview's ticket, got by either sign-in, and the cookie that it became."""
    signed_in = front.ada.bearer
    if request.param == "session":
        page = front.rude().request("GET", "/home/", {"Cookie": front.ada.cookie})
        csrf = page.headers["set-cookie"].partition(";")[0]
        signed_in = {
            "Cookie": f"{front.ada.cookie}; {csrf}",
            "X-CSRFToken": csrf.partition("=")[2],
            "Origin": front.url,
            "Referer": front.url + "/",
        }
    path = f"/api/home/decopilot/threads/{front.thread}/sandbox/preview"
    headers = {"Content-Type": "application/json", **signed_in}
    offer = front.rude().request("POST", path, headers, b"{}").json()
    ticket = offer["url"].partition("#ticket=")[2]
    host = urlsplit(offer["origin"]).netloc
    answer = front.rude().request("POST", "/.mesh/enter", (), ticket.encode(), host=host)
    return offer["url"], ticket, answer


def test_a_ticket_and_its_cookie_hold_no_sign_in(entered, secrets):
    _, ticket, answer = entered
    cookie = answer.headers["set-cookie"].partition(";")[0].partition("=")[2].strip('"')

    assert "handle" in json.loads(unpacked(ticket))
    assert found(unpacked(ticket) + unpacked(cookie), secrets) == []


def test_a_preview_answers_without_one(entered, secrets):
    url, _, answer = entered

    assert found(url + str(answer.headers) + answer.body.decode(), secrets) == []


def test_an_agent_is_given_none(front, secrets):
    thread = front.new_thread("run env")
    with front.client() as api:
        said = json.dumps(api.get(f"/threads/{thread}/messages").json())

    assert "PATH=" in said
    assert found(said, secrets) == []


def test_no_server_writes_one_into_its_log(front, entered, secrets):
    # The address that signs the owner of `make run` in is printed, once, for the person there.
    assert found(front.log(), [*secrets, entered[1]]) == []
