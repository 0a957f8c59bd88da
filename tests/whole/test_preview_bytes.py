"""What a preview carries: bodies, waits and messages of any length, through the real processes."""

from __future__ import annotations

import hashlib
import re
import socket
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from tests.running import RunningMesh, say
from tests.sandboxes.daemon.projects import repository
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.programs

MIB = 1024 * 1024
SIZE = 192 * MIB
# How much more memory a process may take for it: all windows and buffers of one transfer.
BOUND = 96 * MIB
SERVER = """
import contextlib, hashlib, os, socket, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

told = threading.Event()
PIECE = bytes(range(256)) * 256


class Handler(BaseHTTPRequestHandler):  # speaks HTTP/1.0: an answer ends with its connection
    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def do_GET(self):
        if self.path == "/poll":
            told.wait()
            self.head(200)
            self.wfile.write(b"told")
        elif self.path.startswith("/big"):
            self.head(200, content_type="application/octet-stream")
            for _ in range(int(self.path.partition("?")[2]) // len(PIECE)):
                self.wfile.write(PIECE)
        elif self.path == "/empty":
            self.head(204)
        elif self.path == "/same":
            self.head(304, etag='"1"')
        elif self.path == "/tell":
            told.set()
            self.head(200)
        else:
            self.head(200, content_type="text/html")
            self.wfile.write(b"<html><head></head><body>page</body></html>")

    def do_HEAD(self):
        self.head(200, content_type="text/plain", content_length="1234")

    def do_POST(self):
        if self.path == "/early":
            self.head(413, content_length="2")
            self.wfile.write(b"no")
            # As web servers do: a close with bytes that nobody has read would reset the
            # connection, and take the answer back.
            self.connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while self.rfile.read1(1 << 20):
                    pass
            return
        digest, left = hashlib.sha256(), int(self.headers["content-length"])
        while left:
            piece = self.rfile.read(min(left, 1 << 20))
            digest.update(piece)
            left -= len(piece)
        self.head(200)
        self.wfile.write(digest.hexdigest().encode())

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SOCKET = """
import os
from websockets.sync.server import serve

def echo(socket):
    for message in socket:
        socket.send(message)

def page(connection, request):
    if "upgrade" not in request.headers:
        return connection.respond(200, "up")

with serve(echo, "127.0.0.1", int(os.environ["PORT"]), max_size=1 << 24, compression=None,
           subprotocols=["last"], process_request=page) as server:
    server.serve_forever()
"""


class Shown:
    """A project whose preview was entered, as a program does it."""

    def __init__(self, mesh, thread):
        self.mesh = mesh
        with mesh.client() as api:
            offer = api.post(f"/threads/{thread}/sandbox/preview", json={}).json()
        self.host = urlsplit(offer["origin"]).netloc
        self.client = httpx.Client(
            base_url=mesh.url, headers={"host": self.host}, timeout=PATIENCE, trust_env=False
        )
        [ticket] = parse_qs(urlsplit(offer["url"]).fragment)["ticket"]
        entered = self.client.post("/.mesh/enter", content=ticket)
        self.cookie = entered.headers["set-cookie"].partition(";")[0]
        self.client.headers["cookie"] = self.cookie
        until(lambda: self.client.get("/").status_code == 200, within=60, what="the page shows")

    def socket(self, **options):
        return connect(
            f"ws://{self.host}/",
            sock=socket.create_connection(("127.0.0.1", self.mesh.port)),
            additional_headers={"cookie": self.cookie},
            proxy=None,
            **options,
        )

    def peaks(self):
        """The most memory that server, link and sandbox have taken so far, in bytes."""
        pids = [self.mesh.process.pid, self.mesh.link()[0]]
        pids += [pid for pid, _ in self.mesh.sandboxes()]
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
        return [int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024 for text in texts]


@pytest.fixture
def program():
    return SERVER


@pytest.fixture
def shown(tmp_path, program):
    files = {"mesh.toml": f'dev = ["{sys.executable}", "server.py"]', "server.py": program}
    repository(tmp_path / "project", files)
    mesh = RunningMesh(tmp_path / "home", MESH_FOLDER=str(tmp_path / "project"))
    try:
        mesh.start().online()
        with mesh.client() as api:
            thread = api.post("/threads", json={}).json()["id"]
            assert say(api, thread, "hello", harnessId="demo").status_code == 202
            until(lambda: api.get(f"/threads/{thread}").json()["status"] == "completed", within=60)
        yield Shown(mesh, thread)
    finally:
        mesh.close()


def pieces(size=SIZE):
    for _ in range(size // MIB):
        yield bytes(MIB)


def test_bodies_of_any_length_pass_both_ways_in_little_memory(shown):
    before = shown.peaks()

    up = shown.client.post("/", content=pieces(), headers={"content-length": str(SIZE)})
    count = 0
    with shown.client.stream("GET", f"/big?{SIZE}") as down:
        for piece in down.iter_raw():
            count += len(piece)

    sent = hashlib.sha256()
    for piece in pieces():
        sent.update(piece)
    assert (up.status_code, up.text) == (200, sent.hexdigest())
    assert count == SIZE
    grown = [after - one for one, after in zip(before, shown.peaks(), strict=True)]
    assert max(grown) < BOUND, grown


def test_a_long_poll_an_early_answer_and_answers_without_a_body(shown):
    told = {}
    waiting = threading.Thread(target=lambda: told.update(poll=shown.client.get("/poll").text))
    waiting.start()

    early = shown.client.post("/early", content=pieces(), headers={"content-length": str(SIZE)})
    head, empty, same = (
        shown.client.request(method, path)
        for method, path in (("HEAD", "/x"), ("GET", "/empty"), ("GET", "/same"))
    )

    assert (early.status_code, early.text) == (413, "no")
    assert (head.headers["content-length"], head.content) == ("1234", b"")
    assert (empty.status_code, empty.content) == (204, b"")
    assert (same.status_code, same.headers["etag"], same.content) == (304, '"1"', b"")
    assert told == {}  # it still waits
    shown.client.get("/tell")
    waiting.join(PATIENCE)
    assert told == {"poll": "told"}


@pytest.mark.parametrize("program", [SOCKET], ids=["a server of WebSockets"])
def test_the_longest_message_passes_a_websocket_both_ways(shown):
    message = bytes(range(256)) * (16 * MIB // 256)
    offered = [*(f"protocol-{n}" for n in range(40)), "last"]

    with shown.socket(subprotocols=offered, max_size=16 * MIB, compression=None) as far:
        far.send(message)
        assert far.recv(PATIENCE) == message
        assert far.subprotocol == "last"
