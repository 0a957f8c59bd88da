"""Odd answers of a server that claims to speak OpenAI's API: each ends the run with its cause."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from asgiref.sync import sync_to_async

from mesh.lib.addresses import parse_allowed
from tests.harness.shapes import check_chunks
from tests.threads.decopilot.conftest import SECRET, add_key, make_run
from threads.decopilot import loop, provider_clients
from threads.serving.orders import harness_input

pytestmark = pytest.mark.django_db(transaction=True)


@asynccontextmanager
async def answering(*answers, status="200 OK", kind="text/event-stream"):
    """Serve the answers one after the other, the last one again and again, as they are."""
    left = list(answers)

    async def take(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
        body = left.pop(0) if len(left) > 1 else left[0]
        start = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n"
        writer.write(start.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}")


def sse(*events):
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def chunk(delta, reason=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"} | {
        "choices": [choice],
        **more,
    }


DONE = b"data: [DONE]\n\n"
HI = chunk({"role": "assistant", "content": "Hi"})
STOP = chunk({}, "stop")


@pytest.fixture
def answered(transactional_db, ada, org, agent, ask, settings, monkeypatch):
    """Return ``await answered(server)``: a run that such a server has answered."""
    settings.MESH_PRIVATE_HOSTS = parse_allowed("127.0.0.1")
    monkeypatch.setattr(provider_clients, "RETRIES", 0)

    async def go(server):
        def make():
            add_key(ada, server, provider="openai-compatible")
            return harness_input(make_run(ada, org, agent, "hi", approval_level="auto"))

        run = await ask(await sync_to_async(make)())
        check_chunks(run.chunks)
        assert SECRET not in run.written
        return run

    return go


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(sse(HI, STOP) + DONE, id="no usage"),
        pytest.param(sse(HI, STOP), id="no end of the stream"),
        pytest.param(b": waiting\n\n" + sse(HI) + b": ping\n\n" + sse(STOP) + DONE, id="comments"),
        pytest.param(sse(HI, STOP) + DONE + b"<html>garbage", id="garbage behind it"),
        pytest.param(sse(HI) + DONE, id="no finish reason"),
        pytest.param(sse(chunk({}) | {"choices": []}, HI, STOP) + DONE, id="empty choices"),
        pytest.param(sse(HI, STOP, chunk({}, usage=None) | {"choices": []}) + DONE, id="no counts"),
    ],
)
async def test_what_can_be_read_is_an_answer(answered, body):
    async with answering(body) as server:
        run = await answered(server)

    assert (run.text, run.error) == ("Hi", None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(
            sse({"error": {"message": "No room.", "code": 503}}),
            "provider_overloaded",
            id="an error",
        ),
        pytest.param(
            sse(HI, {"error": {"message": "No room."}}),
            "provider_failed",
            id="an error in the middle",
        ),
        pytest.param(sse(HI | {"choices": None}, STOP), "bad_answer", id="null choices"),
        pytest.param(sse([1, 2]), "bad_answer", id="a list"),
        pytest.param(b"data: {\n\n", "bad_answer", id="no JSON"),
        pytest.param(b"", "bad_answer", id="nothing"),
        pytest.param(DONE, "bad_answer", id="only the end"),
        pytest.param(sse(STOP) + DONE, "bad_answer", id="no words"),
        pytest.param(b"<h1>Hi</h1>", "bad_answer", id="a page"),
        pytest.param(
            sse(chunk({"tool_calls": 7}, "tool_calls")), "bad_answer", id="calls that are none"
        ),
        pytest.param(sse(chunk({"content": {"a": 1}})), "bad_answer", id="words that are none"),
    ],
)
async def test_what_can_t_be_read_is_said(answered, body, code):
    async with answering(body) as server:
        run = await answered(server)

    assert run.error["code"] == code
    assert run.error["message"].startswith("OpenAI-compatible ")


@pytest.mark.parametrize("call_id", [None, ""], ids=["none", "empty"])
async def test_a_call_without_an_id_is_made_once(answered, sandbox, call_id):
    function = {"name": "bash", "arguments": '{"command": "ls"}'}
    call = {"index": 0, "type": "function", "function": function}
    call |= {} if call_id is None else {"id": call_id}
    calls = sse(chunk({"tool_calls": [call]}, "tool_calls")) + DONE
    async with answering(calls, sse(HI, STOP) + DONE) as server:
        run = await answered(server)

    assert sandbox.started == ["ls"]
    assert run.text == "Hi"


async def test_a_run_that_says_more_than_is_kept_ends(answered, monkeypatch):
    monkeypatch.setattr(loop, "ANSWER_LIMIT", 50_000)
    words = [chunk({"content": "x" * 1_000}) for _ in range(200)]
    async with answering(sse(*words, STOP) + DONE) as server:
        run = await answered(server)

    assert run.error["code"] == "answer_too_large"
    assert 40_000 < len(run.text) < 52_000


async def test_many_tiny_pieces_count_by_their_number(answered, monkeypatch):
    monkeypatch.setattr(loop, "ANSWER_LIMIT", 50_000)
    words = [chunk({"content": "x"}) for _ in range(2_000)]
    async with answering(sse(*words, STOP) + DONE) as server:
        run = await answered(server)

    assert run.error["code"] == "answer_too_large"
    assert len(run.bodies) < 600
