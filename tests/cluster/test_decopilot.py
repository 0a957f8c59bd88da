"""Decopilot in a Celery worker: said and read at A, its tools on a laptop whose socket B holds."""

import httpx
import pytest

from tests.secrecy import MARK
from tests.standin import serving_in_thread
from tests.waiting import PATIENCE, until

TOUCH = 'tool: bash {"command": "echo x >> times"}'


@pytest.fixture
def standin(two):
    """The model; the organization has a key for it while the test lasts."""
    with (
        serving_in_thread() as running,
        httpx.Client(
            base_url=f"{two.urls['A']}/api/home",
            headers={"Authorization": f"Bearer {two.token}"},
            timeout=PATIENCE,
            trust_env=False,
        ) as api,
    ):
        given = {"provider": "anthropic", "baseUrl": running.url, "key": f"sk-ant-{MARK}"}
        key = api.post("/ai-keys", json=given)
        assert key.status_code == 201, key.text
        yield running
        assert api.delete(f"/ai-keys/{key.json()['id']}").status_code == 204


def chunks(reader, kind):
    return [chunk for _, chunk in reader.seen if chunk["type"] == kind]


def asked(reader, count):
    """Return the newest question, once there are so many."""
    until(
        lambda: len(chunks(reader, "tool-approval-request")) >= count, within=90, what="a question"
    )
    return chunks(reader, "tool-approval-request")[-1]["approvalId"]


def answer(chat, question, decision="allow"):
    path = f"/threads/{chat.id}/approvals/{question}"
    return chat.post(path, {"decision": decision}).status_code


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_done_twice(chat, standin, workers):
    """ADR 13: the tool that was allowed and done stays done; the open question is asked anew."""
    first = workers.start()
    with chat.reader() as reader:
        chat.say(
            f"{TOUCH} then bash: cat times", harnessId="decopilot", toolApprovalLevel="readonly"
        )
        assert answer(chat, asked(reader, 1)) == 200
        lost = asked(reader, 2)
        workers.kill(first)
        workers.start()

        anew = asked(reader, 3)
        assert (answer(chat, lost), answer(chat, anew)) == (404, 200)
        until(lambda: reader.is_done, within=60, what="the end")

    assert [chunk["data"] for chunk in chunks(reader, "data-run-restarted")] == [{"attempt": 2}]
    outputs = [chunk["output"] for chunk in chunks(reader, "tool-output-available")]
    assert outputs[-1] == "x"  # one line: it was done once
    stored = chat.get("/messages")["messages"][-1]
    assert "The tool said" in str(stored["parts"][-1])
    assert MARK not in str(reader.seen) + str(stored)


def test_a_command_that_runs_while_its_worker_is_killed_is_run_once(
    chat, standin, workers, tmp_path
):
    """The sandbox knows the call by its id: the next attempt follows it to its end."""
    began, go = tmp_path / "began", tmp_path / "go"
    command = f"echo x >> {began}; until [ -e {go} ]; do sleep 0.1; done; cat {began}"
    first = workers.start()
    with chat.reader() as reader:
        chat.say(f"bash: {command}", harnessId="decopilot", toolApprovalLevel="auto")
        until(began.exists, within=90, what="the command runs")
        workers.kill(first)
        workers.start()
        until(lambda: chunks(reader, "data-run-restarted"), within=120, what="another attempt")
        go.touch()
        until(lambda: reader.is_done, within=120, what="the end")

    assert began.read_text() == "x\n"
    assert [chunk["output"] for chunk in chunks(reader, "tool-output-available")] == ["x"]
    stored = chat.get("/messages")["messages"][-1]
    assert stored["parts"][-1]["text"] == "The tool said: x"
