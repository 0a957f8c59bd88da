"""The files of a thread's own sandbox, from the page: who may ask, and what is asked of it."""

from urllib.parse import quote

import httpx
import pytest
from django.test import AsyncClient
from rest_framework.test import APIClient

from mesh.models import Membership
from sandboxes.providers.base import LinkOffline, SandboxDown
from tests.sandboxes.doubles import AnsweringProvider
from tests.sandboxes.test_api import code
from threads.browse_api import UPLOAD_LIMIT
from threads.targets import place_of

pytestmark = pytest.mark.django_db(transaction=True)

LOOKS = {
    "": ("POST", "files/list", {"path": ""}),
    "?path=a%20b": ("POST", "files/list", {"path": "a b"}),
    "/marks": ("GET", "git/status", None),
    "/text?path=%20a%0Ab": ("POST", "files/text", {"path": " a\nb"}),
    "/find?text=login": ("POST", "files/find", {"text": "login", "hidden": False}),
    "/search?text=%20x&matchCase=true": (
        "POST",
        "files/search",
        {"text": " x", "matchCase": True, "isPattern": False},
    ),
}
CHANGES = {
    "save": {"path": "a", "content": " x\n", "version": "v"},
    "mkdir": {"path": "a"},
    "rename": {"from": "a", "to": "b"},
    "delete": {"path": "a"},
    "restore": {"undo": "u"},
}


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


def at(thread, rest=""):
    return f"/api/home/decopilot/threads/{thread.pk}/sandbox/files{rest}"


@pytest.mark.parametrize("rest", LOOKS)
def test_the_thread_s_own_sandbox_is_asked(api, thread, say, answering, rest):
    say()

    assert api.get(at(thread, rest)).json() == {"ok": True}
    thread.refresh_from_db()
    assert answering.asked == [(place_of(thread), *LOOKS[rest])]


@pytest.mark.parametrize("name", CHANGES)
def test_the_thread_s_own_sandbox_changes_files(api, thread, say, answering, name):
    say()

    told = api.post(at(thread, f"/{name}"), CHANGES[name], format="json")

    assert told.json() == {"ok": True}
    assert answering.asked[0][1:] == ("POST", f"files/{name}", CHANGES[name])


@pytest.mark.parametrize("name", CHANGES)
def test_what_lacks_a_field_is_not_asked_for(api, thread, say, answering, name):
    say()

    assert api.post(at(thread, f"/{name}"), {}, format="json").status_code == 400
    assert answering.asked == []


def test_what_the_sandbox_refuses_is_passed_on(api, thread, say, answering):
    say()
    refusal = {"error": {"code": "changed_meanwhile", "message": "No.", "hint": "Read it."}}
    answering.answer = httpx.Response(409, json=refusal)

    told = api.post(at(thread, "/save"), CHANGES["save"], format="json")

    assert code(told) == (409, "changed_meanwhile")


def test_a_file_that_is_not_there_is_not_a_sandbox_that_is_gone(api, thread, say, answering):
    say()
    error = {"error": {"code": "nothing_to_restore", "message": "No.", "hint": ""}}
    answering.answer = httpx.Response(404, json=error)

    told = api.post(at(thread, "/restore"), {"undo": "u"}, format="json")

    assert code(told) == (404, "nothing_to_restore")


def test_a_machine_that_is_away_is_told(api, thread, say, answering):
    say()
    answering.answer = LinkOffline("It sleeps.")

    assert code(api.get(at(thread))) == (503, "no_sandbox_runner")
    assert code(api.post(at(thread, "/delete"), {"path": "a"})) == (503, "no_sandbox_runner")
    assert answering.places == []


def test_looking_starts_a_sandbox_that_has_ended(api, thread, say, answering):
    say()
    answering.answer = SandboxDown("It has ended.")
    begun = len(answering.places)

    assert code(api.get(at(thread))) == (502, "daemon_unreachable")
    thread.refresh_from_db()
    assert answering.places[begun:] == [place_of(thread)]


