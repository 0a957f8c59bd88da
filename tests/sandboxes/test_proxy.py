"""vm-proxy and vm-events: their codes, and that the recorded kind is asked."""

import asyncio
import json
from types import SimpleNamespace

import httpx
import pytest
from allauth.idp.oidc.models import Token
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.test import AsyncClient
from rest_framework.test import APIClient

from agents.models import Agent
from links.models import Link
from mesh import connection_checks, database_pool
from mesh.models import Membership, User
from mesh.services import make_token
from sandboxes import proxy
from sandboxes.core.vm_map import VmEntry
from sandboxes.preview.tickets import read_cookie, use_ticket
from sandboxes.providers.base import LinkOffline, SandboxDown, StreamCut
from sandboxes.services import record_sandbox
from tests.sandboxes.doubles import AnsweringProvider
from tests.sandboxes.providers.laptop import PiecesThenError
from tests.sandboxes.test_api import code, connect
from tests.waiting import auntil

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def containers(settings):
    settings.STUDIO_SANDBOX_RUNNER = "docker"
    settings.MESH_SANDBOX_KINDS = ["agent-sandbox"]


@pytest.fixture
def answering(monkeypatch, agent):
    provider = AnsweringProvider()
    asked_kinds = []

    def provider_for(kind):
        asked_kinds.append(kind)
        return provider

    monkeypatch.setattr("sandboxes.providers.provider_for", provider_for)
    return SimpleNamespace(provider=provider, kinds=asked_kinds)


@pytest.fixture
def api(ada):
    client = APIClient()
    client.force_authenticate(ada)
    return client


def at(rest, agent="default", org="home"):
    return f"/api/{org}/vm/{agent}/{rest}"


def record(agent, user, kind, branch="main", **entry):
    record_sandbox(
        agent=agent, user_id=user.pk, branch=branch, entry=VmEntry(vm_id="x-1", kind=kind, **entry)
    )


def test_what_is_asked_goes_to_the_sandbox_and_back(api, answering):
    answering.provider.answer = httpx.Response(201, json={"content": "x"})

    answer = api.post(at("deco/quiet-otter/read"), {"path": "a"}, format="json")

    ((place, method, path, body),) = answering.provider.asked
    assert (answer.status_code, answer.json()) == (201, {"content": "x"})
    assert (place.branch, method, path, body) == ("deco/quiet-otter", "POST", "read", {"path": "a"})


def test_the_recorded_kind_is_asked_even_when_a_machine_is_online(api, answering, agent, ada):
    record(agent, ada, "agent-sandbox")
    connect(ada)

    api.post(at("main/read"), {}, format="json")

    assert set(answering.kinds) == {"agent-sandbox"}


@pytest.mark.parametrize(
    ("method", "rest", "expected"),
    [
        ("post", "main/bash", (404, "not_found")),
        ("post", "main/dispatch", (404, "not_found")),
        ("get", "main/read", (405, "method_not_allowed")),
        ("post", "main/config", (405, "method_not_allowed")),
        ("post", "main/setup/rm", (400, "invalid_input")),
        ("post", "read", (400, "invalid_input")),
        ("get", "main/preview-fetch?path=/etc/passwd", (400, "invalid_input")),
    ],
)
def test_routes_that_are_not_passed_on(api, answering, method, rest, expected):
    assert code(getattr(api, method)(at(rest), format="json")) == expected
    assert answering.provider.asked == []


def test_a_wrong_step_says_which_there_are(api, answering):
    answer = api.post(at("main/setup/rm"), {}, format="json")

    assert "clone, install, start" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("sent", "asked"),
    [("build:css", "exec/build%3Acss"), ("a%3Fb", "exec/a%3Fb"), ("%252e%252e", "exec/%252e%252e")],
)
def test_the_name_of_a_script_is_one_segment_whatever_it_holds(api, answering, sent, asked):
    api.post(at(f"main/exec/{sent}"), {}, format="json")

    assert answering.provider.asked[0][2] == asked


