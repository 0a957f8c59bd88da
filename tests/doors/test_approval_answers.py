"""An agent beside its own sandbox: whatever it finds there, it answers none of its questions."""

from __future__ import annotations

import base64
import http.client
import json
import re
import secrets
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from links.wire.server_signature import HEADER, sign
from mesh import keys
from tests.running import events, say
from tests.waiting import until

# What may be a secret: long enough, of the letters that tokens have.
SECRET = re.compile(rb"[A-Za-z0-9_+/=.-]{20,200}")
NOT_KEPT_HERE = {"static"}  # the pages' files, the same at every Mesh
PURPOSE = "requests of the server to sandboxes"


@pytest.fixture
def question(front, tmp_path):
    """The demo agent asks whether it may make a file; ``Question`` is all that an agent knows."""
    with front.client() as api:
        yield Question(front, api, tmp_path / "proof")


class Question:
    def __init__(self, front, api, proof):
        self.front, self.api, self.proof = front, api, proof
        self.thread = api.post("/threads", json={}).json()["id"]
        text = f"run touch {proof}"
        answer = say(api, self.thread, text, harnessId="demo", toolApprovalLevel="readonly")
        assert answer.status_code == 202, answer.text
        chunks = (chunk for _, chunk in events(api, self.thread))
        asked = next(chunk for chunk in chunks if chunk["type"] == "tool-approval-request")
        self.id = asked["approvalId"]
        self.root = next(root for root in self.roots() if self.id in journal(root)[1])
        self.run = journal(self.root)[0]
        self.handle = json.loads((self.root / "spec.json").read_text())["handle"]
        self.facts = json.loads((self.root / "pid").read_text())

    def roots(self):
        return [path.parent for path in self.front.laptop_home.glob("sandboxes/*/journal.db")]

    @property
    def answers(self):
        return f"/_sandbox/runs/{self.run}/answers"

    @property
    def allow(self):
        return json.dumps({"approvalId": self.id, "fence": 1, "decision": "allow"}).encode()

    def ask(self, method, path, body=b"", **headers):
        """Ask on the sandbox's own socket; return status and code."""
        status, said = self.told(method, path, body, **headers)
        return status, said.get("error", {}).get("code")

    def told(self, method, path, body=b"", **headers):
        connection = http.client.HTTPConnection("sandbox")
        connection.sock = socket.socket(socket.AF_UNIX)
        with closing(connection):
            connection.sock.connect(self.facts["socket"])
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read() or b"{}")

    def is_open(self):
        return self.api.get(f"/threads/{self.thread}").json()["status"] == "requires_action"


def journal(root):
    """What every program of the user can read there: the newest run, and all that was said."""
    with closing(sqlite3.connect(f"file:{root / 'journal.db'}?mode=ro", uri=True)) as db:
        runs = db.execute("SELECT run_id FROM run ORDER BY key DESC").fetchone()
        said = db.execute("SELECT body FROM event").fetchall()
    return runs[0] if runs else "", str(said)


def found(front, pid):
    """Every text that may be a secret, in the laptop's files and what its programs were given."""
    home = front.laptop_home
    files = [path for path in home.rglob("*") if NOT_KEPT_HERE.isdisjoint(path.parts)]
    programs = [Path(f"/proc/{pid}/{name}") for name in ("environ", "cmdline")]
    texts = [path.read_bytes() for path in [*files, *programs] if path.is_file()]
    return sorted({each.decode() for text in texts for each in SECRET.findall(text)})


def seeds_of(text, *, derives):
    """Each 32 bytes that a found text may stand for, as a key that signs."""
    for decode in (bytes.fromhex, lambda t: base64.urlsafe_b64decode(f"{t}==")):
        try:
            data = decode(text)
        except ValueError:
            continue
        if len(data) == 32:
            yield data
    if derives:
        yield bytes.fromhex(keys._derive(text, PURPOSE))


