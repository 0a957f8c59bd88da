"""Every place in our source that opens a connection, and why it may."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("mesh", "links", "agents", "sandboxes", "threads")

# What opens a connection, or has a library open one: the last two words of the call.
OPENERS = {
    *("httpx.AsyncClient", "httpx.Client", "httpx.AsyncHTTPTransport", "httpx.HTTPTransport"),
    *("httpx.get", "httpx.post", "httpx.put", "httpx.request", "httpx.stream"),
    *("httpx2.AsyncClient", "httpx2.Client", "httpx2.AsyncHTTPTransport", "httpx2.HTTPTransport"),
    *("request.urlopen", "request.build_opener", "request.OpenerDirector", "request.urlretrieve"),
    *("client.HTTPConnection", "client.HTTPSConnection"),
    *("requests.get", "requests.post", "requests.request", "requests.Session"),
    *("aiohttp.ClientSession", "urllib3.PoolManager"),
    *("asyncio.open_connection", "asyncio.open_unix_connection", "socket.create_connection"),
    *("loop.create_connection", "loop.create_unix_connection", "sock.connect", "loop.sock_connect"),
    *("docker.DockerClient", "docker.from_env", "client.ApiClient", "client.connect"),
    *("websockets.connect", "websockets.unix_connect", "smtplib.SMTP"),
}
# The same, by the name that it is imported under.
NAMES = {
    *("AsyncClient", "AsyncHTTPTransport", "urlopen", "build_opener", "HTTPConnection"),
    *("connect", "unix_connect", "NoRedirectConnect", "create_connection", "HttpResponseParser"),
    *("AsyncAnthropic", "AsyncOpenAI", "GoogleProvider", "streamable_http_client", "Client"),
}

GUARDED = "within the limits of mesh.http_client"
ON_MESSAGES = "a WebSocket that follows no redirect; its messages are limited, not compressed"
WITH_OURS = "given a client of ours"
EXPECTED = {
    ("mesh/http_client.py", "httpx.AsyncClient"): "the one place where clients are made",
    ("mesh/egress.py", "httpx.AsyncClient"): GUARDED,
    ("mesh/egress.py", "_library.AsyncHTTPTransport"): GUARDED,
    ("threads/decopilot/fetch.py", "httpx.AsyncClient"): GUARDED,
    ("threads/decopilot/transport.py", "httpx2.AsyncClient"): GUARDED,
    ("threads/decopilot/provider_clients.py", "AsyncAnthropic"): WITH_OURS,
    ("threads/decopilot/provider_clients.py", "AsyncOpenAI"): WITH_OURS,
    ("threads/decopilot/provider_clients.py", "Client"): WITH_OURS,
    ("threads/decopilot/provider_clients.py", "GoogleProvider"): WITH_OURS,
    ("threads/decopilot/mcp.py", "streamable_http_client"): WITH_OURS,
    ("threads/decopilot/mcp.py", "Client"): WITH_OURS,
    ("links/direct.py", "httpx.AsyncHTTPTransport"): GUARDED,
    ("links/internal/caller.py", "httpx.AsyncHTTPTransport"): GUARDED,
    ("sandboxes/providers/direct.py", "httpx.AsyncHTTPTransport"): GUARDED,
    ("links/direct.py", "NoRedirectConnect"): ON_MESSAGES,
    ("links/local_websockets.py", "NoRedirectConnect"): ON_MESSAGES,
    ("links/proxy.py", "NoRedirectConnect"): ON_MESSAGES,
    ("sandboxes/providers/direct.py", "NoRedirectConnect"): ON_MESSAGES,
    ("links/daemon/client.py", "NoRedirectConnect"): "the tunnel, whose frames are limited",
    ("links/upstream.py", "loop.create_connection"): "nothing is unpacked; head and body limited",
    ("links/upstream.py", "loop.create_unix_connection"): "nothing is unpacked; the same",
    ("links/upstream.py", "httptools.HttpResponseParser"): "nothing is unpacked; the same",
    ("links/daemon/web.py", "request.build_opener"): "nothing is unpacked, at most 1 MiB is read",
    ("links/daemon/doctor/server.py", "asyncio.open_connection"): "nothing is read",
    ("links/daemon/ssh_agent.py", "sock.connect"): "the person's SSH agent, at a unix socket",
    ("mesh/health.py", "client.HTTPConnection"): "this server itself, on loopback",
    ("sandboxes/providers/docker.py", "docker.DockerClient"): "the operator's engine",
    ("sandboxes/providers/docker.py", "docker.from_env"): "the operator's engine",
    ("sandboxes/providers/agent_sandbox.py", "client.ApiClient"): "the operator's cluster",
}


def files():
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def calls(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def name_of(node):
    """Return the last two words of what is called, such as ``httpx.AsyncClient``."""
    if isinstance(node.func, ast.Name):
        return node.func.id
    if not isinstance(node.func, ast.Attribute):
        return ""
    before = node.func.value
    word = getattr(before, "attr", getattr(before, "id", ""))
    return f"{word}.{node.func.attr}"


def is_opener(name):
    return name in OPENERS or name in NAMES or name.rpartition(".")[2] in NAMES - {"connect"}


def found():
    return {
        (str(path.relative_to(ROOT)), name)
        for path in files()
        for name in map(name_of, calls(path))
        if is_opener(name)
    }


def test_every_place_that_opens_a_connection_is_known():
    """A new one belongs behind ``mesh.egress`` or ``mesh.http_client``; then it is named above."""
    assert found() == set(EXPECTED)


@pytest.mark.parametrize(
    ("file", "call", "given"),
    [
        ("mesh/http_client.py", "httpx.AsyncClient", "BoundedTransport"),
        ("mesh/egress.py", "httpx.AsyncClient", "transport"),
        ("threads/decopilot/fetch.py", "httpx.AsyncClient", "transport"),
        ("threads/decopilot/transport.py", "httpx2.AsyncClient", "Transport"),
        ("threads/decopilot/provider_clients.py", "AsyncAnthropic", "client"),
        ("threads/decopilot/provider_clients.py", "AsyncOpenAI", "client"),
        ("threads/decopilot/provider_clients.py", "HttpOptions", "client"),
        ("threads/decopilot/provider_clients.py", "GoogleProvider", "sdk"),
        ("threads/decopilot/mcp.py", "streamable_http_client", "http"),
    ],
)
def test_each_client_has_a_transport_or_a_client_of_ours(file, call, given):
    for node in calls(ROOT / file):
        if name_of(node) == call:
            own = {k.arg: ast.unparse(k.value) for k in node.keywords}
            (by,) = {"transport", "http_client", "httpx_async_client", "client"} & own.keys()
            assert own[by].partition("(")[0] == given


def test_only_previews_and_events_are_read_as_they_came():
    """``aiter_raw`` passes the limits by: whoever uses it passes the bytes on, or counts them."""
    raw = {
        str(path.relative_to(ROOT))
        for path in files()
        for node in calls(path)
        if name_of(node).endswith(".aiter_raw")
    }

    assert raw == {
        "mesh/http_client.py",
        "links/internal/app.py",
        "sandboxes/preview/app.py",
        "sandboxes/providers/sandbox_client.py",
        "sandboxes/proxy.py",
        "threads/browse_api.py",
    }
