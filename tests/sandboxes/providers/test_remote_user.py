from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

import httpx
import pytest

from links.errors import LinkOffline
from mesh.lib.errors import AppError
from sandboxes.providers import UnknownKind, provider_for
from sandboxes.providers.base import (
    DispatchRefused,
    NoAnswer,
    NotNow,
    Place,
    SandboxDown,
    StreamCut,
    UnknownRun,
    UploadStalled,
)
from sandboxes.providers.remote_user import RemoteUserProvider
from tests.sandboxes.daemon.sandbox import Sandbox
from tests.sandboxes.providers.conformance import Files, ProviderConformance
from tests.sandboxes.providers.laptop import (
    LaptopTransport,
    PiecesThenError,
    ScriptedTransport,
    refusal,
)

PLACE = Place("remote-user", UUID(int=1), "main-0123456789abcdef")


def provider_over(transport):
    client = httpx.AsyncClient(transport=transport, base_url="http://laptop")

    async def client_for(link_id):
        assert link_id == PLACE.link_id
        return client

    return RemoteUserProvider(client_for)


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory):
    sandbox = Sandbox(tmp_path_factory.mktemp("provider") / "sandbox").start()
    yield sandbox
    sandbox.close()


class TestConformance(ProviderConformance):
    @pytest.fixture
    def sandbox(self, shared_sandbox):
        return shared_sandbox.share("")

    @pytest.fixture
    def transport(self, sandbox):
        return LaptopTransport(sandbox, PLACE.handle)

    @pytest.fixture
    def provider(self, transport):
        return provider_over(transport)

    @pytest.fixture
    def place(self):
        return PLACE

    @pytest.fixture
    def break_sandbox(self, sandbox):
        return sandbox.kill

    async def test_a_sandbox_is_asked_for_with_what_it_is_made_from(self, provider, transport):
        await provider.ensure(Place("remote-user", UUID(int=1), "h", folder="/code", branch="b"))

        assert transport.asked == [{"handle": "h", "folder": "/code", "branch": "b"}]

    async def test_another_handle_is_not_served(self, provider):
        with pytest.raises(SandboxDown):
            await provider.cancel(Place("remote-user", UUID(int=1), "other"), run_id="r1")


REFUSALS = [
    pytest.param(refusal(502, "sandbox_down"), SandboxDown, "sandbox_down", id="down"),
    pytest.param(refusal(404, "unknown_handle"), SandboxDown, "sandbox_down", id="never started"),
    pytest.param(refusal(503, "sandbox_stopped"), SandboxDown, "sandbox_down", id="about to end"),
    pytest.param(httpx.Response(502, text="<html>"), SandboxDown, "sandbox_down", id="no JSON"),
    pytest.param(refusal(404, "unknown_run"), UnknownRun, "unknown_run", id="unknown run"),
    pytest.param(refusal(409, "stale_fence"), DispatchRefused, "stale_fence", id="stale"),
    pytest.param(refusal(410, "tombstoned"), DispatchRefused, "tombstoned", id="cancelled"),
    pytest.param(
        refusal(400, "folder_not_allowed"), DispatchRefused, "folder_not_allowed", id="no"
    ),
    pytest.param(refusal(500, "sandbox_failed"), DispatchRefused, "sandbox_failed", id="failed"),
    pytest.param(refusal(401, "timestamp_drift"), NotNow, "timestamp_drift", id="clocks apart"),
    pytest.param(httpx.Response(429, text="often"), NotNow, "http_429", id="too often"),
    pytest.param(httpx.Response(418, text="tea"), DispatchRefused, "http_418", id="another status"),
    pytest.param(httpx.Response(400, json={"error": "x"}), DispatchRefused, "http_400", id="form"),
    pytest.param(httpx.ConnectError("gone"), StreamCut, "stream_truncated", id="tunnel broken"),
    pytest.param(httpx.ReadError("reset"), StreamCut, "stream_truncated", id="reset"),
    pytest.param(httpx.WriteTimeout("slow"), UploadStalled, "upload_stalled", id="stalled"),
    pytest.param(httpx.ReadTimeout("slow"), NoAnswer, "no_answer", id="no answer"),
]


@pytest.mark.parametrize(("answer", "error", "code"), REFUSALS)
async def test_refusals_on_the_way_in(answer, error, code):
    provider = provider_over(ScriptedTransport(answer))

    with pytest.raises(error) as raised:
        async with provider.dispatch(PLACE, harness_id="demo", fence=1, input={}):
            pass
    assert raised.value.code == code
    assert str(raised.value)


@pytest.mark.parametrize(("answer", "error", "code"), REFUSALS)
async def test_refusals_of_calls(answer, error, code):
    with pytest.raises(error) as raised:
        await provider_over(ScriptedTransport(answer)).ensure(PLACE)
    assert raised.value.code == code


async def test_a_machine_that_is_not_connected():
    async def nobody(link_id):
        raise LinkOffline

    provider = RemoteUserProvider(nobody)
    with pytest.raises(LinkOffline):
        await provider.ensure(PLACE)
    with pytest.raises(LinkOffline):
        async with provider.attach(PLACE, run_id="r1", fence=1, after=0):
            pass


