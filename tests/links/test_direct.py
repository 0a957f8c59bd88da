"""Machines that are called at an address: the real program, the real server, no tunnel."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from links import direct, held_machines, selectors, services
from links.calls import client_for, held_here
from links.connection import Pulse
from links.core import presence
from links.direct import Directs
from links.errors import BadProof
from links.gateway import make_gateway
from links.models import Link
from links.services.direct_machines import permitted_url
from links.wire.messages import MachineStatus, Registration
from mesh.tokens import SignIn, find_sign_in
from tests.links.conftest import ECHO
from tests.links.own_url import NAME, Authority, name_on_loopback, tls_front
from tests.waiting import auntil

pytestmark = pytest.mark.programs

PROGRAM = """
import dataclasses, sys
from links.daemon import cli
run = cli.run
echo = tuple(sys.argv[1].split())
cli.run = lambda config: run(dataclasses.replace(config, sandbox_command=echo))
sys.exit(cli.main(sys.argv[2:]))
"""
QUICK = Pulse(every=0.1, missed=2, last_wait=0.5)


@pytest.fixture
def allowed(settings):
    settings.MESH_ALLOW_LOCALHOST_LINKS = True


@pytest.fixture
def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def authority(tmp_path, monkeypatch):
    """A certificate authority that this server trusts."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    direct._tls.cache_clear()
    yield authority
    direct._tls.cache_clear()


@pytest.fixture
async def own_url(authority, free_port, settings, monkeypatch):
    """The laptop's own address, which the operator allows and which leads to its port."""
    name_on_loopback(monkeypatch)
    settings.ENV = replace(settings.ENV, link_hosts="*.mesh.example")
    async with tls_front(authority.issue(NAME), free_port) as port:
        yield f"https://{NAME}:{port}"


class Caller:
    """The part of a server process that calls machines."""

    def __init__(self):
        self.ups, self.downs = [], []

    async def up(self, link_id):
        self.ups.append(link_id)

    async def down(self, link_id, cause):
        self.downs.append((link_id, cause))


@pytest.fixture
async def caller(allowed, server, monkeypatch):
    monkeypatch.setattr(direct, "LOOK_EVERY", 0.05)
    caller = Caller()
    gateway = make_gateway(on_up=caller.up, on_down=caller.down)
    directs = Directs(gateway, pulse=QUICK)
    caller.gateway = gateway
    await directs.start()
    yield caller
    await directs.stop()


