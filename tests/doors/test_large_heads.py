"""The head of a request has an end, whoever sends it: it is kept whole before anybody is known."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"X: a\r\n" * 10_000, id="many headers"),
        pytest.param(b"a" * 65536, id="one header"),
    ],
)
def test_a_head_of_megabytes_is_not_taken(front, piece):
    rude, sent = front.rude(timeout=10), 0
    with rude.connect() as connection:
        try:
            connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {rude.host}\r\nX: ".encode())
            while sent < 8 * 1024 * 1024:
                connection.sendall(piece)
                sent += len(piece)
            connection.sendall(b"\r\n\r\n")
            said = connection.recv(1000)
        except OSError:  # it was closed while we were still sending
            said = b""

    assert not said or b" 431 " in said or b" 400 " in said, said
    assert rude.request("GET", "/healthz").status == 200
