"""Keys for the tests, and a provider on loopback that says what it is told to."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agents.keys import services
from agents.keys.services import NewKey
from mesh.lib.addresses import parse_allowed
from mesh.models import Membership
from tests.secrecy import MARK

SECRET = f"sk-ant-api03-{MARK}"


@pytest.fixture
def owner(ada, org):
    return Membership.objects.select_related("organization", "user").get(user=ada)


@pytest.fixture
def member(bob, org):
    return Membership.objects.select_related("organization", "user").get(user=bob)


@pytest.fixture
def add(owner):
    """Return ``add(**fields)``: a key that Ada added."""

    def make(**fields):
        return services.add_key(
            member=owner, new=NewKey(**{"provider": "anthropic", "secret": SECRET, **fields})
        )

    return make


class ScriptedProvider:
    """A provider's API on loopback: one status and body for every request."""

    def __init__(self):
        self.status, self.body, self.asked = 200, {"data": []}, []
        self.headers = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.asked.append((self.path, dict(self.headers)))
                body = provider.body if isinstance(provider.body, bytes) else None
                body = json.dumps(provider.body).encode() if body is None else body
                self.send_response(provider.status)
                self.send_header("content-length", str(len(body)))
                for name, value in provider.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def provider(settings):
    settings.MESH_PRIVATE_HOSTS = parse_allowed("127.0.0.1")
    scripted = ScriptedProvider()
    yield scripted
    scripted.close()
