"""What a laptop answers to its server: D-CP, D-HM, S18–S22, whatever carries it."""

import asyncio
import json
import os
import signal

import pytest

from links.sockets import Refused
from links.wire import signing
from links.wire.closing import Closed
from mesh.lib.targets import BadTarget
from tests.waiting import auntil

pytestmark = pytest.mark.programs


def refusal(answer):
    error = answer.json()["error"]
    assert all(error[part] for part in ("code", "message", "hint"))
    return answer.status_code, error.get("reason", error["code"])


# Who may ask


async def test_a_request_that_is_not_signed(way):  # D-CP1
    answer = await way.bare.post("/api/sandboxes", json={"handle": "echo-1"})

    assert refusal(answer) == (401, "missing_headers")
    assert answer.json()["error"]["code"] == "unauthorized"


async def test_a_signed_request(way):  # D-CP2, S18
    answer = await way.ensured()

    assert answer.json() == {"sandboxApiUrl": "/_sandbox/echo-1"}


async def test_the_same_signed_request_twice(way):  # D-CP3, S22
    first = await way.signed("GET", "/api/sandboxes", nonce="once")
    second = await way.signed("GET", "/api/sandboxes", nonce="once")

    assert first.status_code == 200
    assert refusal(second) == (401, "nonce_replay")


async def test_an_unknown_path(way):  # D-CP4
    assert refusal(await way.client.get("/api/unknown")) == (404, "not_found")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        pytest.param({"secret": "another"}, "bad_signature", id="S20, D-HM3 another secret"),
        pytest.param({"now": 0}, "timestamp_drift", id="an old request"),
        pytest.param({"nonce": "a b"}, "missing_headers", id="no nonce of ours"),
        pytest.param({"sent_to": "/api/sandboxes?x=1"}, "bad_signature", id="another query"),
        pytest.param({"sent_to": "/api/sandboxes/"}, "bad_signature", id="another path"),
    ],
)
async def test_what_is_not_proven_is_refused(way, wrong, reason):
    assert refusal(await way.signed("GET", "/api/sandboxes", **wrong)) == (401, reason)


async def test_a_request_is_worth_nothing_at_a_sibling(way):
    await way.ensured("echo-1")
    await way.ensured("echo-2")

    answer = await way.signed("GET", "/_sandbox/echo-1/x", sent_to="/_sandbox/echo-2/x")

    assert refusal(answer) == (401, "bad_signature")


async def test_the_signature_comes_before_the_clock(way):
    answer = await way.signed("GET", "/api/sandboxes", now=0, secret="another")

    assert refusal(answer) == (401, "bad_signature")


async def test_a_body_beyond_the_limit(way):
    answer = await way.bare.post("/api/sandboxes", content=bytes(signing.MAX_BODY + 1))

    assert refusal(answer) == (413, "body_too_large")


# M1: an address that could be read in two ways

DOTTED = [
    pytest.param("/_sandbox/echo-1/preview/../x", id="raw"),
    pytest.param("/_sandbox/echo-1/preview/%2e%2e/x", id="encoded"),
    pytest.param("/_sandbox/echo-1/preview/%252e%252e/x", id="encoded twice"),
    pytest.param("/_sandbox/echo-1/preview/..%2fx", id="an encoded slash"),
    pytest.param("/_sandbox/echo-1/preview\\..\\x", id="backslashes"),
    pytest.param("/_sandbox/echo-1/preview/..;a=1/x", id="parameters"),
    pytest.param("/_sandbox/echo-1/../echo-2/x", id="another sandbox"),
    pytest.param("/_sandbox/../api/sandboxes", id="the link's own"),
    pytest.param("/api/./sandboxes", id="one dot"),
]


@pytest.mark.parametrize("target", DOTTED)
async def test_dot_segments_are_refused_though_they_are_signed(way, target):
    await way.ensured()

    assert refusal(await way.signed("GET", target)) == (400, "bad_target")


@pytest.mark.parametrize("target", DOTTED)
async def test_the_server_signs_no_dot_segments(way, target):
    with pytest.raises(BadTarget):
        await way.client.get("/", extensions={"target": target.encode()})
    with pytest.raises(Refused) as refused:
        await way.websocket(target, [], [])
    assert refused.value.status == 400


async def test_what_is_signed_for_nobody_is_not_told_from_what_is_not(way):
    answer = await way.signed("GET", "/_sandbox/../api/sandboxes", secret="another")

    assert refusal(answer) == (401, "bad_signature")


async def test_an_address_of_a_dev_server_arrives_to_the_letter(way):
    await way.ensured()
    for path in ("/@fs/a/x.js", "/@id/__x00__v", "/a..b/...", "/%2e%2efoo", "//a%2Fb", '/"[<`{|}'):
        sent = f"/_sandbox/echo-1{path}?a=../%2e%2e\\<>`|'"
        answer = await way.client.get("/", extensions={"target": sent.encode()})
        seen = answer.json()
        assert (seen["raw"], seen["query"]) == (f"/_sandbox{path}", sent.partition("?")[2])


# Sandboxes


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"{", (400, "invalid_json"), id="no JSON"),
        pytest.param(b"[]", (400, "invalid_json"), id="no object"),
        pytest.param(b"[" * 100_000, (400, "invalid_json"), id="deep JSON"),
        pytest.param(b"{}", (400, "missing_handle"), id="no handle"),
        pytest.param(b'{"handle": ""}', (400, "missing_handle"), id="empty"),
        pytest.param(b'{"handle": ["a"]}', (400, "missing_handle"), id="an array"),
        pytest.param(b'{"handle": {}}', (400, "missing_handle"), id="an object"),
        pytest.param(b'{"handle": 5}', (400, "missing_handle"), id="a number"),
        pytest.param(b'{"handle": "../x"}', (400, "bad_handle"), id="a path"),
        pytest.param(b'{"handle": "A"}', (400, "bad_handle"), id="upper case"),
        pytest.param(json.dumps({"handle": "h" * 64}).encode(), (400, "bad_handle"), id="too long"),
        pytest.param(
            b'{"handle": "a", "folder": "/etc"}', (400, "folder_not_allowed"), id="a folder"
        ),
    ],
)
async def test_a_sandbox_that_can_not_be(way, body, expected):
    assert refusal(await way.client.post("/api/sandboxes", content=body)) == expected


