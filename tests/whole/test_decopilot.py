"""Decopilot through everything: page, API, worker, a real sandbox; the model is a stand-in."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from tests.running import RunningMesh, events, say, text_of, until_finish
from tests.secrecy import MARK
from tests.standin import serving_in_thread
from tests.waiting import until

SECRET = f"sk-ant-{MARK}"


def add_key(mesh, standin):
    """Give the organization a key whose provider is the stand-in."""
    with httpx.Client(
        base_url=f"{mesh.url}/api/home",
        timeout=60,
        headers={"Authorization": f"Bearer {mesh.token}"},
        trust_env=False,
    ) as api:
        given = {"provider": "anthropic", "baseUrl": standin.url, "key": SECRET}
        answer = api.post("/ai-keys", json=given)
        assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
def standin():
    with serving_in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def mesh(tmp_path_factory, standin):
    running = RunningMesh(tmp_path_factory.mktemp("mesh") / "home", MESH_PRIVATE_HOSTS="127.0.0.1")
    try:
        running.start().online()
        add_key(running, standin)
        yield running
    finally:
        running.close()


@pytest.fixture
def own(tmp_path, standin):
    """A Mesh to be killed at will."""
    running = RunningMesh(tmp_path / "home", MESH_PRIVATE_HOSTS="127.0.0.1")
    try:
        running.start().online()
        add_key(running, standin)
        yield running
    finally:
        running.close()


def post(api, thread, text, **body):
    answer = say(api, thread, text, harnessId="decopilot", **body)
    assert answer.status_code == 202, answer.text
    return answer.json()["runId"]


def ask(api, thread, text, **body):
    """Post, and return the events of the run that answers."""
    return until_finish(events(api, thread, run=post(api, thread, text, **body)))


def outputs(seen):
    return [chunk["output"] for _, chunk in seen if chunk["type"] == "tool-output-available"]


def test_it_answers_and_no_sandbox_is_started(api, thread, mesh):
    seen = ask(api, thread, "say: hello from the server")

    assert text_of(seen) == "hello from the server"
    assert seen[-1][1]["messageMetadata"]["usage"]["totalTokens"] == 160
    until(lambda: api.get(f"/threads/{thread}").json()["status"] == "completed")
    assert mesh.sandboxes() == []


def test_its_tools_work_in_the_real_sandbox(api, thread):
    shell = ask(api, thread, "bash: echo made > here.txt && ls")
    write = ask(api, thread, 'tool: write {"file_path": "b.txt", "content": "one\\ntwo\\n"}')
    edit = ask(
        api,
        thread,
        'tool: edit {"file_path": "b.txt", "old_string": "two", "new_string": "drei"}',
    )
    read = ask(api, thread, 'tool: read {"file_path": "b.txt"}')
    found = ask(api, thread, 'tool: grep {"pattern": "drei"}')
    files = ask(api, thread, 'tool: glob {"pattern": "*.txt"}')

    assert outputs(shell) == ["here.txt"]
    assert outputs(write) == ["Wrote 8 bytes to b.txt."]
    assert outputs(edit) == ["Replaced 1 place in b.txt."]
    assert outputs(read) == ["1\tone\n2\tdrei"]
    assert outputs(found) == ["b.txt"]
    assert sorted(outputs(files)[0].splitlines()) == ["b.txt", "here.txt"]


def test_a_path_that_leads_out_is_refused_by_the_sandbox(api, thread):
    seen = ask(api, thread, 'tool: read {"file_path": "../../../etc/passwd"}')

    errors = [chunk["errorText"] for _, chunk in seen if chunk["type"] == "tool-output-error"]
    assert "leads out of the working folder" in errors[0]


def test_a_conversation_continues(api, thread):
    ask(api, thread, "say: one")

    assert text_of(ask(api, thread, "recall")) == "First you said: say: one"


def test_stopping_ends_the_run(api, thread):
    run = post(api, thread, "stall now")
    until(lambda: api.get(f"/threads/{thread}").json()["status"] == "running")
    api.post(f"/cancel/{thread}")
    seen = until_finish(events(api, thread, run=run))

    assert [chunk for _, chunk in seen if chunk["type"] == "abort"]


def test_a_refused_key_is_told_without_the_key(api, thread, mesh):
    seen = ask(api, thread, "status 401")
    stored = api.get(f"/threads/{thread}/messages").text

    assert "refused the organization's key" in stored + str(seen)
    assert SECRET not in stored + str(seen) + "\n".join(mesh.lines)


def test_a_killed_server_continues_the_answer_and_does_nothing_twice(own):
    """The tool that was done before the kill is not done again by the next attempt."""
    with own.client() as api:
        thread = api.post("/threads", json={}).json()["id"]
        command = "bash: echo x >> times.txt; cat times.txt"
        run = post(api, thread, command, toolApprovalLevel="readonly")
        allow(api, thread)
        second = post(api, thread, "bash: wc -l < times.txt", toolApprovalLevel="readonly")
        question = waiting(api, thread, second)
    own.kill_server()
    own.start().online()
    with own.client() as api:
        again = waiting(api, thread, second)
        assert again != question  # asked anew by the next attempt
        answer(api, thread, again)
        # From the journal's start: else it would begin behind what the lost attempt has said.
        seen = until_finish(events(api, thread, after=0, run=second))
    assert run != second
    assert outputs(seen) == ["1"]
    assert [chunk["data"] for _, chunk in seen if chunk["type"] == "data-run-restarted"] == [
        {"attempt": 2}
    ]


def allow(api, thread):
    answer(api, thread, waiting(api, thread))
    until(lambda: api.get(f"/threads/{thread}").json()["status"] == "completed", within=60)


def waiting(api, thread, run=None):
    """Return the id of the newest open question."""

    def find():
        if api.get(f"/threads/{thread}").json()["status"] != "requires_action":
            return None
        asked = [
            chunk["approvalId"]
            for _, chunk in _so_far(api, thread)
            if chunk["type"] == "tool-approval-request"
        ]
        return asked[-1] if asked else None

    return until(find, within=60, what="asked")


def _so_far(api, thread):
    seen = []
    newest = api.get(f"/threads/{thread}/messages").json()["cursor"]
    for seq, chunk in events(api, thread, after=0):
        seen.append((seq, chunk))
        if seq >= newest:
            break
    return seen


def answer(api, thread, approval_id, decision="allow"):
    said = api.post(f"/threads/{thread}/approvals/{approval_id}", json={"decision": decision})
    assert said.status_code < 300, said.text


PATIENCE = 60_000  # milliseconds
LOADING = 120_000  # the model library is loaded first: that takes a while on a busy machine


def say_in(page, text):
    page.locator("#text").fill(text)
    page.keyboard.press("Enter")


def is_over(page):
    expect(page.locator("#stop")).to_be_hidden(timeout=PATIENCE)


@pytest.mark.browser
def test_in_the_browser_it_answers_acts_when_allowed_is_stopped_and_taken_up_again(own, page):
    """As the agents of a machine do in ``test_agents_in_browser.py``."""
    page.context.add_cookies([{"name": "mesh_session", "value": own.session(), "url": own.url}])
    page.goto(f"{own.url}/home/?choice=decopilot:smart")
    page.locator("#level").select_option("readonly")
    expect(page.locator("#agent-pill")).to_contain_text("Decopilot")
    say_in(page, "say: hello from the server")
    answer = page.locator(".message--answer").last
    expect(answer).to_contain_text("hello from the server", timeout=LOADING)
    is_over(page)

    say_in(page, "bash: touch made")
    page.get_by_role("button", name="Deny", exact=True).click(timeout=PATIENCE)
    expect(page.locator(".tool[data-state=denied]").last).to_be_visible(timeout=PATIENCE)
    is_over(page)
    assert list(own.home.glob("sandboxes/*/repo/made")) == []

    say_in(page, "bash: touch made")
    page.get_by_role("button", name="Allow", exact=True).click(timeout=PATIENCE)
    expect(page.locator(".tool[data-state=ok]").last).to_be_visible(timeout=PATIENCE)
    is_over(page)
    assert len(list(own.home.glob("sandboxes/*/repo/made"))) == 1
    page.reload()
    expect(page.locator(".tool[data-state=ok]").last).to_be_attached(timeout=PATIENCE)

    say_in(page, "stall now")
    expect(page.locator(".message--answer").last).to_contain_text("I begin", timeout=PATIENCE)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped by you").last.wait_for(timeout=PATIENCE)

    own.kill_server()  # and with it the loop: the conversation is in the rows
    own.start().online()
    say_in(page, "recall")
    answer = page.locator(".message--answer").last
    expect(answer).to_contain_text("First you said: say: hello from the server", timeout=LOADING)
