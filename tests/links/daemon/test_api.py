"""Registering and deregistering over HTTP, against a server that answers by script."""

import http.server
import json
import threading

import pytest

from links.daemon import api
from links.daemon.errors import SignedOut, TooOld
from links.wire.messages import Registered, Registration

M1 = Registration(machine_id="m1", cli_version="1", protocol_version=1, capabilities=("codex",))


class Scripted(http.server.BaseHTTPRequestHandler):
    def answer(self):
        size = int(self.headers.get("Content-Length") or 0)
        self.server.asked.append((self.command, self.path, self.headers, self.rfile.read(size)))
        status, headers, body = self.server.script
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = http.server.HTTPServer(("127.0.0.1", 0), Scripted)
    server.asked, server.script = [], (200, {}, b"{}")
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def register(server):
    return await api.register(server.url, M1, token="t0ken")


async def test_registering(server):
    told = Registered(link_id="1", link_secret="s", user_sub="7")
    server.script = (200, {}, json.dumps(told.as_json()).encode())

    assert await register(server) == told
    method, path, headers, body = server.asked[0]
    assert (method, path) == ("POST", "/api/links")
    assert headers["Authorization"] == "Bearer t0ken"
    assert Registration.parse(json.loads(body)) == M1


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        pytest.param(200, b"{}", api.RegistrationFailed, "missing linkSecret", id="no secret"),
        pytest.param(200, b"<html>", api.RegistrationFailed, "missing", id="no JSON"),
        pytest.param(401, b"{}", SignedOut, "token", id="signed out"),
        pytest.param(
            426,
            b'{"error": {"code": "upgrade_required", "installHint": "run this"}}',
            TooOld,
            "link v1.*run this",
            id="too old",
        ),
        pytest.param(503, b"[]", api.RegistrationFailed, "HTTP 503", id="store down"),
        pytest.param(500, b'{"error": 1}', api.RegistrationFailed, "HTTP 500", id="a bug"),
    ],
)
async def test_registering_fails(server, status, body, error, text):
    server.script = (status, {}, body)

    with pytest.raises(error, match=text):
        await register(server)


async def test_nobody_is_there():
    with pytest.raises(api.RegistrationFailed, match="can't be reached"):
        await api.register("http://127.0.0.1:1", M1, token="t")


async def test_a_redirect_does_not_get_the_token(server):
    server.script = (302, {"Location": f"{server.url}/elsewhere"}, b"")

    with pytest.raises(api.RegistrationFailed, match="HTTP 302"):
        await register(server)
    assert len(server.asked) == 1


async def test_a_proxy_of_the_system_is_not_asked_about_loopback(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.script = (401, {}, b"")

    with pytest.raises(SignedOut):
        await register(server)


async def test_deregistering_shows_the_secret_and_no_bearer(server):
    server.script = (204, {}, b"")

    await api.deregister(server.url, Registered(link_id="1", link_secret="s", user_sub="7"))

    method, path, headers, _ = server.asked[0]
    assert (method, path) == ("DELETE", "/api/links/me")
    assert (headers["X-Link-Secret"], headers["X-Mesh-User-Sub"]) == ("s", "7")
    assert headers["Authorization"] is None