@pytest.fixture
def program(server, token, tmp_path, free_port):
    """Return ``program(*words)``: a started deco_link, ended after the test."""
    started = []
    (tmp_path / "token").write_text(token)

    def start(*words):
        environ = {k: v for k, v in os.environ.items() if not k.startswith("DJANGO")}
        argv = [server.url, "--token-file", str(tmp_path / "token"), "--name", "lap", *words]
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, " ".join(ECHO), *argv, "--port", str(free_port)],
                env=environ | {"MESH_HOME": str(tmp_path)},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for pid_file in tmp_path.glob("sandboxes/*/pid"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(json.loads(pid_file.read_text())["pid"], signal.SIGKILL)


async def up(caller):
    return next(iter(await auntil(held_here, what="the machine to be called")))


async def test_a_sandbox_is_reached_without_a_tunnel(caller, program):
    program("--no-tunnel")
    client = await client_for(await up(caller))

    ensured = await client.post("/api/sandboxes", json={"handle": "echo-1"})
    answer = await client.post("/_sandbox/echo-1/a%20b?x=%2F&y", content=b"hi")

    assert ensured.json() == {"sandboxApiUrl": "/_sandbox/echo-1"}
    seen = answer.json()
    assert (seen["path"], seen["query"], seen["body"]) == ("/_sandbox/a b", "x=%2F&y", "hi")


async def test_a_stream_comes_as_it_is_made(caller, program):
    program("--no-tunnel")
    client = await client_for(await up(caller))
    await client.post("/api/sandboxes", json={"handle": "echo-1"})

    async with client.stream("GET", "/_sandbox/echo-1/ticks") as answer:
        assert await anext(answer.aiter_lines()) == "id: 1"


async def test_its_person_sees_it_online_and_then_stopped(caller, program, ada):
    process = program("--no-tunnel")
    link_id = await up(caller)
    view = await sync_to_async(selectors.find_link)(viewer=ada, link_id=link_id)
    assert view.state == "online"

    process.send_signal(signal.SIGINT)
    await auntil(lambda: process.poll() == 0)

    await auntil(lambda: caller.downs == [(link_id, presence.STOPPED)])
    view = await sync_to_async(selectors.find_link)(viewer=ada, link_id=link_id)
    assert (view.state, view.cause) == ("offline", presence.STOPPED)


async def test_a_machine_that_hangs_is_dropped_and_reconnects(caller, program):
    process = program("--no-tunnel")
    link_id = await up(caller)

    process.send_signal(signal.SIGSTOP)
    await auntil(lambda: caller.downs == [(link_id, presence.ASLEEP)])
    assert not held_here()
    process.send_signal(signal.SIGCONT)

    await auntil(lambda: caller.ups == [link_id, link_id])


async def test_silence_is_found_out_before_the_deadline_passes(monkeypatch):
    passed = 0.0

    async def no_answer(within):
        nonlocal passed
        passed += within

    async def wait(connection, seconds):
        nonlocal passed
        passed += seconds
        return connection.closing.is_set()

    directs = Directs(make_gateway(on_up=None, on_down=None))
    connection = direct.DirectConnection(reachable("http://localhost:1"))
    monkeypatch.setattr(connection, "check", no_answer)
    monkeypatch.setattr(directs, "_closes_within", wait)

    await directs._watch(connection)

    assert connection.ended_by is presence.Fact.SILENCE
    assert passed < presence.GRACE.total_seconds()


@pytest.fixture
def shown(ada):
    """Return ``shown()``: state and cause of ada's machine."""

    async def look():
        views = await sync_to_async(selectors.list_links)(viewer=ada)
        return [(view.state, view.cause) for view in views]

    return look


async def test_a_certificate_that_is_not_for_the_name_is_no_answer(
    caller, program, authority, free_port, own_url, shown, tmp_path
):
    other = authority.issue("other.mesh.example")
    async with tls_front(other, free_port) as port:
        program("--tunnel-url", f"https://{NAME}:{port}")

        async def is_said():
            return await shown() == [("offline", presence.UNREACHABLE)]

        await auntil(is_said)
        assert not held_here()


async def test_a_certificate_of_a_stranger_is_no_answer(
    caller, program, free_port, own_url, shown, tmp_path
):
    stranger = Authority(tmp_path, "a stranger").issue(NAME)
    async with tls_front(stranger, free_port) as port:
        program("--tunnel-url", f"https://{NAME}:{port}")

        async def is_said():
            return await shown() == [("offline", presence.UNREACHABLE)]

        await auntil(is_said)
        assert not held_here()


async def test_an_address_of_ones_own_is_called_over_tls(caller, program, own_url, shown):
    program("--tunnel-url", own_url)

    link_id = await up(caller)

    assert await shown() == [("online", "")]
    seconds = await held_machines.find(link_id).check()
    assert seconds is not None


async def test_one_that_was_signed_out_is_called_no_more(caller, program):
    program("--no-tunnel")
    link_id = await up(caller)
    link = await sync_to_async(Link.objects.select_related("user").get)(pk=link_id)

    await sync_to_async(services.revoke)(link=link)
    await caller.gateway.judge(held_machines.list_connections())  # as the upkeep does

    await auntil(lambda: caller.downs == [(link_id, presence.SIGNED_OUT)])


async def test_a_server_that_does_not_allow_it_says_so(server, program):
    process = program("--no-tunnel")

    assert await asyncio.to_thread(process.wait, 10) == 2
    assert "MESH_ALLOW_LOCALHOST_LINKS" in process.stderr.read()


async def test_a_machine_with_a_tunnel_stands_beside_it(caller, program, laptop, server):
    program("--no-tunnel")
    first = await up(caller)
    one = laptop()  # another home: another machine, which stands beside it

    await auntil(lambda: len(held_here()) == 2)

    assert first in held_here()
    one.end()


# The rows


def registration(**fields):
    return Registration(
        machine_id="m1",
        cli_version="1",
        protocol_version=1,
        capabilities=("codex",),
        **{"tunnel_url": "http://localhost:5174", **fields},
    )


@pytest.fixture
def registered(allowed, ada):
    return services.register(user=ada, registration=registration())


def beat(registered, ada, **how):
    given = {"sign_in": SignIn(ada, 1, None, "user"), **how}
    services.heartbeat(user_sub=registered.user_sub, secret=registered.link_secret, **given)


def test_a_registration_says_whether_it_is_honoured(registered, settings, ada):  # S2, S4
    assert registered.tunnel_url == "http://localhost:5174"

    settings.MESH_ALLOW_LOCALHOST_LINKS = False

    assert services.register(user=ada, registration=registration()).tunnel_url == ""


def test_a_registered_machine_waits_to_be_called(registered):
    (machine,) = services.list_reachable()

    assert (machine.url, machine.secret) == (registered.tunnel_url, registered.link_secret)


def test_one_process_calls_it(registered):
    (machine,) = services.list_reachable()

    assert services.claim_reachable(machine=machine, connection_id="a") is not None
    assert services.claim_reachable(machine=machine, connection_id="b") is None
    assert services.list_reachable() == []


def test_registering_again_frees_it(registered, ada):
    (machine,) = services.list_reachable()
    services.claim_reachable(machine=machine, connection_id="a")

    services.register(user=ada, registration=registration())

    assert services.keep_online(connection_ids=["a"]) == {"a"}
    assert services.claim_reachable(machine=machine, connection_id="b") is None  # the old secret
    assert len(services.list_reachable()) == 1


def test_a_heartbeat_alone_does_not_make_it_online(registered, ada):
    beat(registered, ada)

    assert selectors.list_links(viewer=ada)[0].state == "offline"


def test_a_heartbeat_tells_what_the_machine_can_do(registered, ada):
    beat(registered, ada, status=MachineStatus(capabilities=("claude-code",), harnesses={}))

    assert selectors.list_links(viewer=ada)[0].capabilities == ("claude-code",)


@pytest.mark.parametrize(
    ("who", "scope", "machine"),
    [
        pytest.param(None, "", "", id="nobody"),
        pytest.param("eve", "user", "", id="somebody else"),
        pytest.param("ada", "machine", "m2", id="another machine of the person"),
    ],
)
def test_a_heartbeat_needs_a_sign_in(registered, ada, eve, who, scope, machine):
    people = {"ada": ada, "eve": eve}
    sign_in = SignIn(people[who], 1, None, scope, machine) if who else None

    with pytest.raises(BadProof):
        beat(registered, ada, sign_in=sign_in)


def test_over_http_too(registered, ada, client):
    from mesh.services import make_token

    proof = {"X-Mesh-User-Sub": registered.user_sub, "X-Link-Secret": registered.link_secret}
    token = make_token(user=ada)
    assert find_sign_in(token)

    def answered(**headers):
        answer = client.post(
            "/api/links/heartbeat",
            {"capabilities": ["codex"]},
            content_type="application/json",
            headers={**proof, **headers},
        )
        return answer.status_code

    assert answered() == 401
    assert answered(**{"X-Link-Token": "wrong"}) == 401
    assert answered(**{"X-Link-Token": token}) == 204


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"cause": presence.STOPPED}, id="stopped"),
        pytest.param({"cause": presence.SIGNED_OUT}, id="signed out"),
        pytest.param({"seen_at": timezone.now() - timedelta(minutes=1)}, id="silent"),
        pytest.param({"tunnel_url": "https://lap.example"}, id="a host that is not allowed now"),
        pytest.param({"tunnel_url": ""}, id="none"),
    ],
)
def test_who_is_not_called(registered, change):
    Link.objects.update(**change)

    assert services.list_reachable() == []


