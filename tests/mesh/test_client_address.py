"""What proxies say reaches the pages and sockets only from trusted ones."""

from __future__ import annotations

import logging

import pytest
from django.test import AsyncRequestFactory, RequestFactory

from mesh.accounts import AccountAdapter
from mesh.client_address import Proxied, address_of
from mesh.lib.proxies import parse_proxies

CLIENT, LIE = "203.0.113.7", "198.51.100.9"
PROXY = "10.0.0.1"


class Asked:
    """The application behind: keeps the scope that it was given, and what it answered."""

    def __init__(self):
        self.scope, self.sent = None, []

    async def __call__(self, scope, receive, send):
        self.scope = scope


@pytest.fixture
def ask():
    """Return ``ask(setting, *headers, …)``: what the application behind saw, and the answer."""

    async def send_through(setting, *headers, peer=PROXY, kind="http", times=1, **options):
        app = Asked()
        proxied = Proxied(app, parse_proxies(setting), **options)
        scheme = "ws" if kind == "websocket" else "http"
        raw = [(name.encode(), value.encode()) for name, value in headers]
        scope = {"type": kind, "headers": raw, "scheme": scheme}
        scope["client"] = (peer, 40_000) if peer else None

        async def send(message):
            app.sent.append(message)

        for _ in range(times):
            await proxied(scope, None, send)
        return app

    return send_through


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_trusted_proxy_is_believed(ask, kind):
    headers = [("x-forwarded-for", f"{LIE}, {CLIENT}"), ("x-forwarded-proto", "https")]
    scope = (await ask(PROXY, *headers, kind=kind)).scope

    assert scope["client"] == (CLIENT, 0)
    assert scope["scheme"] == {"http": "https", "websocket": "wss"}[kind]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("setting", ["", "192.0.2.1", "unix"])
async def test_nobody_else_is(ask, kind, setting):
    headers = [("x-forwarded-for", LIE), ("x-forwarded-proto", "https")]
    scope = (await ask(setting, *headers, kind=kind)).scope

    assert scope["client"] == (PROXY, 40_000)
    assert scope["scheme"] == {"http": "http", "websocket": "ws"}[kind]


@pytest.mark.parametrize("setting", ["", PROXY])
async def test_nobody_behind_sees_the_headers(ask, setting):
    names = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-real-ip"]
    scope = (await ask(setting, ("accept", "*/*"), *[(name, LIE) for name in names])).scope

    assert scope["headers"] == [(b"accept", b"*/*")]


@pytest.mark.parametrize(
    ("lines", "scheme"),
    [
        pytest.param([], "http", id="none"),
        pytest.param(["https"], "https", id="one"),
        pytest.param(["https, https"], "https", id="two proxies"),
        pytest.param(["https", "http"], "http", id="one of them was called without TLS"),
        pytest.param(["https,javascript"], "http", id="no scheme"),
        pytest.param([""], "http", id="empty"),
    ],
)
async def test_the_scheme(ask, lines, scheme):
    headers = [("x-forwarded-proto", line) for line in lines]

    assert (await ask(PROXY, *headers)).scope["scheme"] == scheme


async def test_a_proxy_that_is_not_named_is_logged_once(ask, caplog):
    with caplog.at_level(logging.WARNING):
        await ask("", ("x-forwarded-for", LIE), times=3)

    (line,) = [record.getMessage() for record in caplog.records]
    assert f"MESH_PROXIES={PROXY}" in line
    assert LIE not in line


async def test_an_unnamed_proxy_that_ends_tls_is_refused_instead_of_redirected_for_ever(ask):
    app = await ask("", ("x-forwarded-proto", "https"), needs_tls=True)

    assert app.scope is None
    assert app.sent[0]["status"] == 400
    assert b"MESH_PROXIES" in app.sent[1]["body"]


async def test_a_unix_socket_has_no_address(ask):
    assert (await ask("unix", peer="")).scope["client"] is None


@pytest.mark.parametrize(
    ("peer", "counted"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1:2:3:4", "2001:db8::/64"), ("", "unknown")],
)
def test_allauths_limits_count_as_ours_do_and_read_no_header(peer, counted):
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=LIE)

    assert AccountAdapter().get_client_ip(request) == counted
    assert (address_of(request) or "unknown") == counted


def test_django_takes_the_client_of_the_scope():
    request = AsyncRequestFactory().get("/")
    assert address_of(request) == "127.0.0.1"
