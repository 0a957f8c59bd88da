"""PostgreSQL goes away under a server and returns: 503 meanwhile, and nothing fails afterwards."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest

from tests.servers import Cluster, Postgres, redis
from tests.waiting import PATIENCE


class Mesh:
    """One server over a PostgreSQL of its own, and a thread to write into."""

    def __init__(self, cluster, postgres):
        self.cluster, self.postgres = cluster, postgres
        cluster.manage("migrate", "-v", "0")
        cluster.session()
        self.http = httpx.Client(
            base_url=f"{cluster.serve('A')}/api/home/decopilot",
            headers={"Authorization": f"Bearer {cluster.token()}"},
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
