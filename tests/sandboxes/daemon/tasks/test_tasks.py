"""Tasks over the real socket: D-SB7."""

from __future__ import annotations

import json
import os

import pytest

from sandboxes.daemon.descendants import Marks
from sandboxes.daemon.tasks import tasks as module
from sandboxes.daemon.tasks.output import Output, Ring
from sandboxes.daemon.tasks.task import status_of
from tests.sandboxes.daemon.sandbox import is_alive
from tests.waiting import auntil

pytestmark = pytest.mark.programs


async def begin(sandbox, command):
    reply = await sandbox.post("/bash", {"command": command, "background": True})
    return reply.json()["taskId"]


async def ended(sandbox, task_id):
    """Wait for the end of the task; return its entry in the list."""

    async def look():
        task = (await sandbox.get(f"/tasks/{task_id}")).json()
        return task if task["status"] != "running" else None

    return await auntil(look)


async def next_log(sandbox):
    """Return where the log of the next task will be."""
    first = await ended(sandbox, await begin(sandbox, "true"))
    here = next(sandbox.root.rglob(first["logName"]))
    return here.with_name(f"task{int(first['id'].removeprefix('task')) + 1}.log")


async def events_of(reply):
    """Return (name, data) of a whole event stream."""
    text = (await reply.aread()).decode()
    blocks = [block.split("\n") for block in text.split("\n\n") if block and block[0] != ":"]
    return [(b[0].removeprefix("event: "), json.loads(b[1].removeprefix("data: "))) for b in blocks]


async def test_list_and_summary(sandbox):  # D-SB7
    task_id = await begin(sandbox, "echo hi; exit 2")
    task = await ended(sandbox, task_id)

    listed = (await sandbox.get("/tasks")).json()["tasks"]
    assert [t["status"] for t in listed if t["id"] == task_id] == ["failed"]
    assert (task["exitCode"], task["stdout"], task["name"]) == (2, "hi\n", "bash")
    assert task["startedAt"] <= task["endedAt"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/stream"), ("POST", "/kill"), ("DELETE", "")],
)
async def test_an_unknown_task(sandbox, method, path):  # D-SB7
    reply = await sandbox.client.request(method, f"/tasks/task999{path}")

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_task")


@pytest.mark.parametrize("suffix", [".log", ".pid"])
async def test_a_pipe_in_the_place_of_a_log_is_not_waited_for(sandbox, suffix):
    os.mkfifo((await next_log(sandbox)).with_suffix(suffix))

    task = await ended(sandbox, await begin(sandbox, "echo hi"))

    assert task["stdout"] == "hi\n"


async def test_a_log_is_written_through_no_link(sandbox):
    (sandbox.root / "precious").write_text("kept")
    (await next_log(sandbox)).symlink_to(sandbox.root / "precious")

    await ended(sandbox, await begin(sandbox, "echo hi"))

    assert (sandbox.root / "precious").read_text() == "kept"


async def test_kill_once(sandbox):  # D-SB7
    task_id = await begin(sandbox, "sleep 60")

    first = await sandbox.client.post(f"/tasks/{task_id}/kill")
    second = await sandbox.client.post(f"/tasks/{task_id}/kill")

    assert (first.status_code, second.status_code) == (200, 400)
    assert second.json()["error"]["code"] == "not_running"
    assert (await ended(sandbox, task_id))["status"] == "killed"


async def test_kill_ends_the_whole_group_and_the_deaf(sandbox):
    task_id = await begin(sandbox, "trap '' TERM; sleep 600 & echo $!; wait; sleep 600")
    task = await auntil(lambda: _with_output(sandbox, task_id))

    await sandbox.client.post(f"/tasks/{task_id}/kill")

    assert not is_alive(int(task["stdout"]))


async def _with_output(sandbox, task_id):
    task = (await sandbox.get(f"/tasks/{task_id}")).json()
    return task if task["stdout"] else None


async def test_kill_all(sandbox):  # D-SB7
    ids = [await begin(sandbox, "sleep 60") for _ in range(3)]

    assert (await sandbox.client.post("/tasks/kill-all")).json()["killed"] >= 3
    assert {(await ended(sandbox, i))["status"] for i in ids} == {"killed"}


async def test_a_stream_ends_with_the_task(sandbox):  # D-SB7
    task_id = await begin(sandbox, "echo one; sleep 0.2; echo two; exit 4")

    async with sandbox.client.stream("GET", f"/tasks/{task_id}/stream") as reply:
        events = await events_of(reply)

    assert reply.headers["content-type"] == "text/event-stream"
    assert "".join(data["data"] for name, data in events if name == "output") == "one\ntwo\n"
    assert events[-1] == ("end", {"status": "failed", "exitCode": 4})


