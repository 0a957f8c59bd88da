"""Which pages may open the browser's socket."""

from __future__ import annotations

import pytest

from threads.origin import is_same_origin

PUBLIC = "https://mesh.example"


def scope(origin, host, scheme="ws"):
    headers = [(b"origin", origin.encode()), (b"host", host.encode())]
    return {"headers": [pair for pair in headers if pair[1]], "scheme": scheme}


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        pytest.param("http://localhost:8321", "localhost:8321", True, id="our own page"),
        pytest.param("http://LOCALHOST:8321", "localhost:8321", True, id="in capitals"),
        pytest.param("http://127.0.0.1:8321", "127.0.0.1:8321", True, id="by its number"),
        pytest.param("http://localhost", "localhost:80", True, id="the scheme's own port"),
        pytest.param("https://localhost:8321", "localhost:8321", False, id="another scheme"),
        pytest.param("ws://localhost:8321", "localhost:8321", False, id="no page's scheme"),
        pytest.param("localhost:8321", "localhost:8321", False, id="no scheme"),
        pytest.param("http://localhost:3000", "localhost:8321", False, id="a preview's port"),
        pytest.param("http://localhost", "localhost:8321", False, id="no port"),
        pytest.param("https://evil.example", "localhost:8321", False, id="another site"),
        pytest.param("http://evil.example", "evil.example", False, id="DNS rebinding"),
        pytest.param("null", "localhost:8321", False, id="a sandboxed frame"),
        pytest.param("", "localhost:8321", False, id="no origin"),
        pytest.param("", "", False, id="nothing"),
    ],
)
def test_without_a_public_address_it_is_the_requests_own(settings, origin, host, allowed):
    settings.MESH_URL = ""

    assert is_same_origin(scope(origin, host)) is allowed


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        pytest.param(PUBLIC, "mesh.example", True, id="the public address"),
        pytest.param(PUBLIC, "internal:8000", True, id="behind a proxy"),
        pytest.param("https://mesh.example:443", "mesh.example", True, id="with its port"),
        pytest.param("http://mesh.example", "mesh.example", False, id="without TLS"),
        pytest.param("https://mesh.example:8443", "mesh.example:8443", False, id="another port"),
        pytest.param("http://localhost:8000", "localhost:8000", False, id="another name of it"),
        pytest.param("https://a.preview.mesh.example", "mesh.example", False, id="a preview"),
    ],
)
def test_it_is_the_public_addresss_where_there_is_one(settings, origin, host, allowed):
    settings.MESH_URL = PUBLIC
    settings.ALLOWED_HOSTS = ["localhost", "mesh.example"]

    assert is_same_origin(scope(origin, host)) is allowed


def test_by_tls_a_page_is_one_of_tls(settings):
    settings.MESH_URL = ""

    assert is_same_origin(scope("https://localhost", "localhost", "wss"))
    assert not is_same_origin(scope("http://localhost", "localhost", "wss"))


@pytest.mark.parametrize("name", [b"origin", b"host"])
def test_two_headers_are_none(settings, name):
    settings.MESH_URL = ""
    twice = scope("http://localhost", "localhost")
    twice["headers"] += [(key, value) for key, value in twice["headers"] if key == name]

    assert not is_same_origin(twice)
