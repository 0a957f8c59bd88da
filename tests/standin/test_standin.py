"""The stand-in answers as the provider does, as far as the real programs look."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.standin import serving, serving_in_thread
from tests.waiting import PATIENCE


@pytest.fixture
async def standin():
    async with serving() as running:
        yield running


def said(text, **more):
    return {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]} | more


async def post(standin, body, path="/v1/messages?beta=true"):
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        return await client.post(standin.url + path, json=body)


def events(response):
    return [json.loads(line[6:]) for line in response.text.splitlines() if line[:6] == "data: "]


def text_of(response):
    deltas = [e["delta"] for e in events(response) if e["type"] == "content_block_delta"]
    return "".join(delta.get("text", "") for delta in deltas)


async def test_an_answer_is_streamed(standin):
    response = await post(standin, said("say: one two"))

    assert response.headers["content-type"] == "text/event-stream"
    assert [event["type"] for event in events(response)] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert text_of(response) == "one two"


async def test_an_answer_comes_whole_when_asked_so(standin):
    response = await post(standin, said("think", stream=False))

    assert [block["type"] for block in response.json()["content"]] == ["thinking", "text"]


async def test_a_tool_call_and_what_it_gave(standin):
    call = await post(standin, said("bash: ls"))
    block = next(e["content_block"] for e in events(call) if e.get("index") == 1)
    result = {"type": "tool_result", "tool_use_id": block["id"], "content": "a.txt"}
    messages = [{"role": "user", "content": "bash: ls"}, {"role": "user", "content": [result]}]

    answer = await post(standin, said("", messages=messages))

    assert block["name"] == "Bash"
    assert text_of(answer) == "The tool said: a.txt"


async def test_what_is_said_after_a_result_counts(standin):
    result = {"type": "tool_result", "tool_use_id": "t", "content": "a.txt"}
    stopped = {"type": "text", "text": "[Request interrupted by user for tool use]"}
    content = [result, stopped, {"type": "text", "text": "say: hello"}]

    answer = await post(standin, said("", messages=[{"role": "user", "content": content}]))

    assert text_of(answer) == "hello"


async def test_reminders_are_not_what_was_said(standin):
    reminder = {"type": "text", "text": "<system-reminder>say: no</system-reminder>"}
    content = [reminder, {"type": "text", "text": "say: yes"}]
    messages = [{"role": "user", "content": content}, {"role": "system", "content": "say: no"}]

    assert text_of(await post(standin, said("", messages=messages))) == "yes"


async def test_refuses_as_scripted(standin):
    response = await post(standin, said("status 401"))

    assert response.status_code == 401
    assert response.json()["error"]["message"] == "invalid x-api-key"


async def test_drops_the_connection_as_scripted(standin):
    with pytest.raises(httpx.TransportError):
        await post(standin, said("cut the line"))


async def test_counts_tokens(standin):
    response = await post(standin, said("hi"), "/v1/messages/count_tokens")

    assert response.json() == {"input_tokens": 100}


async def test_remembers_what_it_was_asked(standin):
    await post(standin, said("hi"))
    await post(standin, {}, "/elsewhere")

    assert [request.body["messages"][0]["content"] for request in standin.messages] == ["hi"]
    assert len(standin.requests) == 2


def test_serves_those_without_a_loop():
    with serving_in_thread() as standin:
        response = httpx.post(
            f"{standin.url}/v1/messages", json=said("say: hi"), trust_env=False, timeout=PATIENCE
        )

    assert text_of(response) == "hi"
