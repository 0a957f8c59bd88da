"""A connection that stops in the middle of a request is closed, and holds nothing for good."""

from __future__ import annotations

import json
import socket

import pytest

from mesh.http_protocol import BODY_SILENCE, HEAD_WITHIN

BEGUN = {
    "nothing": b"",
    "half a request line": b"GET /acc",
    "half a header": b"GET / HTTP/1.1\r\nHost: lo",
    "an empty line": b"\r\n",
    "a body that never comes": b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\n",
}


@pytest.fixture
def port(front):
    """Where a server process listens itself, without its proxy."""
    if front.kind == "embedded":
        return front.mesh.port
    return int(front.cluster.processes["A"].args[-1])


def test_every_server_closes_what_makes_no_progress(port):
    opened = {}
    for name, begun in BEGUN.items():  # all at once, for each takes as long as the limit
        opened[name] = socket.create_connection(("127.0.0.1", port), 2 * BODY_SILENCE + HEAD_WITHIN)
        opened[name].sendall(begun)

    for name, connection in opened.items():
        with connection:
            assert connection.recv(1) == b"", name


def test_the_laptops_own_server_does_too(front):
    """The socket of a sandbox: an agent of the same user reaches it."""
    front.thread  # noqa: B018 - has a sandbox
    facts = json.loads(next(front.laptop_home.glob("sandboxes/*/pid")).read_text())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2 * HEAD_WITHIN)
        connection.connect(facts["socket"])
        connection.sendall(b"GET /")

        assert connection.recv(1) == b""