@pytest.mark.parametrize(
    ("answer", "rest", "expected"),
    [
        pytest.param(LinkOffline(), "main/read", (503, "no_sandbox_runner"), id="no link"),
        pytest.param(SandboxDown(), "main/read", (502, "daemon_unreachable"), id="down"),
        pytest.param(StreamCut(), "main/read", (502, "daemon_unreachable"), id="cut"),
        pytest.param(
            httpx.Response(502, json={}, headers={"x-mesh-refusal": "sandbox_down"}),
            "main/read",
            (502, "daemon_unreachable"),
            id="down behind the link",
        ),
        pytest.param(httpx.Response(404), "main/setup/clone", (410, "handle_gone"), id="gone"),
    ],
)
def test_what_went_wrong_behind_it(api, answering, answer, rest, expected):
    answering.provider.answer = answer

    assert code(api.post(at(rest), {}, format="json")) == expected


def test_a_gone_handle_is_reported_for_config_and_not_for_files(api, answering):
    answering.provider.answer = httpx.Response(404, json={"error": {"code": "unknown_handle"}})

    assert code(api.get(at("main/config"))) == (410, "handle_gone")
    assert code(api.post(at("main/read"), {}, format="json")) == (404, "unknown_handle")


def test_a_recorded_machine_that_is_away_is_503_and_nothing_stands_in(api, answering, agent, ada):
    record(agent, ada, "remote-user", link_id="0190a0b0-0000-7000-8000-000000000000")

    assert code(api.post(at("main/read"), {}, format="json")) == (503, "no_sandbox_runner")
    assert answering.provider.asked == []


def test_nothing_recorded_and_no_machine_is_503(api, answering, settings):
    settings.STUDIO_SANDBOX_RUNNER = "remote-user"

    assert code(api.post(at("main/read"), {}, format="json")) == (503, "no_sandbox_runner")
    assert answering.provider.asked == []


def test_options_grants_nobody_anything(api, answering):  # D-SB1, where it is 204 for anybody
    stranger = APIClient().options(at("main/read"))
    own = api.options(at("main/read"), HTTP_ORIGIN="https://evil.example")

    assert code(stranger) == (401, "unauthorized")
    assert not [name for name in own.headers if name.lower().startswith("access-control")]
    assert answering.provider.asked == []


def test_a_kind_that_is_turned_off_is_503(api, answering, agent, ada, settings):
    record(agent, ada, "agent-sandbox")
    settings.MESH_SANDBOX_KINDS = []

    assert code(api.post(at("main/read"), {}, format="json")) == (503, "no_sandbox_runner")


def test_nobody_and_strangers(answering, agent, eve):
    stranger = APIClient()
    stranger.force_authenticate(eve)

    assert code(APIClient().post(at("main/read"), {}, format="json")) == (401, "unauthorized")
    assert code(stranger.post(at("main/read"), {}, format="json")) == (404, "not_found")
    theirs = at("main/read", agent=str(agent.pk), org="other")
    assert code(stranger.post(theirs, {}, format="json")) == (404, "not_found")
    assert answering.provider.asked == []


KEPT_FROM_RUNNING = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.mark.parametrize("rest", ["main/config", "main/preview-fetch?path=/live/_meta"])
@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ("text/html", "application/octet-stream"),
        ("text/javascript", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("application/json, text/html", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("Application/JSON; charset=utf-7", "application/json"),
        ("application/problem+json", "application/json"),
    ],
)
def test_what_a_sandbox_answers_is_data_whatever_it_says(api, answering, rest, given, passed):
    told = {"content-type": given, "set-cookie": "a=1", "location": "/x", "x-frame-options": "x"}
    answering.provider.answer = httpx.Response(200, headers=told, content=b"<script>1</script>")

    answer = api.get(at(rest))

    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert (answer.content, headers["content-type"]) == (b"<script>1</script>", passed)
    assert headers.items() >= KEPT_FROM_RUNNING.items()
    assert not {"set-cookie", "location"} & set(headers)


