"""Where Mesh may be sent, and what it takes from there: tried with hostile names and answers."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.agents.keys.conftest import SECRET, ScriptedProvider
from tests.rude import RudeClient
from tests.running import RunningMesh

PRIVATE = [
    pytest.param("169.254.169.254", id="metadata"),
    pytest.param("[::ffff:169.254.169.254]", id="metadata, mapped"),
    pytest.param("[::ffff:0:a9fe:a9fe]", id="metadata, translated"),
    pytest.param("[64:ff9b:1::a9fe:a9fe]", id="metadata, through a NAT64 of its own"),
    pytest.param("[fec0::1]", id="site-local"),
    pytest.param("[2606:4700::5efe:a9fe:a9fe]", id="ISATAP"),
    pytest.param("192.88.99.1", id="relay of 6to4"),
    pytest.param("168.63.129.16", id="Azure's WireServer"),
    pytest.param("127.0.0.1.", id="this machine, with a dot"),
    pytest.param("127.1", id="this machine, in short"),
    pytest.param("0x7f000001", id="this machine, as a number"),
]


def post(front, path, body):
    headers = {**front.ada.bearer, "Content-Type": "application/json"}
    return front.rude().request("POST", path, headers, json.dumps(body).encode())


@pytest.mark.parametrize("host", PRIVATE)
def test_no_provider_is_at_a_private_address(front, host):
    body = {"provider": "openai-compatible", "baseUrl": f"https://{host}/v1", "key": SECRET}
    answer = post(front, "/api/home/ai-keys", body)

    assert (answer.status, answer.code) in [(400, "address_refused"), (400, "bad_address")]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        *((f"https://{case.values[0]}/a/b", "") for case in PRIVATE),
        ("http://github.com/a/b", "bad_repository"),
        ("git@-oProxyCommand=x:a/b", "bad_repository"),
        ("https://-h/a/b", "bad_repository"),
        ("https://metadata.google.internal/a/b", "repository_refused"),
        ("https://localhost/a/b", "repository_refused"),
        ("git@10.0.0.1:a/b", "repository_refused"),
    ],
)
def test_no_agent_has_a_repository_at_one(front, address, code):
    answer = post(front, "/api/home/agents", {"title": "Shop", "repository": address})

    assert answer.status == 400
    assert answer.code in ([code] if code else ["repository_refused", "bad_repository"])
    assert answer.json()["error"]["hint"]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    """A Mesh whose operator has allowed a provider on loopback."""
    home = tmp_path_factory.mktemp("outgoing") / "home"
    running = RunningMesh(home, MESH_PRIVATE_HOSTS="127.0.0.1")
    try:
        yield running.start()
    finally:
        running.close()


@pytest.fixture
def hostile():
    provider = ScriptedProvider()
    yield provider
    provider.close()


@pytest.mark.parametrize(
    ("times", "why"),
    [
        pytest.param(1, "larger than 2 MiB", id="packed once, and too large"),
        pytest.param(2, "more than once", id="packed twice"),
        pytest.param(3, "more than once", id="packed three times"),
    ],
)
def test_what_a_provider_packs_is_not_unpacked_without_end(mesh, hostile, times, why):
    hostile.body = b'{"data": ["' + b"x" * 3_000_000 + b'"]}'
    for _ in range(times):
        hostile.body = gzip.compress(hostile.body)
    hostile.headers = {"content-encoding": ", ".join(["gzip"] * times)}
    rude = RudeClient(mesh.url)
    headers = {"Authorization": f"Bearer {mesh.token}", "Content-Type": "application/json"}
    body = {"provider": "openai-compatible", "baseUrl": hostile.url, "key": SECRET}
    made = rude.request("POST", "/api/home/ai-keys", headers, json.dumps(body).encode()).json()

    answer = rude.request("POST", f"/api/home/ai-keys/{made['id']}/test", headers, b"{}").json()

    assert (answer["outcome"], why in answer["said"]) == ("unreachable", True)
    assert hostile.asked[-1][1]["accept-encoding"] == "identity"
    assert rude.request("GET", "/healthz").status == 200