async def test_a_stream_of_an_ended_task(sandbox):
    task_id = await begin(sandbox, "echo gone")
    await ended(sandbox, task_id)

    async with sandbox.client.stream("GET", f"/tasks/{task_id}/stream") as reply:
        assert [name for name, _ in await events_of(reply)] == ["output", "end"]


async def test_delete(sandbox):  # D-SB7
    task_id = await begin(sandbox, "sleep 60")
    log = sandbox.root / "tmp" / f"{task_id}.log"

    running = await sandbox.client.delete(f"/tasks/{task_id}")
    await sandbox.client.post(f"/tasks/{task_id}/kill")
    over = await sandbox.client.delete(f"/tasks/{task_id}")

    assert (running.status_code, running.json()["error"]["code"]) == (400, "still_running")
    assert over.status_code == 200
    assert (await sandbox.get(f"/tasks/{task_id}")).status_code == 404
    assert not log.exists()


async def test_the_log_of_a_task_is_bounded(sandbox):
    task_id = await begin(sandbox, "head -c 12000000 /dev/zero | tr '\\0' x")
    await ended(sandbox, task_id)

    size = (sandbox.root / "tmp" / f"{task_id}.log").stat().st_size
    assert 10 * 1024 * 1024 <= size < 11 * 1024 * 1024


async def test_the_end_of_the_sandbox_is_the_end_of_its_tasks(make_sandbox):
    sandbox = make_sandbox()
    task_id = await begin(sandbox, "echo $$; sleep 600")
    task = await auntil(lambda: _with_output(sandbox, task_id))

    assert sandbox.stop() == 0
    assert not is_alive(int(task["stdout"]))


async def test_what_a_killed_sandbox_left_running_is_ended_by_the_next(make_sandbox):
    sandbox = make_sandbox()
    task_id = await begin(sandbox, "echo $$; sleep 600")
    task = await auntil(lambda: _with_output(sandbox, task_id))
    sandbox.kill()
    assert is_alive(int(task["stdout"]))
    sandbox.start()

    assert (await sandbox.post("/bash", {"command": "true"})).json()["exitCode"] == 0
    assert not is_alive(int(task["stdout"]))


async def test_logs_of_an_earlier_life_are_removed(make_sandbox, tmp_path):
    (tmp_path / "sandbox" / "tmp").mkdir(parents=True)
    (tmp_path / "sandbox" / "tmp" / "task7.log").write_text("old")
    sandbox = make_sandbox()

    assert (await sandbox.get("/tasks")).json() == {"tasks": []}
    assert not (sandbox.root / "tmp" / "task7.log").exists()


async def test_not_too_many_at_once(make_sandbox):
    sandbox = make_sandbox()
    for _ in range(module.AT_ONCE):
        await begin(sandbox, "sleep 60")

    reply = await sandbox.post("/bash", {"command": "true"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "too_many_tasks")


def test_a_task_is_forgotten_a_while_after_its_end(monkeypatch, tmp_path):
    tasks = module.Tasks(None, tmp_path, Marks(tmp_path))
    old = type("Old", (), {"ended_at": 1.0, "id": "task1", "log_path": tmp_path / "task1.log"})()
    tasks._tasks["task1"] = old

    assert tasks.list() == []


@pytest.mark.parametrize(
    ("code", "ended_by", "status"),
    [
        (0, "", "exited"),
        (1, "", "failed"),
        (-9, "", "failed"),
        (-15, "kill", "killed"),
        (0, "kill", "killed"),
        (-9, "timeout", "timeout"),
    ],
)
def test_what_became_of_it(code, ended_by, status):
    assert status_of(code, ended_by) == status


def test_a_ring_keeps_the_end():
    ring = Ring(10)
    for number, text in enumerate(["abc", "defgh", "ijklm"]):
        ring.add(number, text)

    assert (ring.text, ring.is_cut) == ("defghijklm", True)


def test_a_piece_larger_than_the_ring():
    ring = Ring(4)
    ring.add(1, "abcdefgh")

    assert (ring.text, ring.is_cut) == ("efgh", True)


def test_the_streams_are_replayed_in_their_order():
    output = Output()
    output.feed("stdout", b"1")
    output.feed("stderr", "ä".encode()[:1])
    output.feed("stdout", b"2")
    output.feed("stderr", "ä".encode()[1:])

    assert output.replay() == [("stdout", "1"), ("stdout", "2"), ("stderr", "ä")]
