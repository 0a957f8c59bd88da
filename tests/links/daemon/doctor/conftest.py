"""A plain HTTP server that answers as Mesh would, or with a fault."""

import json
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mesh.version import VERSION

TOKEN = "s3cret-token-of-this-machine"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        fake = self.server.fake
        fake.asked.append((self.path, self.headers.get("Authorization")))
        if self.path == "/api/links/stream":
            self.stream(fake)
            return
        status, value = fake.answers.get(self.path, (404, {}))
        self.whole(status, value if isinstance(value, bytes) else json.dumps(value).encode())

    def whole(self, status, body):
        self.send_response_only(status)
        self.send_header("Date", formatdate(time.time() + self.server.fake.ahead, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, fake):
        self.send_response_only(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if not fake.is_buffering:
            self.wfile.write(b"data: {}\n\n")
            self.wfile.flush()
        fake.over.wait(20)
        self.close_connection = True

    def log_message(self, *args):
        pass


class FakeServer:
    """What ``answers`` says by path; ``ahead`` seconds in the future; may hold streams back."""

    def __init__(self):
        self.answers = {
            "/healthz": (200, {"status": "ok", "version": VERSION, "database": "ok"}),
            "/dist/": (
                200,
                {"version": VERSION, "protocol": {"current": 1, "minimum": 1}, "pip": "pip …"},
            ),
            "/api/links/me": (200, {"status": "offline"}),
        }
        self.ahead = 0.0
        self.is_buffering = False
        self.asked = []
        self.over = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.fake = self
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def fake():
    with FakeServer() as running:
        yield running


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN)
    return path


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
