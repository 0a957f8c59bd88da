"""``kill -9`` of server, link and sandbox in the middle of a run: what design §2 promises."""

import os
import signal
from functools import partial

import httpx
import pytest

from mesh import processes
from tests.running import RunningMesh, events, say, text_of, until_finish
from tests.waiting import until

pytestmark = pytest.mark.faults

TEN = ", ".join(map(str, range(1, 11)))


@pytest.fixture
def mesh(breakable):
    return breakable


@pytest.fixture
def midway(mesh):
    """A thread whose run has said "3" and goes on to ten: (mesh, client, thread id, last seq)."""
    with mesh.client() as client:
        thread = client.post("/threads", json={}).json()["id"]
        say(client, thread, "count slowly to ten", harnessId="demo")
        seen = []
        for one in events(client, thread, after=0):
            seen.append(one)
            if "3" in text_of(seen):
                break
    return mesh, thread, seen


def whole(mesh, thread):
    """Every event of the thread up to its finish."""
    with mesh.client() as client:
        return until_finish(events(client, thread, after=0))


def assert_nothing_lost(before, after):
    assert after[: len(before)] == before
    assert [seq for seq, _ in after] == list(range(1, len(after) + 1))
    assert TEN in text_of(after)


def kill(pid, started):
    os.kill(pid, signal.SIGKILL)
    until(lambda: not processes.is_same(pid, started), what="killed")


def test_a_run_survives_its_server(midway):
    mesh, thread, seen = midway

    mesh.kill_server()
    mesh.start().online()

    assert_nothing_lost(seen, whole(mesh, thread))


def test_a_run_survives_its_link(midway):
    mesh, thread, seen = midway
    sandboxes = mesh.sandboxes()

    kill(*mesh.link())

    assert_nothing_lost(seen, whole(mesh, thread))
    assert mesh.sandboxes() == sandboxes  # adopted, not started again


def test_a_reader_learns_that_the_sandbox_was_killed(midway):
    mesh, thread, seen = midway

    [sandbox] = mesh.sandboxes()
    kill(*sandbox)

    after = whole(mesh, thread)
    assert after[: len(seen)] == seen
    assert [seq for seq, _ in after] == list(range(1, len(after) + 1))
    assert "error" in {chunk["type"] for _, chunk in after}
    with mesh.client() as client:
        assert client.get(f"/threads/{thread}").json()["status"] == "failed"


def test_after_a_killed_sandbox_the_thread_answers_again(midway):
    mesh, thread, _ = midway
    [sandbox] = mesh.sandboxes()
    kill(*sandbox)
    whole(mesh, thread)

    with mesh.client() as client:
        run = say(client, thread, "count slowly to two").json()["runId"]
        seen = until_finish(events(client, thread, run=run))

    assert "1, 2" in text_of(seen)


def test_ctrl_c_ends_everything_and_the_next_start_keeps_the_data(midway):
    mesh, thread, seen = midway
    link, sandboxes = mesh.link(), mesh.sandboxes()

    assert mesh.interrupt() == 0

    for one in [link, *sandboxes]:
        assert not processes.is_same(*one)
    mesh.start().online()
    with mesh.client() as client:
        listed = client.get("/threads").json()["threads"]
    assert thread in [one["id"] for one in listed]
    assert whole(mesh, thread)[: len(seen)] == seen


def test_the_printed_address_works_once(mesh):
    address = mesh.address
    get = partial(httpx.get, address, trust_env=False)

    first, again = get(), get()

    assert (first.status_code, first.headers["location"]) == (302, "/")
    assert again.status_code == 403


def test_a_second_start_in_the_same_home_says_where_mesh_runs(mesh):
    second = RunningMesh(mesh.home)
    with pytest.raises(AssertionError, match=f"is already running: http://127.0.0.1:{mesh.port}/"):
        second.start()


def test_a_taken_port_is_named_with_what_to_do(mesh, tmp_path):
    second = RunningMesh(tmp_path / "second")
    second.port = mesh.port
    with pytest.raises(AssertionError, match=f"MESH_PORT={mesh.port + 1} make run"):
        second.start()
