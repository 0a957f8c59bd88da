"""What a hostile laptop answers reaches whoever asked it, and nobody else."""

from __future__ import annotations

import pytest

from tests.doors.hostile import HostileLaptop

# Harmless, and told apart from all that Mesh says.
SECOND = b"HTTP/1.1 200 OK\r\nX-Second: 1\r\nContent-Length: 6\r\n\r\nsecond"
LENGTH = [("content-length", str(len(SECOND)))]


@pytest.fixture(scope="module")
def laptop(front):
    assert front.thread  # with it came the organization's agent
    laptop = HostileLaptop(front, front.bob)
    yield laptop
    laptop.close()


@pytest.fixture(scope="module")
def preview(laptop):
    return laptop.preview()


def read_all(connection):
    """Return what comes until there is silence."""
    connection.settimeout(1)
    came = b""
    try:
        while piece := connection.recv(65536):
            came += piece
    except TimeoutError:
        pass
    return came


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("door", ["preview", "vm"])
def test_nothing_follows_an_answer_without_a_body(front, laptop, preview, status, door):
    host, cookie = preview
    laptop.answers(status, LENGTH, pieces=[b"", SECOND])
    path = "/" if door == "preview" else "/api/home/vm/default/main/config"
    named = host if door == "preview" else front.rude().host
    head = f"GET {path} HTTP/1.1\r\nHost: {named}\r\nCookie: {cookie}\r\n"

    with front.rude().connect(host=named) as connection:
        connection.sendall(f"{head}Authorization: Bearer {front.bob.token}\r\n\r\n".encode())
        came = read_all(connection)

    assert came.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"second" not in came


@pytest.mark.parametrize("status", [100, 101, 103])
def test_what_is_no_answer_is_a_502(front, laptop, preview, status):
    host, cookie = preview
    laptop.answers(status, LENGTH, pieces=[SECOND])

    answer = front.rude().request("GET", "/", {"Cookie": cookie}, host=host)

    assert (answer.status, answer.code) == (502, "bad_answer")


def test_nobody_waits_for_an_answer_that_does_not_end(front, laptop, preview):
    host, cookie = preview
    laptop.answers(200, [("content-length", "5")], pieces=[b"hello"], goes_on=True)
    lines = f"GET / HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n"

    with front.rude().connect(host=host) as connection:
        connection.sendall(lines.encode() * 2)
        came = read_all(connection)

    # A proxy would have sent the second one for somebody else.
    assert came.count(b"hello") == 2


def test_a_header_in_any_letters_arrives_as_it_was(front, laptop, preview):
    host, cookie = preview
    laptop.answers(200, [("x-name", "\xe2\x86\x92.txt \xe9")], pieces=[b"hello"])

    answer = front.rude().request("GET", "/", {"Cookie": cookie}, host=host)

    assert (answer.status, answer.headers["x-name"]) == (200, "\xe2\x86\x92.txt \xe9")
    assert answer.body == b"hello"


def test_an_app_gives_no_orders_to_the_proxy(front, laptop, preview):
    host, cookie = preview
    orders = [("x-accel-redirect", "/"), ("x-sendfile", "/x"), ("x-accel-buffering", "no")]
    laptop.answers(200, orders, pieces=[b"hello"])

    answer = front.rude().request("GET", "/", {"Cookie": cookie}, host=host)

    assert [name for name, _ in orders if name in answer.headers] == ["x-accel-buffering"]