class OlderSandbox(httpx.AsyncBaseTransport):
    """Knows nothing of attachments; keeps what it is dispatched."""

    def __init__(self):
        self.bodies = []

    async def handle_async_request(self, request):
        if request.url.path.endswith("/health"):
            return httpx.Response(200, json={"status": "ready"})
        self.bodies.append(json.loads(await request.aread()))
        return httpx.Response(200, stream=PiecesThenError(DONE))


async def test_an_older_sandbox_gets_the_files_within_the_messages():
    older, files = OlderSandbox(), Files({"a": b"Some text.", "gone": None})
    provider = provider_over(older)
    provider.read_file = files.read
    given = {"messages": files.messages}

    async with provider.dispatch(PLACE, harness_id="demo", fence=1, input=given):
        pass
    await provider.steer(PLACE, run_id="r", steer_id="s", message=files.messages[0])

    for message in (older.bodies[0]["input"]["messages"][0], older.bodies[1]["message"]):
        _, text, gone = message["parts"]
        assert text["url"] == "data:text/plain;base64,U29tZSB0ZXh0Lg=="
        assert gone["url"] == "/api/home/decopilot/files/gone"
        assert "attachment" not in text | gone


@pytest.mark.parametrize("code", ["attachments_missing", "attachment_damaged"])
async def test_files_that_a_sandbox_has_lost_are_sent_again(code):
    with pytest.raises(NotNow):
        await provider_over(ScriptedTransport(refusal(409, code))).ensure(PLACE)


ONE = b'id: 1\ndata: {"type":"x"}\n\n'
DONE = b'id: 2\ndata: {"type":"done"}\n\n'


async def read(*pieces, error=None, after=0):
    """Return the numbers that were read, and whether the stream was cut."""
    body = PiecesThenError(*pieces, error=error)
    provider = provider_over(ScriptedTransport(httpx.Response(200, stream=body)))
    got = []
    async with provider.attach(PLACE, run_id="r1", fence=1, after=after) as events:
        try:
            async for event in events:
                got.append(event.n)
        except StreamCut:
            return got, "cut"
    return got, "whole"


@pytest.mark.parametrize(
    ("pieces", "error", "outcome"),
    [
        pytest.param([ONE, DONE], None, ([1, 2], "whole"), id="whole"),
        pytest.param([ONE + DONE + ONE], None, ([1, 2], "whole"), id="nothing behind done"),
        pytest.param([ONE], None, ([1], "cut"), id="no done"),
        pytest.param([], None, ([], "cut"), id="nothing at all"),
        pytest.param([ONE, DONE[:-2]], None, ([1, 2], "whole"), id="no blank line at the end"),
        pytest.param([ONE, DONE[:-9]], None, ([1], "cut"), id="cut in the last event"),
        pytest.param([ONE], httpx.ReadError("reset"), ([1], "cut"), id="connection reset"),
        pytest.param([ONE], httpx.RemoteProtocolError("x"), ([1], "cut"), id="chunk cut off"),
        pytest.param([ONE, ONE, DONE], None, ([1, 2], "whole"), id="a repeat is dropped"),
        pytest.param([b": ping\n\n", ONE, b"data: {\n\n", DONE], None, ([1, 2], "whole"), id="odd"),
        pytest.param([b'id: x\ndata: {"a":1}\n\n', DONE], None, ([2], "whole"), id="odd number"),
    ],
)
async def test_how_a_stream_ends(pieces, error, outcome):
    assert await read(*pieces, error=error) == outcome


async def test_what_the_caller_has_is_not_given_again():
    assert await read(ONE, DONE, after=1) == ([2], "whole")


def test_a_provider_is_found_by_its_kind():
    assert isinstance(provider_for("remote-user"), RemoteUserProvider)
    assert provider_for("remote-user") is provider_for("remote-user")
    with pytest.raises(UnknownKind):
        provider_for("toaster")


@pytest.mark.parametrize("url", ["http://github.com/a/b", "https://10.0.0.1/a/b", "file:///etc"])
async def test_a_repository_from_before_is_looked_at_again(url):
    """An older row, or an import, may name anything: the laptop is not asked to clone it."""
    transport = ScriptedTransport(httpx.Response(200, json={}))
    place = replace(PLACE, repo={"cloneUrl": url})

    with pytest.raises(AppError) as refused:
        await provider_over(transport).ensure(place)
    assert refused.value.code in ("bad_repository", "repository_refused")


@pytest.mark.parametrize(
    ("health", "headers", "can"),
    [
        pytest.param({"streamsBodies": True}, {"x-mesh-streams": "1"}, True, id="all are new"),
        pytest.param({"streamsBodies": True}, {}, False, id="an older link"),
        pytest.param({}, {"x-mesh-streams": "1"}, False, id="an older sandbox"),
        pytest.param([], {"x-mesh-streams": "1"}, False, id="nonsense"),
    ],
)
async def test_bodies_are_streamed_where_each_program_on_the_way_can(health, headers, can):
    answer = httpx.Response(200, json=health, headers=headers)

    assert await provider_over(ScriptedTransport(answer)).streams_bodies(PLACE) is can
