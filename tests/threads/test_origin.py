"""Which pages may open the browser's socket."""

from __future__ import annotations

import pytest

from threads.origin import is_same_origin

PUBLIC = "https://mesh.example"


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        pytest.param("http://localhost:8321", "localhost:8321", True, id="our own page"),
        pytest.param("http://LOCALHOST:8321", "localhost:8321", True, id="in capitals"),
        pytest.param("http://127.0.0.1:8321", "127.0.0.1:8321", True, id="by its number"),
        pytest.param(PUBLIC, "mesh.example", True, id="the public address"),
        pytest.param(PUBLIC, "internal:8000", True, id="the public address behind a proxy"),
        pytest.param("http://localhost:3000", "localhost:8321", False, id="a preview's port"),
        pytest.param("http://localhost", "localhost:8321", False, id="no port"),
        pytest.param("https://evil.example", "localhost:8321", False, id="another site"),
        pytest.param("http://evil.example", "evil.example", False, id="DNS rebinding"),
        pytest.param("null", "localhost:8321", False, id="a sandboxed frame"),
        pytest.param("", "localhost:8321", False, id="no origin"),
        pytest.param("", "", False, id="nothing"),
    ],
)
def test_is_same_origin(settings, origin, host, allowed):
    settings.CSRF_TRUSTED_ORIGINS = [PUBLIC]
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "mesh.example"]

    headers = [(b"origin", origin.encode()), (b"host", host.encode())]
    assert is_same_origin(headers) is allowed
