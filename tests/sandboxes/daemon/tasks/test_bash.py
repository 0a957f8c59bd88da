"""The shell tool over the real socket: D-SB4, and what of the environment it shows."""

from __future__ import annotations

import asyncio

import pytest

from tests.sandboxes.daemon.sandbox import is_alive
from tests.waiting import auntil

SECRETS = {
    "MESH_SECRET_KEY": "s1",
    "DATABASE_URL": "s2",
    "GITHUB_TOKEN": "s3",
    "ANTHROPIC_API_KEY": "s4",
    "OPENAI_API_KEY": "s5",
    "AWS_SECRET_ACCESS_KEY": "s6",
    "DAEMON_TOKEN": "s7",
}


async def bash(sandbox, command, **fields):
    reply = await sandbox.post("/bash", {"command": command, **fields})
    return reply.json() if reply.status_code == 200 else reply.json()["error"]["code"]


async def test_what_it_prints_and_its_exit_code(sandbox):  # D-SB4
    done = await bash(sandbox, "echo out; echo err >&2; exit 3")

    assert done == {
        "stdout": "out\n",
        "stderr": "err\n",
        "exitCode": 3,
        "timedOut": False,
        "truncated": False,
    }


async def test_a_command_is_ended_after_its_limit(sandbox):  # D-SB4
    done = await bash(sandbox, "echo begun; sleep 30", timeout=500)

    assert (done["exitCode"], done["timedOut"], done["stdout"]) == (-1, True, "begun\n")


async def test_in_the_background(sandbox):  # D-SB4
    begun = await bash(sandbox, "sleep 30", background=True)

    assert begun["status"] == "running"
    assert (await sandbox.post(f"/tasks/{begun['taskId']}/kill", {})).json() == {"ok": True}


async def test_where_it_runs(sandbox):
    await sandbox.post("/mkdir", {"path": "sub"})

    assert (await bash(sandbox, "pwd"))["stdout"].endswith("/sandbox/repo\n")
    assert (await bash(sandbox, "pwd", cwd="sub"))["stdout"].endswith("/repo/sub\n")
    assert await bash(sandbox, "pwd", cwd="nowhere") == "no_such_file"


async def test_env_shows_no_secret(make_sandbox):
    sandbox = make_sandbox(env=SECRETS)

    shown = (await bash(sandbox, "env"))["stdout"]

    assert not [name for name in SECRETS if name in shown]
    assert "PATH=" in shown


async def test_variables_of_the_caller(sandbox):
    assert (await bash(sandbox, "echo $GREETING", env={"GREETING": "hi"}))["stdout"] == "hi\n"
    assert await bash(sandbox, "true", env={"A B": "x"}) == "bad_input"
    assert await bash(sandbox, "true", env={"A": 7}) == "bad_input"


async def test_a_flood_is_cut_at_the_front(sandbox):
    done = await bash(sandbox, "seq 1 200000")

    assert done["truncated"] is True
    assert len(done["stdout"]) <= 256 * 1024
    assert done["stdout"].endswith("\n200000\n")


async def test_characters_in_pieces_are_whole(sandbox):
    done = await bash(sandbox, r"printf '\xe2\x82'; sleep 0.1; printf '\xac \xff'")

    assert done["stdout"] == "€ �"


async def test_what_it_leaves_behind_ends_with_it(sandbox):
    done = await bash(sandbox, "sleep 600 & echo $!")

    await auntil(lambda: not is_alive(int(done["stdout"])), what="the left-over ended")


async def test_a_command_ends_when_nobody_waits_for_it(sandbox):
    body = {"command": "echo $$ > pid; sleep 600", "timeout": 100_000}
    asking = asyncio.create_task(sandbox.post("/bash", body))
    pid_file = sandbox.root / "repo" / "pid"
    pid = int(await auntil(lambda: pid_file.exists() and pid_file.read_text().strip()))

    asking.cancel()

    await auntil(lambda: not is_alive(pid), what="the command ended")


@pytest.mark.parametrize(
    "fields",
    [
        {"command": ""},
        {"command": "  "},
        {"command": "echo \0"},
        {"command": ["ls"]},
        {"command": "ls", "timeout": 0},
        {"command": "ls", "background": "yes"},
        {"command": "ls", "env": ["A"]},
        {},
    ],
)
async def test_refusals(sandbox, fields):
    reply = await sandbox.post("/bash", fields)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_input")


async def test_health_is_told_while_commands_run(sandbox):
    begun = [await bash(sandbox, "sleep 20", background=True) for _ in range(20)]

    assert (await sandbox.get("/health")).json()["status"] == "ready"

    assert (await sandbox.post("/tasks/kill-all", {})).json()["killed"] >= len(begun)