def test_nothing_that_lies_on_the_machine_answers_a_question(front, question):
    texts = found(front, question.facts["pid"])
    assert len(texts) > 10
    refused = {question.ask("POST", question.answers, question.allow)}
    for text in texts:
        refused.add(
            question.ask("POST", question.answers, question.allow, Authorization=f"Bearer {text}")
        )
        # An embedded server is of the agents' user, and so is its secret key: SECURITY.md.
        for seed in seeds_of(text, derives=front.kind == "proxied"):
            forged = signature(seed, question)
            refused.add(question.ask("POST", question.answers, question.allow, **{HEADER: forged}))

    assert refused <= {(401, "not_signed_by_server"), (401, "bad_server_signature")}
    assert question.is_open()
    assert not question.proof.exists()


def signature(seed, question):
    return sign(
        Ed25519PrivateKey.from_private_bytes(seed),
        handle=question.handle,
        method="POST",
        target=question.answers,
        body=question.allow,
        now=time.time(),
        nonce=secrets.token_hex(16),
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("POST", "/_sandbox/dispatch", {"harnessId": "demo", "fence": 9}, id="a run"),
        pytest.param("POST", "/_sandbox/runs/{run}/steers", {"steerId": "s"}, id="a message"),
        pytest.param("DELETE", "/_sandbox/runs/{run}", None, id="a stop"),
        pytest.param("GET", "/_sandbox/runs/{run}/events?fence=1", None, id="what was said"),
        pytest.param("POST", "/_sandbox/bash", {"command": "true"}, id="a command"),
        pytest.param("POST", "/_sandbox/read", {"path": "a"}, id="a file"),
        pytest.param("POST", "/_sandbox/config", {"env": {"A": "b"}}, id="the configuration"),
        pytest.param("GET", "/_sandbox/preview/", None, id="the preview"),
    ],
)
def test_a_sandbox_takes_nothing_else_from_beside_it(question, method, path, body):
    text = json.dumps(body).encode() if body is not None else b""

    asked = question.ask(method, path.format(run=question.run), text, Authorization="Bearer x")

    assert asked == (401, "not_signed_by_server")
    assert question.is_open()


def test_the_servers_answer_is_taken(front, question):
    path = f"/api/home/decopilot/threads/{question.thread}/approvals/{question.id}"
    headers = front.ada.bearer | {"Content-Type": "application/json"}

    answer = front.rude().request("POST", path, headers, b'{"decision": "allow"}')

    assert answer.status == 200
    until(question.proof.exists, what="the file that the agent was allowed to make")


def test_a_run_that_continues_without_the_servers_answer_is_stopped_and_reported(question):
    """Past the sandbox, into the agent's own standard input: its user can't be kept from that."""
    with closing(sqlite3.connect(f"file:{question.root / 'journal.db'}?mode=ro", uri=True)) as db:
        pids = [pid for (pid,) in db.execute("SELECT pid FROM process")]
    order = {"type": "answer", "id": question.id, "decision": "allow"}
    for pid in pids:
        Path(f"/proc/{pid}/fd/0").write_text(json.dumps(order) + "\n")

    until(
        lambda: question.api.get(f"/threads/{question.thread}").json()["status"] == "failed",
        what="the run's end",
    )

    messages = question.api.get(f"/threads/{question.thread}/messages").json()["messages"]
    assert messages[-1]["metadata"]["error"]["code"] == "answered_elsewhere"
    until(lambda: not is_at_work(question), what="the agent's end")


def is_at_work(question):
    """The sandbox's own word for it, which needs no signature."""
    return question.told("GET", "/_sandbox/health")[1]["activeRuns"] > 0


def test_only_its_user_reaches_the_socket_and_the_link_has_none(front, question):
    sockets = [path for path in front.laptop_home.rglob("*") if path.is_socket()]
    modes = {path.name: (path.stat().st_mode & 0o777) for path in sockets}
    folders = {path.parent.stat().st_mode & 0o077 for path in sockets}

    assert set(modes) <= {"sandbox.sock"}
    assert set(modes.values()) | {0o600} == {0o600}
    assert folders <= {0}