def test_a_viewer_looks_but_starts_and_changes_nothing(api, ada, thread, say, answering):
    say()
    Membership.objects.filter(user=ada).update(role="viewer")

    assert api.get(at(thread)).status_code == 200
    for name, body in CHANGES.items():
        told = api.post(at(thread, f"/{name}"), body, format="json")
        assert code(told) == (403, "reads_only")
    assert code(api.put(at(thread, "/upload?path=a"), b"x", content_type="text/plain"))[0] == 403
    answering.answer = SandboxDown("It has ended.")
    before = list(answering.places)
    assert code(api.get(at(thread))) == (502, "daemon_unreachable")
    assert answering.places == before


def test_another_persons_files_are_not_there(thread, say, bob, answering):
    say()
    bobs, nobody = APIClient(), APIClient()
    bobs.force_authenticate(bob)

    for client, refusal in ((bobs, (404, "not_found")), (nobody, (401, "unauthorized"))):
        for rest in (*LOOKS, "/download?path=a"):
            if client is bobs and rest.startswith("/download"):
                continue  # by session only, below
            assert code(client.get(at(thread, rest))) == refusal
        for name, body in CHANGES.items():
            assert code(client.post(at(thread, f"/{name}"), body, format="json")) == refusal
        put = client.put(at(thread, "/upload?path=a"), b"x", content_type="text/plain")
        assert code(put) == refusal
    assert answering.asked == []


def test_before_the_first_message_there_are_no_files(api, thread, answering):
    for rest in LOOKS:
        assert code(api.get(at(thread, rest))) == (409, "not_begun")
    assert code(api.post(at(thread, "/delete"), {"path": "a"})) == (409, "not_begun")
    assert code(api.get(at(thread, "/download?path=a"))) == (409, "not_begun")
    assert answering.asked == []


def test_a_file_is_uploaded_as_it_is(api, thread, say, answering):
    say()

    told = api.put(
        at(thread, f"/upload?path={quote('a b&c')}&replace=true"), b"\x00x", content_type="x/y"
    )

    assert told.json() == {"ok": True}
    assert answering.asked[0][1:3] == ("PUT", "files/bytes?path=a+b%26c&replace=1")


def test_an_empty_file_is_uploaded_too(api, thread, say, answering):
    say()

    assert api.put(at(thread, "/upload?path=a"), b"", content_type="x/y").json() == {"ok": True}


def test_an_upload_that_is_too_large_is_not_sent_on(api, thread, say, answering):
    say()
    data = b"x" * (UPLOAD_LIMIT + 1)

    told = api.put(at(thread, "/upload?path=a"), data, content_type="x/y")

    assert code(told) == (413, "file_too_large")
    assert answering.asked == []


async def _get(person, thread, rest):
    client = AsyncClient()
    await client.aforce_login(person)
    return await client.get(at(thread, rest))


async def pinned(thread):
    thread.sandbox_provider_kind, thread.harness_id, thread.branch = "remote-user", "demo", "main"
    await thread.asave()


async def test_a_download_is_the_file_s_bytes_and_no_page(ada, thread, answering):
    await pinned(thread)
    page = b"<script>alert(1)</script>"
    answering.answer = httpx.Response(200, stream=httpx.ByteStream(page))

    told = await _get(ada, thread, f"/download?path={quote('d/a b.html')}")

    assert b"".join([piece async for piece in told.streaming_content]) == page
    assert told.headers["Content-Disposition"] == 'attachment; filename="a b.html"'
    assert told.headers["Content-Type"] == "application/octet-stream"
    assert "sandbox" in told.headers["Content-Security-Policy"]
    assert answering.asked[0][1:3] == ("GET", "files/bytes?path=d%2Fa+b.html")


async def test_a_download_that_is_refused_says_why(ada, thread, answering):
    await pinned(thread)
    error = {"error": {"code": "no_such_file", "message": "There is nothing.", "hint": ""}}
    answering.answer = httpx.Response(400, json=error)
    assert code(await _get(ada, thread, "/download?path=a")) == (400, "no_such_file")

    answering.answer = LinkOffline("It sleeps.")
    assert code(await _get(ada, thread, "/download?path=a")) == (503, "no_sandbox_runner")


async def test_nobody_downloads_what_is_anothers(bob, thread, answering):
    await pinned(thread)

    assert code(await _get(bob, thread, "/download?path=a")) == (404, "not_found")
    assert answering.asked == []
