"""The real AI SDK (npm ``ai``, versions 6 and 7) with the code of ``docs/ai-sdk.md``.

Its messages are those that are stored, and pass its own validator.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from mesh.develop import ROOT, TOOLS
from tests.running import RunningMesh, events, say, until_finish

MODULES = TOOLS / "node_modules"
pytestmark = [
    pytest.mark.real_cli,
    pytest.mark.skipif(
        not (MODULES / "ai7").is_dir() or shutil.which("node") is None,
        reason="the AI SDK is not there: make test installs it",
    ),
]
SCRIPT = Path(__file__).with_name("ai_sdk_page.mjs")
NAMES = ("transport", "chat", "approve", "stop", "edit", "regenerate", "reload")
FOUND = re.findall(r"```js\n(.*?)```", (ROOT / "docs/ai-sdk.md").read_text(), re.DOTALL)
BLOCKS = dict(zip(NAMES, FOUND, strict=True))
PACKAGES = {"6": "ai", "7": "ai7"}

both = pytest.mark.parametrize("sdk", [pytest.param("6", id="ai 6"), pytest.param("7", id="ai 7")])


@pytest.fixture
def page(mesh, thread):
    """Return what does something with the AI SDK, and returns the page's messages."""

    def does(what, *, sdk, **given):
        value = {
            "entry": str(MODULES / PACKAGES[sdk] / "dist/index.js"),
            "base": f"{mesh.url}/api/home/decopilot",
            "sdk": sdk,
            "thread": thread,
            "blocks": BLOCKS,
            "does": what,
            "more": {"harnessId": "demo"},
        }
        done = subprocess.run(
            ["node", SCRIPT, json.dumps(value | given)],
            env={"PATH": os.environ["PATH"], "MESH_TOKEN": mesh.token},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["messages"]

    return does


@pytest.fixture
def stored(api, thread):
    """Return what returns the stored messages, in the forms of a version."""
    return lambda sdk: api.get(f"/threads/{thread}/messages?sdk={sdk}").json()["messages"]


def without_ids(parts):
    """Thoughts have an id for the SDK alone: that of their stream, of which nothing is left."""
    return [{k: v for k, v in p.items() if (p["type"], k) != ("reasoning", "id")} for p in parts]


@both
@pytest.mark.parametrize(
    "says",
    [
        pytest.param("hello", id="text"),
        pytest.param("think", id="thoughts"),
        pytest.param("run echo ä; echo b >&2", id="a tool"),
        pytest.param("run exit 3", id="a tool that failed"),
    ],
)
def test_the_sdk_makes_the_message_that_is_stored(page, stored, sdk, says):
    read = page("send", sdk=sdk, says=says)[-1]

    kept = stored(sdk)[-1]
    assert (read["id"], read["role"]) == (kept["id"], "assistant")
    assert without_ids(read["parts"]) == kept["parts"]
    assert read["metadata"].items() <= kept["metadata"].items()


@both
def test_of_a_failed_run_the_sdk_has_what_came_before_with_its_metadata(page, stored, sdk):
    read = page("send", sdk=sdk, says="fail")[-1]

    kept = stored(sdk)[-1]
    assert read["parts"] == kept["parts"]
    assert read["metadata"].items() <= kept["metadata"].items()


@both
@pytest.mark.parametrize("how", ["approve", "reload and approve"])
def test_the_sdk_answers_a_question(api, thread, page, stored, sdk, how):
    if how != "approve":
        until_asked(api, thread)

    read = page(how, sdk=sdk, says="ask")[-1]

    parts = stored(sdk)[-1]["parts"]
    tool = next(part for part in read["parts"] if "toolCallId" in part)
    assert tool["state"] == "output-available"
    assert read["parts"] == parts


def until_asked(api, thread):
    say(api, thread, "ask", harnessId="demo")
    for _, chunk in events(api, thread, after=0):
        if chunk["type"] == "tool-approval-request":
            return


@both
def test_the_sdk_stops_a_run(page, stored, sdk):
    read = page("stop", sdk=sdk, says="count slowly to a hundred")[-1]

    assert read["parts"] == stored(sdk)[-1]["parts"]
    assert stored(sdk)[-1]["metadata"]["state"] == "cancelled"


@both
def test_the_sdk_edits_a_message_that_waits(api, thread, page, stored, sdk):
    until_asked(api, thread)
    waiting = say(api, thread, "red", harnessId="demo").json()["runId"]

    page("edit", sdk=sdk, runId=waiting)

    assert stored(sdk)[-1]["parts"] == [{"type": "text", "text": "blue"}]
    api.post(f"/cancel/{thread}")


@both
def test_the_sdk_asks_for_another_answer(page, stored, sdk):
    read = page("regenerate", sdk=sdk, says="hello")

    kept = stored(sdk)
    assert [message["role"] for message in read] == ["user", "assistant"]
    assert [message["role"] for message in kept] == ["user", "assistant"] * 2
    assert read[-1]["id"] == kept[-1]["id"]


@both
def test_after_a_reload_the_sdk_goes_on_with_the_answer(api, thread, page, stored, sdk):
    say(api, thread, "count slowly to ten", harnessId="demo")
    for _, chunk in events(api, thread, after=0):
        if chunk["type"] == "text-delta":
            break

    read = page("reload", sdk=sdk)

    assert [message["role"] for message in read] == ["user", "assistant"]
    assert read[-1]["parts"] == stored(sdk)[-1]["parts"]


@both
@pytest.mark.parametrize("has_answered", [True, False])
def test_after_a_reload_there_may_be_nothing_to_read(api, thread, page, stored, sdk, has_answered):
    if has_answered:
        run = say(api, thread, "hello", harnessId="demo").json()["runId"]
        until_finish(events(api, thread, run=run))

    assert page("reload", sdk=sdk) == stored(sdk)


@both
def test_a_message_sent_in_the_middle_of_an_answer_is_read_as_it_is_stored(
    api, thread, page, stored, sdk
):
    say(api, thread, "count slowly to twenty", harnessId="demo")
    for _, chunk in events(api, thread, after=0):
        if chunk["type"] == "text-delta":
            break
    steer = say(api, thread, "a word", harnessId="demo").json()["runId"]
    assert api.post(f"/threads/{thread}/queue/{steer}/steer").status_code < 300

    read = page("reload", sdk=sdk)[-1]

    kind = "steering-message" if sdk == "7" else "data-steer"
    assert kind in [part["type"] for part in read["parts"]]
    assert read["parts"] == stored(sdk)[-1]["parts"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        pytest.param("https://app.example", "https://app.example", id="the operator's"),
        pytest.param("https://evil.example", None, id="another"),
    ],
)
def test_only_the_origins_that_the_operator_names_may_use_the_api(tmp_path, origin, allowed):
    running = RunningMesh(tmp_path / "home", MESH_CORS_ORIGINS="https://app.example")
    try:
        running.start()
        asks = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        url = f"{running.url}/api/home/decopilot/threads"
        answer = httpx.options(url, headers=asks, timeout=60)
        page = httpx.get(f"{running.url}/login", headers={"Origin": origin}, timeout=60)
    finally:
        running.close()

    assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Access-Control-Allow-Origin" not in page.headers
