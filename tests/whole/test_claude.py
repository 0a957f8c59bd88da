"""The real Claude Code through everything: CLI, sandbox, link, server; the model is a stand-in."""

import base64
import os
from pathlib import Path

import pytest

from tests.harness.cli import need
from tests.running import RunningMesh, events, say, text_of, until_finish
from tests.standin import serving_in_thread
from tests.threads.test_files import PIXEL
from tests.waiting import until

pytestmark = pytest.mark.real_cli


@pytest.fixture(scope="module")
def standin():
    with serving_in_thread() as standin:
        yield standin


@pytest.fixture(scope="module")
def mesh(tmp_path_factory, standin):
    """A running Mesh whose machine has ``claude``, signed in by a key."""
    program = Path(need("claude"))
    home = tmp_path_factory.mktemp("person")
    running = RunningMesh(
        tmp_path_factory.mktemp("mesh") / "home",
        PATH=f"{program.parent}:{os.environ['PATH']}",
        HOME=str(home),
        ANTHROPIC_BASE_URL=standin.url,
        ANTHROPIC_API_KEY="stand-in",
        CLAUDE_CODE_MAX_RETRIES="1",
    )
    try:
        running.start().online()
        until(lambda: "claude-code" in capabilities(running), what="probed")
        yield running
    finally:
        running.close()


def capabilities(mesh):
    with mesh.client() as api:
        return api.get(f"{mesh.url}/api/links/me").json().get("capabilities", [])


def ask(api, thread, text, **body):
    """Post, and return the events of the run that answers."""
    answer = say(api, thread, text, **body)
    assert answer.status_code == 202, answer.text
    return until_finish(events(api, thread, run=answer.json()["runId"]))


def test_who_is_signed_in_is_answered_by_claude_without_asking_for_it(api, thread):
    seen = ask(api, thread, "say: hello from the machine")

    assert text_of(seen) == "hello from the machine"
    assert api.get(f"/threads/{thread}").json()["harnessId"] == "claude-code"
    usage = seen[-1][1]["messageMetadata"]["usage"]
    assert usage["inputTokens"] > 0


def test_a_second_turn_resumes_the_session(api, thread):
    first = ask(api, thread, "say: one")
    second = ask(api, thread, "say: two")

    sessions = {one[-1][1]["messageMetadata"]["codingAgentSessionId"] for one in (first, second)}
    assert len(sessions) == 1


def test_a_tool_runs_in_the_sandbox(api, thread):
    seen = ask(api, thread, "bash: echo made > here.txt && cat here.txt")

    outputs = [chunk["output"] for _, chunk in seen if chunk["type"] == "tool-output-available"]
    assert "made" in str(outputs)


def test_a_picture_reaches_the_model(mesh, api, thread, standin):
    part = api.post("/files", params={"name": "a.png"}, content=PIXEL).json()["part"]

    answer = api.post(
        f"/threads/{thread}/messages",
        json={"messages": [{"role": "user", "parts": [{"type": "text", "text": "say: a"}, part]}]},
    )
    seen = until_finish(events(api, thread, run=answer.json()["runId"]))

    assert text_of(seen).startswith("a")  # it adds where it keeps the picture
    sent = standin.messages[-1].body["messages"]
    blocks = [b for m in sent if isinstance(m["content"], list) for b in m["content"]]
    (image,) = [block["source"] for block in blocks if block["type"] == "image"]
    assert base64.b64decode(image["data"]) == PIXEL
    assert api.get(f"{mesh.url}{part['url']}").content == PIXEL


def test_a_second_harness_for_the_thread_is_not_taken(api, thread):
    ask(api, thread, "say: one")

    ask(api, thread, "say: still claude", harnessId="demo")

    assert api.get(f"/threads/{thread}").json()["harnessId"] == "claude-code"


def test_the_models_refusal_reaches_the_reader_in_words(api, thread):
    seen = ask(api, thread, "status 401")

    errors = [chunk["errorText"] for _, chunk in seen if chunk["type"] == "error"]
    assert errors
    assert api.get(f"/threads/{thread}").json()["status"] == "failed"


def test_claude_is_stopped_and_answers_again(api, thread):
    run = say(api, thread, "slow 400 50").json()["runId"]
    for _, chunk in events(api, thread, after=0):
        if chunk["type"] == "text-delta":
            break
    assert api.post(f"/cancel/{thread}").status_code in (200, 202)
    seen = until_finish(events(api, thread, run=run))
    assert "abort" in {chunk["type"] for _, chunk in seen}

    assert text_of(ask(api, thread, "say: again")) == "again"
