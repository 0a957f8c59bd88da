"""What an application says behind the end of its answer is sent to nobody."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.framing import BadAnswer, checked, framed


def told(status, headers=(), *pieces, method="GET", ends=True):
    """Return what is sent of an answer; ``ends``: the application says where it ends."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if ends:
            await send({"type": "http.response.body", "body": b""})

    async def keep(message):
        sent.append(message)

    asyncio.run(framed(app)({"type": "http", "method": method, "path": "/"}, None, keep))
    return sent


def length(value):
    return [(b"content-length", value)]


def body_of(sent):
    return b"".join(message.get("body", b"") for message in sent[1:])


def is_over(sent):
    return not sent[-1].get("more_body")


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize(
    ("status", "method"),
    [
        pytest.param(204, "GET", id="no content"),
        pytest.param(304, "GET", id="not modified"),
        pytest.param(200, "HEAD", id="HEAD"),
    ],
)
def test_an_answer_without_a_body_has_none(status, method, ends):
    sent = told(status, length(b"5"), b"hello", method=method, ends=ends)

    assert (len(sent), body_of(sent), is_over(sent)) == (2, b"", True)


def test_the_length_of_a_body_that_does_not_come_is_told_to_head_only():
    assert told(200, length(b"5"), method="HEAD")[0]["headers"] == length(b"5")
    assert told(304, length(b"5"))[0]["headers"] == []


@pytest.mark.parametrize("pieces", [[b"hello", b"more"], [b"hellomore"], [b"hel", b"lomore"]])
def test_a_body_ends_where_it_was_told_to(pieces):
    sent = told(200, length(b"5"), *pieces, ends=False)

    assert (body_of(sent), is_over(sent)) == (b"hello", True)


def test_a_body_shorter_than_it_was_told_does_not_look_whole():
    sent = told(200, length(b"5"), b"he")

    assert (body_of(sent), is_over(sent)) == (b"he", False)


def test_a_body_without_a_length_ends_when_it_is_said_to():
    sent = told(200, (), b"a", b"b")

    assert [message.get("more_body") for message in sent[1:]] == [True, True, None]


@pytest.mark.parametrize("status", [0, 100, 101, 103, 199, 600, 999])
def test_what_is_no_answer_is_a_502(status):
    sent = told(status, length(b"5"), b"hello")

    assert sent[0]["status"] == 502
    assert json.loads(body_of(sent))["error"]["code"] == "bad_answer"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(length(b"5") + length(b"6"), id="two lengths"),
        pytest.param(length(b"+5"), id="a sign"),
        pytest.param(length(b"5_0"), id="an underscore"),
        pytest.param(length(b"-1"), id="less than nothing"),
        pytest.param(length(b""), id="empty"),
        pytest.param(length(b"1" * 30), id="too long"),
        pytest.param([(b"x", b"a\r\nb: c")], id="a line break"),
        pytest.param([(b"x", b"a\0")], id="a NUL"),
        pytest.param([(b"x\r\ny", b"a")], id="a line break in a name"),
        pytest.param([(b"x y", b"a")], id="a space in a name"),
        pytest.param([(b"", b"a")], id="no name"),
    ],
)
def test_a_header_that_is_none_is_a_502(headers):
    assert told(200, headers, b"hello")[0]["status"] == 502


def test_how_bodies_are_cut_is_the_servers_matter():
    headers, left = checked(200, [(b"Transfer-Encoding", b"chunked"), *length(b"5"), *length(b"5")])

    assert (headers, left) == (length(b"5"), 5)


def test_a_failure_behind_the_end_closes_no_connection(caplog):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        raise RuntimeError("a bug")

    async def keep(message):
        pass

    asyncio.run(framed(app)({"type": "http", "method": "GET", "path": "/"}, None, keep))

    assert "a bug" in caplog.text


async def test_an_answer_that_is_broken_off_does_not_look_whole():
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    async def keep(message):
        sent.append(message)

    await framed(app)({"type": "http", "method": "GET", "path": "/"}, None, keep)

    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_a_failure_before_the_end_is_the_servers_to_see():
    async def app(scope, receive, send):
        raise asyncio.CancelledError  # how an answer is broken off

    with pytest.raises(asyncio.CancelledError):
        await framed(app)({"type": "http", "method": "GET", "path": "/"}, None, None)


@given(
    status=st.integers(100, 700),
    headers=st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=4))),
    lengths=st.lists(st.sampled_from([b"0", b"3", b"03", b"x", b" 3"]), max_size=2),
)
def test_whatever_is_said_the_length_is_sure(status, headers, lengths):
    given = [*headers, *[(b"Content-Length", one) for one in lengths]]
    try:
        kept, left = checked(status, given)
    except BadAnswer:
        return
    names = [name.lower() for name, _ in kept]
    assert 200 <= status < 600
    assert names.count(b"content-length") <= 1
    assert b"transfer-encoding" not in names
    assert left is None or left >= 0
