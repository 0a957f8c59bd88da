"""Registering and deregistering over HTTP, against a server that answers by script."""

import http.server
import json
import threading

import pytest

from links.daemon import api
from links.daemon.errors import SignedOut, TooOld
from links.wire.messages import MachineStatus, Registered, Registration

PROOF = Registered(link_id="1", link_secret="s", user_sub="7", server_key="ab" * 32)
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
    told = PROOF
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
        pytest.param(
            200,
            b'{"linkSecret": "s", "userSub": "7"}',
            api.RegistrationFailed,
            "server is older than this program",
            id="a server that signs nothing",
        ),
        pytest.param(200, b"<html>", api.RegistrationFailed, "missing", id="no JSON"),
        pytest.param(401, b"{}", SignedOut, "token", id="signed out"),
        pytest.param(
            426,
            b'{"error": {"code": "upgrade_required", "installHint": "run this"}}',
            TooOld,
            "link v1",
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


async def test_a_copy_is_told_that_the_machine_is_in_use(server):
    error = {"code": "machine_in_use", "message": "Another machine is online."}
    server.script = (409, {}, json.dumps({"error": error}).encode())

    with pytest.raises(api.IdentityInUse, match="Another machine is online"):
        await register(server)


async def test_an_outdated_program_gets_the_exact_command(server):
    server.script = (426, {}, b'{"error": {"installHint": "uvx this"}}')

    with pytest.raises(TooOld) as refused:
        await register(server)

    assert refused.value.hint == "Start the matching version: uvx this"


@pytest.mark.parametrize(
    ("status", "body", "command"),
    [
        (200, b'{"uv": "uv this", "uvx": "x"}', "uv this"),
        (200, b'{"uvx": "uvx this"}', "uvx this"),
        (404, b"{}", ""),
        (200, b"<html>", ""),
    ],
)
async def test_a_server_is_asked_for_the_command(server, status, body, command):
    server.script = (status, {}, body)

    assert await api.find_command(server.url) == command


async def test_a_heartbeat(server):
    server.script = (204, {}, b"")
    status = MachineStatus(capabilities=("codex",), harnesses={})

    await api.heartbeat(server.url, PROOF, token="t0ken", status=status)
    await api.heartbeat(server.url, PROOF, token="t0ken", status=None)

    (_, path, headers, body), (_, _, _, none) = server.asked
    assert (path, headers["X-Link-Secret"], headers["X-Link-Token"]) == (
        "/api/links/heartbeat",
        "s",
        "t0ken",
    )
    assert headers["Authorization"] is None
    assert (json.loads(body)["capabilities"], none) == (["codex"], b"")


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, api.NotRegistered), (404, api.NotRegistered), (503, api.RegistrationFailed)],
)
async def test_a_heartbeat_that_is_refused(server, status, error):
    server.script = (status, {}, b"")

    with pytest.raises(error):
        await api.heartbeat(server.url, PROOF, token="t0ken", status=None)


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

    await api.deregister(server.url, PROOF)

    method, path, headers, _ = server.asked[0]
    assert (method, path) == ("DELETE", "/api/links/me")
    assert (headers["X-Link-Secret"], headers["X-Mesh-User-Sub"]) == ("s", "7")
    assert headers["Authorization"] is None
