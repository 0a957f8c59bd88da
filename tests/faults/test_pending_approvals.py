"""``kill -9`` while a tool waits: it runs once after "allow", and never after "deny"."""

import os
import signal

import pytest

from mesh import processes
from tests.running import events, say, text_of, until_finish
from tests.waiting import until

pytestmark = pytest.mark.faults


def kill(pid, started):
    os.kill(pid, signal.SIGKILL)
    until(lambda: not processes.is_same(pid, started), what="killed")


class Asked:
    """A run that has asked whether it may write a line into ``proof``."""

    def __init__(self, mesh, proof, more=""):
        self.mesh, self.proof = mesh, proof
        with mesh.client() as client:
            self.thread = client.post("/threads", json={}).json()["id"]
            words = f"run echo once >> {proof}{more}"
            say(client, self.thread, words, harnessId="demo", toolApprovalLevel="readonly")
            for _, chunk in events(client, self.thread, after=0):
                if chunk["type"] == "tool-approval-request":
                    self.approval = chunk["approvalId"]
                    break

    def answer(self, decision):
        with self.mesh.client() as client:
            path = f"/threads/{self.thread}/approvals/{self.approval}"
            return client.post(path, json={"decision": decision, "reason": "as told"})

    def lose(self, who):
        if who == "link":
            kill(*self.mesh.link())  # who serves the embedded Mesh starts it again
        elif who == "sandbox":
            kill(*self.mesh.sandboxes()[0])
        else:
            self.mesh.kill_server()
            self.mesh.start()

    def ended(self):
        """Every event up to the run's end, read anew."""
        with self.mesh.client() as client:
            return until_finish(events(client, self.thread, after=0))

    @property
    def runs(self):
        """How often the tool has run."""
        return self.proof.read_text().count("once") if self.proof.exists() else 0


@pytest.fixture
def asked(breakable, tmp_path):
    return Asked(breakable, tmp_path / "proof")


@pytest.mark.parametrize("decision", ["allow", "deny"])
@pytest.mark.parametrize("when", ["before the answer", "after the answer"])
@pytest.mark.parametrize("who", ["server", "link"])
def test_an_answer_survives(asked, who, when, decision):
    if when == "before the answer":
        asked.lose(who)
    assert asked.answer(decision).status_code == 200
    if when == "after the answer":
        asked.lose(who)

    seen = asked.ended()

    assert asked.runs == (1 if decision == "allow" else 0)
    assert [seq for seq, _ in seen] == list(range(1, len(seen) + 1))
    states = [c["data"]["state"] for _, c in seen if c["type"] == "data-approval"]
    assert (states[0], states[-1]) == ("asked", "applied")
    assert ("You said no" in text_of(seen)) is (decision == "deny")


def test_a_rule_survives_and_answers_automatically(asked):
    with asked.mesh.client() as client:
        path = f"/threads/{asked.thread}/approvals/{asked.approval}"
        client.post(path, json={"decision": "allow", "remember": True})
    asked.ended()
    asked.lose("server")
    asked.mesh.online()

    with asked.mesh.client() as client:
        again = f"run echo once >> {asked.proof}"
        answer = say(client, asked.thread, again, toolApprovalLevel="readonly").json()
        seen = until_finish(events(client, asked.thread, run=answer["runId"]))

    assert asked.runs == 2
    assert [c["data"]["by"] for _, c in seen if c["type"] == "data-approval"][-1] == "rule"


@pytest.mark.parametrize("decision", ["allow", "deny"])
@pytest.mark.parametrize("when", ["before the answer", "after the answer"])
def test_an_answer_survives_its_sandbox(asked, when, decision):
    """The agent dies with the sandbox and is asked to go on: it asks the same once more, and the
    answer counts for that, whichever of the two it was given to. After the answer it may be too
    late: then the tool has run, or the run ends as failed, and nothing is done twice."""
    if when == "before the answer":
        asked.lose("sandbox")
    assert asked.answer(decision).status_code == 200
    if when == "after the answer":
        asked.lose("sandbox")

    seen = asked.ended()

    assert [seq for seq, _ in seen] == list(range(1, len(seen) + 1))
    is_whole = "error" not in {chunk["type"] for _, chunk in seen}
    assert asked.runs <= (1 if decision == "allow" else 0)
    if when == "before the answer":
        assert is_whole
        assert asked.runs == (1 if decision == "allow" else 0)
        assert "I ask once more" in text_of(seen)


def test_a_sandbox_that_dies_unanswered_asks_the_person_again(asked):
    asked.lose("sandbox")
    with asked.mesh.client() as client:
        for _, chunk in events(client, asked.thread, after=0):
            if chunk["type"] == "tool-approval-request" and chunk["approvalId"] != asked.approval:
                asked.approval = chunk["approvalId"]
                break
    assert asked.answer("allow").status_code == 200

    asked.ended()

    assert asked.runs == 1


def test_a_call_is_marked_interrupted_if_its_sandbox_dies_right_after_allow(breakable, tmp_path):
    """It has run once here; who reads the chat is told that nobody can know, and to look."""
    asked = Asked(breakable, tmp_path / "proof", more="; sleep 60")
    asked.answer("allow")
    until(lambda: asked.runs, what="the call under way")
    asked.lose("sandbox")

    asked.ended()

    assert asked.runs == 1
    with asked.mesh.client() as client:
        answer = client.get(f"/threads/{asked.thread}/messages").json()["messages"][-1]
    [tool] = [part for part in answer["parts"] if "toolCallId" in part]
    assert (tool["state"], tool["resultProviderMetadata"]["mesh"]["ended"]) == (
        "output-error",
        "interrupted",
    )
    assert tool["errorText"].startswith("Interrupted:")
    assert answer["metadata"]["error"]["code"] == "sandbox_died"
    assert "what its last steps did" in answer["metadata"]["error"]["hint"]
