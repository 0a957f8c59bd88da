"""Two server processes, A and B, and a laptop whose relay leads to B first."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.faults.laptop import Laptop
from tests.faults.reader import Reader
from tests.faults.relay import Relay
from tests.running import say
from tests.servers import ROOT, Cluster, cluster
from tests.waiting import PATIENCE, until

CELERY = [sys.executable, "-m", "celery", "-A", "mesh.celery"]


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.faults)


@dataclass
class Two:
    """The processes of the module, and what a test says to A."""

    cluster: Cluster
    token: str
    session: str
    urls: dict[str, str] = field(default_factory=dict)

    def start(self, name):
        if name not in self.cluster.processes:
            port = urlsplit(self.urls.get(name, "")).port or 0
            self.urls[name] = self.cluster.serve(name, port)
        return self.urls[name]

    def port(self, name):
        return urlsplit(self.urls[name]).port

    def client(self, name="A"):
        return httpx.Client(
            base_url=f"{self.urls[name]}/api/home/decopilot",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=PATIENCE,
            trust_env=False,
        )

    def links(self, name="A"):
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.get(
            f"{self.urls[name]}/api/links", headers=headers, trust_env=False, timeout=PATIENCE
        )
        return answer.json()["links"]


@dataclass
class Chat:
    """A thread of the test's own, spoken to at A, answered by the laptop at B."""

    two: Two
    laptop: Laptop
    relay: Relay
    link: str
    id: str

    def say(self, text, **body):
        with self.two.client() as client:
            to = {"harnessId": "demo", "linkId": self.link, **body}
            answer = say(client, self.id, text, **to)
        assert answer.status_code == 202, answer.text
        return answer.json()["runId"]

    def get(self, path=""):
        with self.two.client() as client:
            return client.get(f"/threads/{self.id}{path}").json()

    def post(self, path, body=None):
        with self.two.client() as client:
            return client.post(path, json=body)

    def last_seq(self):
        return self.get("/messages")["cursor"]

    def leave(self):
        """Have the laptop say goodbye, and wait until that is known."""
        self.laptop.close()
        until(
            lambda: {one["id"]: one["state"] for one in self.two.links()}[self.link] == "offline",
            what="the laptop offline",
        )

    def reader(self, *names):
        """Reads at the first of these processes that lives."""

        def url():
            alive = [name for name in names or "A" if name in self.two.cluster.processes]
            return self.two.urls[alive[0]]

        return Reader(url, token=self.two.token, thread=self.id)


class Workers:
    """Celery workers of the cluster; any may be killed."""

    def __init__(self, environ):
        self._environ = environ
        self._processes = []

    def start(self):
        words = ["worker", "--pool", "threads", "--concurrency", "1", "--loglevel", "WARNING"]
        words += ["--hostname", f"worker{len(self._processes)}@%h"]
        process = subprocess.Popen([*CELERY, *words], cwd=ROOT, env=self._environ)
        self._processes.append(process)
        return process

    def kill(self, process):
        """End it as a power cut would."""
        process.kill()
        process.wait(PATIENCE)

    def close(self):
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
                process.wait(20)


@pytest.fixture
def workers(two):
    made = Workers(two.cluster.environ)
    yield made
    made.close()


@pytest.fixture
def worker(workers):
    """A worker of the cluster."""
    return workers.start()


@pytest.fixture(scope="session")
def session_two(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.environ["MESH_PRIVATE_HOSTS"] = "127.0.0.1"  # where a model's stand-in is
        two = Two(made, session=made.session(), token=made.token())
        yield two


@pytest.fixture
def two(session_two):
    """Both processes, started again where a test has killed one."""
    for name in ("A", "B"):
        session_two.start(name)
    return session_two


@pytest.fixture
def chat(two, tmp_path):
    with Relay(two.port("B"), two.port("A")) as relay:
        laptop = Laptop(tmp_path / "laptop", server=relay.url, token=two.token)
        known = {one["id"] for one in two.links()}
        laptop.start()
        try:
            link = until(
                lambda: [
                    one["id"]
                    for one in two.links()
                    if one["id"] not in known and one["state"] == "online"
                ],
                what="the laptop online",
            )[0]
            with two.client() as client:
                thread = client.post("/threads", json={}).json()["id"]
            yield Chat(two, laptop, relay, link, thread)
        finally:
            laptop.close()
