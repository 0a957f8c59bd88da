"""The real AI SDK (npm ``ai``) reads our stream and makes the message that we have stored."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mesh.develop import TOOLS
from tests.running import events, say, until_finish

pytestmark = [
    pytest.mark.real_cli,
    pytest.mark.skipif(
        not (TOOLS / "node_modules" / "ai").is_dir() or shutil.which("node") is None,
        reason="the AI SDK is not there: make test installs it",
    ),
]
SCRIPT = Path(__file__).with_name("ai_sdk_reader.mjs")


def read_by_sdk(mesh, thread, run):
    """The message that the AI SDK makes of the run's stream."""
    api = f"{mesh.url}/api/home/decopilot"
    done = subprocess.run(
        ["node", SCRIPT, TOOLS, api, thread, run],
        env={"PATH": os.environ["PATH"], "MESH_TOKEN": mesh.token},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def stored(api, thread):
    return api.get(f"/threads/{thread}/messages").json()["messages"][-1]


def as_the_sdk_knows_it(parts):
    """Without an answer's "approved": who sends it knows, and the SDK has no chunk for it."""
    bare = [dict(part) for part in parts]
    for part in bare:
        if "approval" in part:
            part["approval"] = {"id": part["approval"]["id"]}
    return bare


def without_ids(parts):
    """Thoughts have an id for the SDK alone: that of their stream, of which nothing is left."""
    return [{k: v for k, v in p.items() if (p["type"], k) != ("reasoning", "id")} for p in parts]


@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param("hello", id="text"),
        pytest.param("think", id="thoughts"),
        pytest.param("run echo ä; echo b >&2", id="a tool"),
        pytest.param("run exit 3", id="a tool that failed"),
        pytest.param("fail", id="an error"),
    ],
)
def test_the_sdk_makes_the_message_that_is_stored(api, mesh, thread, prompt):
    run = say(api, thread, prompt, harnessId="demo").json()["runId"]

    read = read_by_sdk(mesh, thread, run)  # from the beginning, live

    kept = stored(api, thread)
    assert (read["id"], read["role"]) == (kept["id"], "assistant")
    assert without_ids(read["parts"]) == kept["parts"]


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_the_sdk_reads_an_answered_question(api, mesh, thread, decision):
    run = say(api, thread, "ask", harnessId="demo").json()["runId"]
    for _, chunk in events(api, thread, after=0):
        if chunk["type"] == "tool-approval-request":
            answer = {"decision": decision}
            api.post(f"/threads/{thread}/approvals/{chunk['approvalId']}", json=answer)
        if chunk["type"] == "finish":
            break

    read = read_by_sdk(mesh, thread, run)

    assert read["parts"] == as_the_sdk_knows_it(stored(api, thread)["parts"])


def test_the_sdk_reads_a_stopped_run(api, mesh, thread):
    run = say(api, thread, "count slowly to a hundred", harnessId="demo").json()["runId"]
    for _, chunk in events(api, thread, after=0):
        if chunk["type"] == "text-delta":
            break
    api.post(f"/cancel/{thread}")
    until_finish(events(api, thread, run=run))

    read = read_by_sdk(mesh, thread, run)

    assert read["parts"] == stored(api, thread)["parts"]
