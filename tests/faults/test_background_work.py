"""``kill -9`` while a command runs in the background, and in the turn that the agent begins by
itself when it has ended: nothing is lost, nothing comes twice, and nothing runs on unseen."""

import os
import signal

import pytest

from mesh import processes
from tests.running import events, say, until_finish
from tests.sandboxes.daemon.sandbox import is_alive
from tests.waiting import until

pytestmark = pytest.mark.faults

REPORT = "has ended. It went well."


class Working:
    """A chat whose agent has left a command running, which waits for ``go``."""

    def __init__(self, mesh, folder, then="", **where):
        self.mesh, self.go, self.pid_file = mesh, folder / "go", folder / "pid"
        command = f"echo $$ > {self.pid_file}; until [ -e {self.go} ]; do sleep 0.05; done"
        with mesh.client() as client:
            self.thread = client.post("/threads", json={}).json()["id"]
            words = f"background {command} {then}".strip()
            say(client, self.thread, words, harnessId="demo", **where)
            until_finish(events(client, self.thread, after=0))
        until(self.shown, what="it is shown")
        until(lambda: self.pid_file.exists() and self.pid_file.read_text(), what="it runs")

    def summary(self):
        with self.mesh.client() as client:
            return client.get(f"/threads/{self.thread}").json()

    def shown(self):
        return [task["title"] for task in self.summary()["background"]]

    def messages(self):
        with self.mesh.client() as client:
            return client.get(f"/threads/{self.thread}/messages").json()["messages"]

    def lose(self, who):
        if who == "server":
            self.mesh.kill_server()
            self.mesh.start().online()
        else:
            pid, started = self.mesh.link() if who == "link" else self.mesh.sandboxes()[0]
            os.kill(pid, signal.SIGKILL)
            until(lambda: not processes.is_same(pid, started), what="killed")

    def own_answer(self):
        """The answer that the agent began by itself, once it has ended: there is one at most."""
        messages = self.messages()
        notes = [at for at, message in enumerate(messages) if message["role"] == "system"]
        assert len(notes) <= 1
        if not notes or len(messages) <= notes[0] + 1:
            return None
        answer = messages[notes[0] + 1]
        return answer if answer["metadata"].get("finishedAt") else None

    def own_text(self):
        answer = until(self.own_answer, within=60, what="its own answer")
        return "".join(part["text"] for part in answer["parts"] if part["type"] == "text")

    @property
    def runs_on(self):
        return is_alive(int(self.pid_file.read_text()))


@pytest.fixture
def working(breakable, tmp_path):
    return Working(breakable, tmp_path)


@pytest.mark.parametrize("who", ["server", "link"])
def test_its_report_survives(working, who):
    working.lose(who)
    working.go.touch()

    assert REPORT in working.own_text()
    until(lambda: not working.shown(), what="it is shown no more")
    assert [message["role"] for message in working.messages()] == [
        *("user", "assistant"),
        *("system", "assistant"),
    ]


def test_its_report_survives_cuts_of_the_connection(breakable, laptop, relay, tmp_path):
    working = Working(
        breakable, tmp_path, then="# then count slowly to ten", linkId=laptop.online()
    )
    relay.cut()
    working.go.touch()
    until(lambda: working.summary()["status"] == "running", within=60, what="its own turn")
    relay.cut()

    assert working.own_text().endswith(", ".join(map(str, range(1, 11))))


def test_what_happened_while_the_server_was_down_is_told_after(working):
    working.mesh.kill_server()
    working.go.touch()
    until(lambda: not working.runs_on, what="it has ended")
    working.mesh.start().online()

    assert REPORT in working.own_text()


@pytest.mark.parametrize("who", ["server", "link"])
def test_a_turn_of_its_own_survives(breakable, tmp_path, who):
    working = Working(breakable, tmp_path, then="# then count slowly to ten")
    working.go.touch()
    until(lambda: working.summary()["status"] == "running", what="its own turn")
    working.lose(who)

    assert working.own_text().endswith(", ".join(map(str, range(1, 11))))


def test_a_turn_of_its_own_ends_with_its_sandbox(breakable, tmp_path):
    working = Working(breakable, tmp_path, then="# then count slowly to a hundred")
    working.go.touch()
    until(lambda: working.summary()["status"] == "running", what="its own turn")
    working.lose("sandbox")

    answer = until(working.own_answer, within=60, what="its own answer")
    assert answer["metadata"]["error"]["code"] == "sandbox_died"


def test_nothing_runs_on_without_its_sandbox(working):
    working.lose("sandbox")

    until(lambda: not working.shown(), within=60, what="it is shown no more")
    until(lambda: not working.runs_on, what="it has ended")
    assert [message["role"] for message in working.messages()] == ["user", "assistant"]


def test_a_stop_ends_it(working):
    with working.mesh.client() as client:
        answer = client.post(f"/cancel/{working.thread}").json()

    assert len(answer["background"]) == 1
    until(lambda: not working.runs_on, what="it has ended")
    until(lambda: not working.shown(), what="it is shown no more")


def test_a_stop_that_nobody_could_deliver_is_delivered_later(working):
    [task] = working.summary()["background"]
    with working.mesh.client() as client:
        client.delete(f"/threads/{working.thread}/background/{task['id']}")
    working.lose("server")

    until(lambda: not working.runs_on, what="it has ended")


def test_a_deleted_chat_leaves_nothing_running(working):
    with working.mesh.client() as client:
        client.delete(f"/threads/{working.thread}")

    until(lambda: not working.runs_on, what="it has ended")


def test_a_message_and_a_turn_of_its_own_at_the_same_moment_both_get_an_answer(working):
    working.go.touch()
    with working.mesh.client() as client:
        run = say(client, working.thread, "count to three").json()["runId"]
        until_finish(events(client, working.thread, run=run))
    answer = until(working.own_answer, within=60, what="its own answer")

    of_person = next(each for each in working.messages() if each["id"] == run)
    assert "1, 2, 3" in str(of_person["parts"])
    state = answer["metadata"]["state"]
    assert state == "completed" or answer["metadata"]["error"]["code"] == "superseded"
