"""PostgreSQL goes away under a server and returns: 503 meanwhile, and nothing fails afterwards."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest

from tests.faults.laptop import Laptop
from tests.running import say
from tests.servers import Cluster, Postgres, redis
from tests.waiting import PATIENCE, until


class Mesh:
    """One server over a PostgreSQL of its own, and a thread to write into."""

    def __init__(self, cluster, postgres):
        self.cluster, self.postgres = cluster, postgres
        cluster.manage("migrate", "-v", "0")
        cluster.session()
        self.url, self.token = cluster.serve("A"), cluster.token()
        self.http = httpx.Client(
            base_url=f"{self.url}/api/home/decopilot",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=PATIENCE,
            trust_env=False,
        )
        self.thread = self.http.post("/threads", json={}).json()["id"]

    def rename(self, title):
        return self.http.patch(f"/threads/{self.thread}", json={"title": title})

    def title(self):
        return self.http.get(f"/threads/{self.thread}").json()["title"]

    def log(self):
        return self.cluster.log.read_text()


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    home = tmp_path_factory.mktemp("restarts")
    postgres = Postgres()
    try:
        with redis() as notifications:
            cluster = Cluster(home, postgres.url, notifications)
            cluster.log = home / "servers.log"
            made = Mesh(cluster, postgres)
            try:
                yield made
            finally:
                made.http.close()
                cluster.close()
    finally:
        postgres.close()


def test_after_a_restart_no_request_fails_on_a_broken_connection(mesh):
    for number in range(3):
        mesh.postgres.kill()
        mesh.postgres.start()

        answers = [mesh.rename(f"title {number}") for _ in range(5)]

        assert [answer.status_code for answer in answers] == [200] * 5
        assert mesh.title() == f"title {number}"


def test_while_it_is_away_requests_are_refused_with_a_time_and_change_nothing(mesh):
    before = mesh.title()
    mesh.postgres.kill()
    try:
        answer = mesh.rename(f"lost {uuid4()}")
        health = mesh.http.get(str(mesh.http.base_url.copy_with(path="/healthz")))
    finally:
        mesh.postgres.start()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json()["error"]["code"] == "store_not_ready"
    assert health.status_code == 503
    assert mesh.title() == before


def test_the_first_request_after_a_long_absence_is_taken(mesh):
    mesh.postgres.kill()
    try:
        refused = [mesh.rename("lost") for _ in range(3)]  # each waits for a connection
    finally:
        mesh.postgres.start()

    taken = mesh.rename("found")

    assert {answer.status_code for answer in refused} == {503}
    assert taken.status_code == 200
    assert "internal_error" not in mesh.log()


class Chat:
    """A thread of the test's own, answered on a laptop."""

    def __init__(self, mesh, laptop, link):
        self.mesh, self.laptop, self.link = mesh, laptop, link
        self.id = mesh.http.post("/threads", json={}).json()["id"]

    def say(self, text, key, **body):
        to = {"harnessId": "demo", "linkId": self.link, "whenOffline": "queue", **body}
        return say(self.mesh.http, self.id, text, key=key, **to)

    def stop(self):
        return self.mesh.http.post(f"/cancel/{self.id}")

    def allow(self, question):
        path = f"/threads/{self.id}/approvals/{question}"
        return self.mesh.http.post(path, json={"decision": "allow"})

    def status(self):
        return self.mesh.http.get(f"/threads/{self.id}").json()["status"]

    def asked(self):
        """Return the id of its open question, once there is one."""
        until(lambda: self.status() == "requires_action", what="a question")
        answer = self.mesh.http.get(f"/threads/{self.id}/messages").json()["messages"][-1]
        [approval] = [part["approval"]["id"] for part in answer["parts"] if part.get("approval")]
        return approval


@pytest.fixture
def chat(mesh, tmp_path):
    laptop = Laptop(tmp_path / "laptop", server=mesh.url, token=mesh.token)
    laptop.start()
    try:
        yield Chat(mesh, laptop, laptop.online())
    finally:
        laptop.close()


def assert_refused_for_now(answer):
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json()["error"]["code"] == "store_not_ready"


def test_a_message_an_answer_and_a_stop_are_taken_after_a_restart(mesh, chat, tmp_path):
    proof = tmp_path / "proof"

    def restart():
        mesh.postgres.kill()
        mesh.postgres.start()

    restart()
    said = chat.say(f"run echo once >> {proof}", "first", toolApprovalLevel="readonly")
    question = chat.asked()
    restart()
    answered = chat.allow(question)
    until(lambda: chat.status() == "completed", what="the answer")
    chat.say("count slowly to a hundred", "second")
    until(lambda: chat.status() == "running", what="the next run")
    restart()
    stopped = chat.stop()
    until(lambda: chat.status() == "cancelled", what="the stop")

    assert [each.is_success for each in (said, answered, stopped)] == [True] * 3
    assert proof.read_text() == "once\n"


def test_what_was_refused_while_it_was_away_is_sent_again_and_done_once(mesh, chat, tmp_path):
    proof = tmp_path / "proof"
    words = f"run echo once >> {proof}"
    chat.say(words, "first", toolApprovalLevel="readonly")
    question = chat.asked()
    mesh.postgres.kill()
    try:
        refused = [chat.allow(question), chat.say("count to 2", "second"), chat.stop()]
    finally:
        mesh.postgres.start()
    for each in refused:
        assert_refused_for_now(each)
    assert not proof.exists()

    taken = [chat.allow(question), chat.say("count to 2", "second"), chat.allow(question)]

    assert [answer.status_code for answer in taken] == [200, 202, 200]
    until(lambda: "count to 2" in chat.laptop.prompts, what="the second message")
    until(lambda: chat.status() == "completed", what="its answer")
    assert chat.laptop.prompts == [words, "count to 2"]
    assert proof.read_text() == "once\n"
