"""Dev servers that crash, fall silent or go elsewhere: real ones, seen on the event stream."""

from __future__ import annotations

from contextlib import asynccontextmanager

import httpx
import pytest

from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import ODD_SERVER_PY, config, repository
from tests.waiting import auntil

pytestmark = pytest.mark.programs

FILES = {"mesh.toml": 'dev = ["python3", "server.py"]', "server.py": ODD_SERVER_PY}


@pytest.fixture
def sandbox(make_sandbox, tmp_path):
    return make_sandbox(env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})


@asynccontextmanager
async def serving(sandbox, tmp_path):
    """``async with serving(…) as told``: the running server's events from now on."""
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(repository(tmp_path / "origin", FILES)))
        await told.phase("running")
        yield told


async def phases_are(told, *expected):
    """Wait until these are the last phases; each is repeated now and then."""

    def look():
        seen = {state["at"]: state["phase"] for state in states(told)}
        return list(seen.values())[-len(expected) :] == list(expected)

    try:
        await auntil(look)
    except AssertionError as exc:
        raise AssertionError(f"not {expected}: {states(told)}\n{told.log}") from exc


def states(told):
    return [data["state"] for data in told.of("lifecycle") if data["state"]]


def state(told):
    return states(told)[-1]


async def test_one_that_crashes_is_started_again_and_in_the_end_given_up(sandbox, tmp_path):
    async with serving(sandbox, tmp_path) as told:
        port = state(told)["port"]
        for number in (1, 2, 3):
            await sandbox.get("/preview/exit/3")
            await phases_are(told, "running", "crashed")
            assert state(told)["restart"] == number
            await phases_are(told, "crashed", "starting", "running")
            assert state(told)["port"] == port
        await sandbox.get("/preview/exit/3")
        await phases_are(told, "running", "start-failed")

        assert state(told)["reason"] == "dev script exited with code 3"
        assert state(told)["lastLines"][-1] == "I can't go on"
        assert told.of("status")[-1] == {"state": "error", "reason": state(told)["reason"]}
        await sandbox.post("/setup/start", {})
        await phases_are(told, "start-failed", "starting", "running")


async def test_what_it_sees_of_the_environment(make_sandbox, tmp_path):
    """Neither Mesh's secrets nor the keys of agents; what the configuration gives it, it has."""
    secrets = {"MESH_SECRET_KEY": "s3cret", "ANTHROPIC_API_KEY": "s3cret", "DATABASE_URL": "s3cret"}
    sandbox = make_sandbox(env=secrets | {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    files = {"mesh.toml": 'dev = ["sh", "-c", "env; echo END; sleep 99"]'}
    body = config(repository(tmp_path / "origin", files)) | {"env": {"SHOP": "open"}}

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", body)
        await auntil(lambda: "END" in told.log)

    assert "SHOP=open" in told.log
    assert "s3cret" not in told.log


async def test_one_that_leaves_without_an_error_is_missed_too(sandbox, tmp_path):
    async with serving(sandbox, tmp_path) as told:
        await sandbox.get("/preview/exit/0")
        await phases_are(told, "running", "crashed", "starting", "running")


async def test_one_that_a_person_ends_is_not_started_again(sandbox, tmp_path):
    async with serving(sandbox, tmp_path) as told:
        await sandbox.get("/preview/exit/3")
        await phases_are(told, "running", "crashed")
        killed = (await sandbox.post("/exec/dev/kill", {})).json()
        tasks = (await sandbox.get("/tasks")).json()["tasks"]
        ended = await sandbox.client.delete("/setup")

    assert (killed, ended.json()) == ({"killed": 0}, {"ok": True})
    assert [task["status"] for task in tasks if task["name"] == "dev"] == ["failed"]
    assert told.phases[-1] == "crashed"


async def test_one_that_is_killed_as_a_task_is_not_started_again(sandbox, tmp_path):
    async with serving(sandbox, tmp_path) as told:
        tasks = (await sandbox.get("/tasks")).json()["tasks"]
        await sandbox.post(f"/tasks/{tasks[-1]['id']}/kill", {})
        await phases_are(told, "running", "start-failed")


async def test_one_that_goes_elsewhere_is_followed(sandbox, tmp_path):
    async with serving(sandbox, tmp_path) as told:
        port = state(told)["port"]
        await sandbox.get("/preview/move")
        await auntil(lambda: state(told)["port"] != port)
        page = await sandbox.get("/preview/")

    assert page.text.endswith(f"at {state(told)['port']}")
    assert "crashed" not in told.phases


async def test_one_that_hangs_is_left_alone_and_taken_up_again(sandbox, tmp_path):
    """It may stand in a debugger: nobody ends it for that."""
    async with serving(sandbox, tmp_path) as told:
        await sandbox.post("/bash", {"command": "kill -STOP $(cat pid)"})
        with pytest.raises(httpx.ReadTimeout):
            await sandbox.client.get("/preview/", timeout=0.5)
        await sandbox.post("/bash", {"command": "kill -CONT $(cat pid)"})
        page = await sandbox.get("/preview/")

    assert page.text.startswith("at ")
    assert told.phases[-1] == "running"
