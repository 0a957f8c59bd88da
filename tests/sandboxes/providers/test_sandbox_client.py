"""The client of the sandbox program: targets, refusals and broken connections."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest

from links.wire.errors import TimestampDrift
from links.wire.server_signature import HEADER, Verifier
from mesh import keys
from mesh.lib.targets import BadTarget
from sandboxes.providers.base import (
    DispatchRefused,
    NoAnswer,
    NotNow,
    Place,
    SandboxDown,
    SandboxRemoved,
    StreamCut,
    UnknownRun,
    UploadStalled,
)
from sandboxes.providers.remote_user import RemoteUserProvider
from sandboxes.providers.sandbox_client import Endpoint, cut, refusal, spec_of


def body(code):
    return json.dumps(
        {"error": {"code": code, "message": "It says why.", "hint": "Do it."}}
    ).encode()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        pytest.param(404, "unknown_run", UnknownRun, id="a run that it does not know"),
        pytest.param(404, "unknown_handle", SandboxRemoved, id="a machine without the folder"),
        pytest.param(502, "sandbox_down", SandboxDown, id="a process that is gone"),
        pytest.param(503, "anything", SandboxDown, id="a gateway that says unavailable"),
        pytest.param(401, "timestamp_drift", NotNow, id="a wrong clock"),
        pytest.param(429, "too_many_requests", NotNow, id="too many requests"),
        pytest.param(409, "attachments_missing", NotNow, id="files that it lost"),
        pytest.param(409, "stale_fence", DispatchRefused, id="anything else"),
    ],
)
def test_which_error_a_refusal_is(status, code, kind):
    error = refusal(status, body(code))

    assert (type(error), str(error)) == (kind, "It says why.")


@pytest.mark.parametrize("odd", [b"", b"<html>", b"[]", b'{"error": 7}', b'{"error": []}'])
def test_a_refusal_in_another_form_has_a_code_of_its_status(odd):
    error = refusal(400, odd)

    assert isinstance(error, DispatchRefused)
    assert (error.code, str(error)) == ("http_400", "The machine answered 400.")
    assert error.hint


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.WriteTimeout("x"), UploadStalled),
        (httpx.ReadTimeout("x"), NoAnswer),
        (httpx.RemoteProtocolError("x"), StreamCut),
    ],
)
def test_which_error_a_broken_connection_is(error, kind):
    assert type(cut(error)) is kind


def test_a_spec_leaves_out_what_is_not_set():
    place = Place("remote-user", None, "h", folder="/code", branch="main")

    assert spec_of(place) == {"folder": "/code", "branch": "main"}


@pytest.mark.parametrize("path", ["../other/health", "a/../../b", "preview/%2e%2e/x"])
def test_a_path_never_leaves_the_sandbox_s_own(path):
    with pytest.raises(BadTarget):
        Endpoint(httpx.AsyncClient(), "/_sandbox/h").target(path)


async def test_a_target_is_sent_as_it_was_checked_and_signed():
    endpoint = Endpoint(httpx.AsyncClient(base_url="http://127.0.0.1:9"), "/_sandbox/h")
    place = Place("remote-user", None, "main-0123456789abcdef")

    request = endpoint.request(place, "GET", "preview/a%2Fb?q=1", timeout=1)

    assert request.extensions["target"] == b"/_sandbox/h/preview/a%2Fb?q=1"
    assert "x-mesh-server-signature" in request.headers


class Program:
    """A sandbox that takes its signatures by a clock that is so far ahead."""

    def __init__(self, ahead):
        self.ahead, self.bodies = ahead, []
        self.verifier = Verifier(keys.public_key(), handle=PLACE.handle)

    def __call__(self, request):
        self.bodies.append(request.content)
        target = request.extensions["target"].decode().replace(f"/{PLACE.handle}", "", 1)
        now = time.time() + self.ahead
        try:
            self.verifier.verify(
                request.headers[HEADER],
                method=request.method,
                target=target,
                body=request.content,
                now=now,
            )
        except TimestampDrift as exc:
            return httpx.Response(401, headers=exc.headers(), json=exc.body())
        return httpx.Response(200, json={})


class Reached(RemoteUserProvider):
    def __init__(self, program):
        transport = httpx.MockTransport(program)
        client = httpx.AsyncClient(transport=transport, base_url="http://laptop")
        super().__init__(lambda link_id: asyncio.sleep(0, client))


PLACE = Place("remote-user", uuid4(), "main-0123456789abcdef")


@pytest.fixture
def place():
    return replace(PLACE, link_id=uuid4())


@pytest.mark.parametrize("ahead", [40, -40, 14 * 3600, -400 * 86_400])
async def test_a_machine_whose_clock_is_wrong_takes_requests_signed_by_its_clock(place, ahead):
    program = Program(ahead)
    provider = Reached(program)

    asked = await provider.request(place, "POST", "ask", json={"a": 1})
    await provider.cancel(place, run_id="r")
    async with provider.open(place, "GET", "git/diff") as opened:
        assert opened.status_code == 200

    assert asked.status_code == 200
    assert program.bodies == [b'{"a":1}', b'{"a":1}', b"", b""]  # corrected once for all


async def test_a_clock_that_jumps_is_followed(place):
    program = Program(0)
    provider = Reached(program)
    for ahead in (0, 50, 0, -50):
        program.ahead = ahead
        assert (await provider.request(place, "GET", "runs")).status_code == 200
    assert len(program.bodies) == 7


async def test_what_the_clock_is_not_the_cause_of_is_asked_once(place):
    asked = []

    def refuse(request):
        asked.append(request)
        return httpx.Response(401, json={"error": {"code": "nonce_replay", "message": "No."}})

    with pytest.raises(NotNow):
        await Reached(refuse).cancel(place, run_id="r")
    assert len(asked) == 1