@pytest.mark.parametrize(
    "asked",
    [
        *({"sec-fetch-dest": dest} for dest in ("document", "iframe", "object", "script", "image")),
        {"sec-fetch-mode": "navigate"},
        {"sec-fetch-dest": "Document"},
    ],
    ids=str,
)
def test_no_browser_shows_what_a_sandbox_answers(api, answering, asked):
    assert code(api.get(at("main/config"), headers=asked)) == (403, "not_a_page")
    assert code(api.get(at("main/preview-fetch?path=/.decofile"), headers=asked)) == (
        403,
        "not_a_page",
    )
    assert answering.provider.asked == []


def test_a_page_of_ours_reads_it(api, answering):
    asked = {"sec-fetch-dest": "empty", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"}

    assert api.get(at("main/config"), headers=asked).status_code == 200


def test_a_ticket_opens_the_preview_of_that_sandbox(api, answering, agent, ada):
    told = api.post(at("main/preview"), {}, format="json", HTTP_HOST="localhost:8321").json()

    handle = told["origin"].removeprefix("http://").partition(".")[0]
    ticket = told["url"].partition("ticket=")[2]
    grant = read_cookie(use_ticket(ticket, handle=handle), handle=handle)
    assert told["origin"] == f"http://{handle}.localhost:8321"
    assert (grant.user_id, grant.branch, grant.kind) == (ada.pk, "main", "docker")


async def events(client, url):
    answer = await client.get(url)
    if not answer.streaming:
        return answer.status_code, json.loads(answer.content)["error"]["code"]
    return answer, b"".join([piece async for piece in answer.streaming_content])


@pytest.fixture
def reader(ada):
    client = AsyncClient()
    client.force_login(ada)
    return client


async def test_events_come_byte_for_byte(reader, answering):
    sent = b"event: status\ndata: {\xc3\xa4}\n\n: x\n\n"
    answering.provider.answer = httpx.Response(200, stream=PiecesThenError(sent))

    answer, body = await events(reader, at("deco/x/events"))

    assert body == b'event: phase\ndata: {"kind": "ready"}\n\n' + sent
    assert answer["x-accel-buffering"] == "no"
    assert answer["content-encoding"] == "identity"
    assert answer["content-type"] == "text/event-stream"
    assert {n.lower(): v for n, v in answer.items()}.items() >= KEPT_FROM_RUNNING.items()


async def test_no_browser_shows_the_events(reader, answering):
    shown = await reader.get(at("main/events"), headers={"sec-fetch-dest": "document"})

    assert (shown.status_code, json.loads(shown.content)["error"]["code"]) == (403, "not_a_page")


async def test_a_machine_that_is_away_is_one_failed_phase(reader, answering):
    answering.provider.answer = LinkOffline("It sleeps.")

    _, body = await events(reader, "/api/home/vm-events?virtualMcpId=default&branch=main")

    assert body.count(b"event:") == 1
    assert json.loads(body.partition(b"data: ")[2]) == {
        "kind": "failed",
        "reason": "unknown",
        "message": "It sleeps.",
    }


async def test_the_recorded_machine_is_asked_and_its_absence_is_one_phase(reader, agent, ada):
    link = await sync_to_async(connect)(ada)
    await sync_to_async(record)(agent, ada, "remote-user", link_id=str(link.pk))
    await Link.objects.filter(pk=link.pk).aupdate(offline_after=None)

    _, body = await events(reader, at("main/events"))

    assert body.count(b"event:") == 1
    assert json.loads(body.partition(b"data: ")[2])["kind"] == "failed"


async def test_a_sandbox_that_is_starting_is_waited_for(reader, answering, monkeypatch):
    monkeypatch.setattr(proxy, "POLL_EVERY", 0.01)
    answering.provider.answer = [
        SandboxDown(),
        httpx.Response(404),
        httpx.Response(200, stream=PiecesThenError(b"event: status\ndata: {}\n\n")),
    ]

    _, body = await events(reader, at("main/events"))

    assert [line for line in body.decode().splitlines() if line.startswith("event")] == [
        "event: phase",
        "event: phase",
        "event: status",
    ]
    assert b"claiming" in body


async def test_one_that_never_comes_is_gone(reader, answering, monkeypatch):
    monkeypatch.setattr(proxy, "POLL_EVERY", 0.01)
    monkeypatch.setattr(proxy, "READY_WITHIN", 0.03)
    answering.provider.answer = httpx.Response(404)

    _, body = await events(reader, at("main/events"))

    assert body.endswith(b"event: gone\ndata: {}\n\n")


async def test_events_without_a_session_an_agent_or_a_branch(reader, answering):
    url = "/api/home/vm-events"

    assert await events(AsyncClient(), f"{url}?virtualMcpId=default&branch=m") == (
        401,
        "unauthorized",
    )
    assert await events(reader, f"{url}?branch=m") == (400, "invalid_input")
    assert await events(reader, f"{url}?virtualMcpId=nobody&branch=m") == (404, "not_found")


def test_one_persons_record_is_not_anothers(api, answering, agent, bob):
    record(agent, bob, "agent-sandbox")
    assert Agent.objects.get(pk=agent.pk).metadata["vmMap"]

    api.post(at("main/read"), {}, format="json")

    assert set(answering.kinds) == {"docker"}


# Long connections


class Silent(AnsweringProvider):
    """Accepts requests and never answers; its streams send one event first."""

    async def request(self, place, method, path, *, json=None, limit=None):
        self.asked.append(path)
        await asyncio.Event().wait()

    def _stream(self):
        async def pieces():
            yield b"event: status\n\n"
            await asyncio.Event().wait()

        return httpx.Response(200, content=pieces())

    def __init__(self):
        super().__init__()
        self.answer = self._stream()


ENDS = [
    pytest.param(lambda: Session.objects.all().delete(), id="signed out"),
    pytest.param(lambda: Membership.objects.all().delete(), id="left the organization"),
    pytest.param(lambda: User.objects.update(is_active=False), id="shut out"),
]


@pytest.fixture
def silent(monkeypatch, agent):
    monkeypatch.setattr(connection_checks, "LOOK_EVERY", 0.05)
    provider = Silent()
    monkeypatch.setattr("sandboxes.providers.provider_for", lambda kind: provider)
    return provider


@pytest.mark.parametrize("end", ENDS)
async def test_a_sandbox_s_events_end_with_the_sign_in_and_the_membership(ada, silent, end):
    client = AsyncClient()
    await client.aforce_login(ada)
    answer = await client.get(at("main/events"))
    pieces = answer.streaming_content
    assert b"ready" in await anext(pieces)
    await anext(pieces)

    await sync_to_async(end)()

    async with asyncio.timeout(60):
        assert [piece async for piece in pieces] == []


async def test_a_sandbox_s_events_end_with_the_token(ada, silent):
    token = await sync_to_async(make_token)(user=ada)
    answer = await AsyncClient().get(
        at("main/events"), headers={"Authorization": f"Bearer {token}"}
    )
    await anext(answer.streaming_content)

    await Token.objects.all().adelete()

    async with asyncio.timeout(60):
        assert b"status" in b"".join([piece async for piece in answer.streaming_content])


@pytest.mark.parametrize("end", ENDS)
async def test_a_person_who_signed_out_gets_no_response_of_a_task(ada, silent, end):
    client = AsyncClient()
    await client.aforce_login(ada)
    asking = asyncio.ensure_future(
        client.post(at("main/exec/dev"), "{}", content_type="application/json")
    )
    await auntil(lambda: silent.asked)

    await database_pool.writes.run(end)  # the view waits in the thread of the tests' own

    assert code(await asking) == (401, "unauthorized")
