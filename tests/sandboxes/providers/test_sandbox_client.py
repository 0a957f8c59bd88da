"""The client of the sandbox program: targets, refusals and broken connections."""

from __future__ import annotations

import json

import httpx
import pytest

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
