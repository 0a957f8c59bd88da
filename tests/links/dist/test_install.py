"""What the line of “Connect your desktop” does with a wheel that is not the server's: nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from links.dist.offer import offer_of, wheel


@pytest.fixture
def impostor():
    """The address of a server that hands out other bytes under the wheel's name."""
    data = wheel().data
    # Still a whole wheel: only the comment at a zip's end is longer.
    changed = data[:-2] + b"\x07\x00changed"

    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(changed)))
            self.end_headers()

        def do_GET(self):
            self.do_HEAD()
            self.wfile.write(changed)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_a_changed_wheel_is_refused_and_not_started(impostor, tmp_path, tool):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MESH_", "PYTHON", "UV_"))}
    ended = subprocess.run(
        ["/bin/sh", "-c", getattr(offer_of(impostor), tool)],
        env=clean
        | {
            "HOME": str(tmp_path),
            "PATH": f"{Path(sys.executable).parent}:{clean['PATH']}",
            "UV_PYTHON": sys.executable,
            "UV_CACHE_DIR": str(tmp_path / "cache"),
            "NO_PROXY": "127.0.0.1",
        },
        capture_output=True,
        text=True,
    )

    assert ended.returncode != 0
    assert "hash" in ended.stderr.lower()
    assert not list(tmp_path.glob(".deco/*/bin/deco"))
