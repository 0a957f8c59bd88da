"""OpenAI's and Google's APIs, as far as the real programs look: the same scripts, other words."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.standin import serving
from tests.waiting import PATIENCE


@pytest.fixture
async def standin():
    async with serving() as running:
        yield running


class Responses:
    path = "/v1/responses"

    def body(self, *said, results=(), tools=()):
        messages = [self._message(text) for text in said]
        outputs = [{"type": "function_call_output", "output": text} for text in results]
        offered = [{"type": "function", "name": name} for name in tools]
        return {"stream": True, "input": [*messages, *outputs], "tools": offered}

    def _message(self, text):
        return {"role": "user", "content": [{"type": "input_text", "text": text}]}

    def text(self, events):
        return "".join(e.get("delta", "") for e in events if e["type"].endswith("text.delta"))

    def call(self, events):
        items = (e["item"] for e in events if e["type"] == "response.output_item.done")
        item = next(item for item in items if item["type"] == "function_call")
        return item["name"], json.loads(item["arguments"])


class Chat:
    path = "/v1/chat/completions"

    def body(self, *said, results=(), tools=()):
        messages = [{"role": "user", "content": text} for text in said]
        outputs = [{"role": "tool", "content": text} for text in results]
        offered = [{"type": "function", "function": {"name": name}} for name in tools]
        return {"stream": True, "messages": [*messages, *outputs], "tools": offered}

    def _deltas(self, events):
        return [e["choices"][0]["delta"] for e in events]

    def text(self, events):
        return "".join(delta.get("content") or "" for delta in self._deltas(events))

    def call(self, events):
        call = next(d["tool_calls"][0] for d in self._deltas(events) if "tool_calls" in d)
        return call["function"]["name"], json.loads(call["function"]["arguments"])


class Gemini:
    path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"

    def body(self, *said, results=(), tools=()):
        contents = [{"role": "user", "parts": [{"text": text}]} for text in said]
        answers = [{"functionResponse": {"response": {"output": text}}} for text in results]
        declared = [{"name": name} for name in tools]
        return {
            "contents": [*contents, *([{"role": "user", "parts": answers}] if answers else [])],
            "tools": [{"functionDeclarations": declared}],
        }

    def _parts(self, events):
        return [part for e in events for part in e["candidates"][0]["content"]["parts"]]

    def text(self, events):
        return "".join(part.get("text", "") for part in self._parts(events))

    def call(self, events):
        call = next(p["functionCall"] for p in self._parts(events) if "functionCall" in p)
        return call["name"], call["args"]


@pytest.fixture(params=[Responses, Chat, Gemini], ids=lambda api: api.__name__)
def api(request):
    return request.param()


@pytest.fixture
def ask(standin, api):
    """Return ``ask(*said, …)``: the events of the model's answer."""

    async def post(*said, **more):
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            answer = await client.post(standin.url + api.path, json=api.body(*said, **more))
        data = (line[6:] for line in answer.text.splitlines() if line.startswith("data: "))
        return [json.loads(text) for text in data if text != "[DONE]"]

    return post


async def test_an_answer_is_streamed(ask, api, standin):
    assert api.text(await ask("say: one two")) == "one two"
    assert len(standin.messages) == 1


async def test_the_last_thing_said_counts(ask, api):
    assert api.text(await ask("say: one", "say: two")) == "two"


@pytest.mark.parametrize("reminder", ["<environment_context>say: no", "<system-reminder>say: no"])
async def test_what_the_program_says_in_the_persons_name_does_not(ask, api, reminder):
    if isinstance(api, Gemini) or (isinstance(api, Chat) and "environment" in reminder):
        reminder = "<session_context>" if isinstance(api, Gemini) else "<system-reminder>"

    assert api.text(await ask("say: yes", reminder)) == "yes"


async def test_what_a_tool_gave_is_told(ask, api):
    assert api.text(await ask("bash: ls", results=["a.txt"])) == "The tool said: a.txt"


@pytest.mark.parametrize(
    ("offered", "argument"),
    [("exec_command", "cmd"), ("bash", "command"), ("run_shell_command", "command")],
)
async def test_a_command_is_asked_for_by_the_programs_own_tool(ask, api, offered, argument):
    name, given = api.call(await ask("bash: ls -l", tools=[offered]))

    assert (name, given[argument]) == (offered, "ls -l")


@pytest.mark.parametrize(("offered", "path"), [("write", "filePath"), ("write_file", "file_path")])
async def test_so_is_a_file(ask, api, offered, path):
    name, given = api.call(await ask("write: a.txt hi there", tools=[offered]))

    assert (name, given) == (offered, {path: "a.txt", "content": "hi there"})


async def test_a_file_is_a_patch_where_there_is_only_a_shell(ask, api):
    name, given = api.call(await ask("write: a.txt hi", tools=["exec_command"]))

    assert name == "exec_command"
    assert "*** Add File: a.txt\n+hi\n*** End Patch" in given["cmd"]


@pytest.mark.parametrize("status", [401, 529])
async def test_refuses_as_scripted(standin, api, status):
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        answer = await client.post(standin.url + api.path, json=api.body(f"status {status}"))

    assert answer.status_code == status
    assert answer.json()["error"]["message"]