def test_a_person_who_was_shut_out_is_not_called(registered, ada):
    ada.is_active = False
    ada.save()

    assert services.list_reachable() == []


@pytest.mark.parametrize(
    ("localhost", "hosts", "url", "permitted"),
    [
        (True, "", "http://localhost:5174", "http://localhost:5174"),
        (False, "", "http://localhost:5174", ""),
        (False, "*.ts.net", "https://lap.ts.net/", "https://lap.ts.net"),
        (True, "", "https://lap.ts.net", ""),
        (True, "*.ts.net", "https://lap.evil.example", ""),
    ],
)
def test_the_operator_decides(settings, localhost, hosts, url, permitted):
    from mesh import env

    settings.MESH_ALLOW_LOCALHOST_LINKS = localhost
    settings.ENV = env.read({"MESH_LINK_HOSTS": hosts})

    assert permitted_url(url) == permitted


# The connection


def reachable(url):
    return services.direct_machines.Reachable(uuid4(), url, "s" * 43, "f")


async def test_a_redirect_is_not_followed():
    async def sends_away(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 302 Found\r\nlocation: http://localhost:1/\r\ncontent-length: 0\r\n\r\n"
        )
        writer.close()

    server = await asyncio.start_server(sends_away, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = direct.DirectConnection(reachable(f"http://localhost:{port}"))

    answer = await connection.client.get("/api/sandboxes")

    assert answer.status_code == 302
    assert await connection.check() is None
    await connection.client.aclose()
    server.close()


async def test_nobody_there_is_no_answer(free_port):
    connection = direct.DirectConnection(reachable(f"http://localhost:{free_port}"))

    assert await connection.check() is None
    with pytest.raises(httpx.TransportError):
        await connection.client.get("/")
    await connection.client.aclose()
