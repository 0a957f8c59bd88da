"""Odd requests, byte by byte, to running servers: each is refused or borne, and none is logged
as a failure."""

from __future__ import annotations

from http.client import HTTPException

import pytest

from tests.odd_requests import BODIES, FORM, HEADERS, forms

PAGES = [
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/change/",
    "/accounts/2fa/authenticate/",
    "/admin/login/",
    "/enter",
    "/identity/o/device",
    "/identity/o/api/device/code",
    "/identity/o/api/token",
    "/identity/o/api/revoke",
    "/home/choose",
    "/home/settings/agents/new",
    "/home/settings/agents/import",
    "/api/home/agents",
    "/api/home/decopilot/threads",
    "/api/home/decopilot/files",
    "/api/links/heartbeat",
]
# Django fails at these while it makes the request, before any view.
TYPES = [
    "text/plain; charset*=utf-8''a%00b",
    "text/plain; charset*=nonsense''a",
    "multipart/form-data; boundary=b; charset=rot13",
]
TARGETS = [
    "/accounts/login/?next=http://[",
    "/accounts/logout/?next=//[",
    "/api/schema/?version=a%0d%0aSet-Cookie:%20a=b",
    "/%00",
    "/%ff/settings/agents",
    "/home/?typed=%00&agent=%ff",
    "/enter?ticket=%00",
    "/dist/%00",
]


@pytest.fixture
def written(front):
    """Return what the servers have written since the test began, wherever that goes."""

    def everything():
        file = front.laptop_home / "log" / "server.log"
        return front.log() + (file.read_text() if front.kind == "embedded" else "")

    before = len(everything())
    return lambda: everything()[before:]


@pytest.fixture(params=["stranger", "ada"])
def send(request, front):
    """Return ``send(…)``, which gives the status; 0: the server hung up, as it may."""
    signed_in = {"Cookie": front.ada.cookie} if request.param == "ada" else {}

    def send(method, target, headers=(), body=b""):
        try:
            pairs = [*signed_in.items(), *dict(headers).items()]
            return front.rude().request(method, target, pairs, body).status
        except (HTTPException, OSError):
            return 0

    return send


def test_odd_bodies(send, written):
    failed = [
        (name, page)
        for page in PAGES
        for name, content_type, body in BODIES
        if send("POST", page, {"Content-Type": content_type}, body) >= 500
    ]

    assert failed == []
    assert "Traceback" not in written()


def test_odd_forms(send, written):
    failed = [
        (name, page)
        for page in PAGES
        for name, body in forms()
        # Longer ones are refused before they have come, which a proxy may call 502.
        if send("POST", page, {"Content-Type": FORM}, body[:60_000]) >= 500
    ]

    assert failed == []
    assert "Traceback" not in written()


def test_odd_types_and_targets(send, written):
    answers = {kind: send("POST", PAGES[0], {"Content-Type": kind}, b"x=%61") for kind in TYPES}
    answers |= {target: send("GET", target) for target in TARGETS}

    assert {what for what, status in answers.items() if status >= 500} == set()
    assert "Traceback" not in written()


def test_odd_headers(send, written):
    names = {
        name: {key.removeprefix("HTTP_").replace("_", "-").title(): value}
        for name, environ in HEADERS.items()
        for key, value in list(environ.items())[:1]
    }
    failed = [
        (name, page)
        for page in PAGES
        for name, headers in names.items()
        if send("GET", page, headers) >= 500
    ]

    assert failed == []
    assert "Traceback" not in written()