async def test_ensuring_twice_is_one_sandbox(way):
    await way.ensured()
    await way.ensured()

    (only,) = (await way.client.get("/api/sandboxes")).json()["sandboxes"]
    assert only["handle"] == "echo-1"


async def test_deleting_one_that_is_not_there(way):
    assert (await way.client.delete("/api/sandboxes/unknown")).status_code == 204


async def test_one_that_was_deleted_runs_no_more(way):
    await way.ensured()

    assert (await way.client.delete("/api/sandboxes/echo-1")).status_code == 204
    # Its folder is still there: what was worked out in it is not ours to throw away.
    assert refusal(await way.client.get("/_sandbox/echo-1/x")) == (502, "sandbox_down")
    assert refusal(await way.client.get("/_sandbox/echo-2/x")) == (404, "unknown_handle")


async def test_one_that_was_killed_is_down_and_can_be_had_again(way):
    await way.ensured()
    pid = json.loads((way.sandboxes / "echo-1" / "pid").read_text())["pid"]
    os.killpg(pid, signal.SIGKILL)

    async def is_down():
        return refusal(await way.client.get("/_sandbox/echo-1/x")) == (502, "sandbox_down")

    await auntil(is_down)
    await way.ensured()
    assert (await way.client.get("/_sandbox/echo-1/x")).status_code == 200


# What passes through


async def test_a_request_arrives_as_it_was_sent(way):
    await way.ensured()

    answer = await way.client.put(
        "/_sandbox/echo-1/a%20b?x=%2F&y", content=b"hi", headers={"X-Some": "1"}
    )

    seen = answer.json()
    assert (seen["method"], seen["path"], seen["query"]) == ("PUT", "/_sandbox/a b", "x=%2F&y")
    assert (seen["body"], seen["headers"]["x-some"]) == ("hi", "1")
    assert not [name for name in seen["headers"] if name.startswith("x-mesh")]


@pytest.mark.parametrize("size", [0, 1, 65_537, 20_000_000])
async def test_an_answer_comes_whole(way, size):
    await way.ensured()

    answer = await way.client.get(f"/_sandbox/echo-1/big?{size}")

    assert len(answer.content) == size
    assert answer.content == (bytes(range(256)) * (size // 256 + 1))[:size]


async def test_a_large_question_arrives_whole(way):
    await way.ensured()
    body = "0123456789abcdef" * 250_000

    answer = await way.client.post("/_sandbox/echo-1/x", content=body.encode())

    assert answer.json()["body"] == body


async def test_a_stream_comes_as_it_is_made_and_ends_when_its_reader_leaves(way):
    await way.ensured()
    mark = way.sandboxes / "echo-1" / "ticks"

    async with way.client.stream("GET", "/_sandbox/echo-1/ticks") as answer:
        assert await anext(answer.aiter_lines()) == "id: 1"
        assert mark.read_text() == "open"

    await auntil(lambda: mark.read_text() == "closed")


async def test_many_at_once_are_kept_apart(way):
    await way.ensured()

    answers = await asyncio.gather(
        *(way.client.post("/_sandbox/echo-1/x", content=b"%d" % n) for n in range(40))
    )

    assert [answer.json()["body"] for answer in answers] == [str(n) for n in range(40)]


async def test_a_slow_stream_does_not_hold_up_the_rest(way):
    await way.ensured()
    async with way.client.stream("GET", "/_sandbox/echo-1/big?20000000"):  # not read
        assert (await way.client.get("/_sandbox/echo-1/x")).status_code == 200


# WebSockets


async def joined(way, **how):
    await way.ensured()
    return await way.websocket("/_sandbox/echo-1/ws?x=1", [], [], **how)


async def hears(socket):
    return await asyncio.wait_for(socket.receive(), 60)


async def test_messages_come_back_as_they_were_and_in_order(way):
    socket = await joined(way)
    said = ["grüße", b"\x00\xff", "", b"", "x" * 300_000, *(f"{n}" for n in range(50))]
    for message in said:
        await socket.send(message)

    assert [await hears(socket) for _ in said] == said
    socket.drop()


async def test_a_program_closes_with_its_code_and_reason(way):
    for code in (1000, 1001, 1008, 1011, 1013, 3000, 4001, 4999):
        socket = await joined(way)

        await socket.send(f"close {code} as I said")

        assert await hears(socket) == Closed(code, "as I said")
        socket.drop()


async def test_the_program_learns_how_it_was_left(way):
    left = way.sandboxes / "echo-1" / "left"
    for code in (1000, 1001, 3000, 4001):
        socket = await joined(way)
        await socket.close(Closed(code, "bye"))

        told = f"{code} bye"
        await auntil(lambda told=told: left.exists() and left.read_text() == told)
        socket.drop()


async def test_a_websocket_is_refused(way):
    refused = {
        "/_sandbox/unknown/ws": 404,  # no such sandbox
        "/_sandbox/../ws": 400,  # no handle
        "/_port/22/ws": 404,  # a port of the machine
        "/elsewhere": 404,
    }
    for target, status in refused.items():
        with pytest.raises(Refused) as answer:
            await way.websocket(target, [], [])
        assert (target, answer.value.status) == (target, status)
