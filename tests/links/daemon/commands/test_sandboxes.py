"""deco_link sandboxes: real processes of the echo sandbox, with no link running."""

import asyncio

import pytest

from links.daemon import cli, sandbox_list
from links.daemon.spec import SandboxSpec
from tests.links.daemon.conftest import is_running


@pytest.fixture
def one(supervise, tmp_path, monkeypatch):
    """A supervisor, and the sandbox that ``started`` starts with it."""
    supervisor = supervise()
    monkeypatch.setenv("MESH_HOME", str(tmp_path))
    spec = SandboxSpec(handle="one", repo={"cloneUrl": "https://git.example/a"}, branch="main")
    return supervisor, spec


async def started(one):
    supervisor, spec = one
    return (await supervisor.ensure(spec)).pid


def run(*words):
    return asyncio.to_thread(cli.main, ["sandboxes", *words])


async def test_they_are_listed(one, capsys):
    pid = await started(one)

    assert await run() == 0

    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["SANDBOX", "STATE", "PID", "RUNS", "CREATED", "FOR"]
    assert row.split() == ["one", "ready", str(pid), "https://git.example/a", "main"]


async def test_one_is_stopped_and_stays_listed(one, capsys, tmp_path):
    pid = await started(one)

    assert await run("stop", "one") == 0

    assert not is_running(pid)
    (room,) = await sandbox_list.list_sandboxes(tmp_path / "sandboxes")
    assert (room.state, room.pid) == ("stopped", 0)


async def test_all_are_stopped(one):
    pid = await started(one)

    assert await run("stop", "--all") == 0

    assert not is_running(pid)


async def test_one_at_work_is_refused_unless_forced(one, fault, capsys):
    fault("busy")
    pid = await started(one)

    assert await run("stop", "one") == 1
    assert is_running(pid)
    assert "--force" in capsys.readouterr().err

    assert await run("stop", "one", "--force") == 0
    assert not is_running(pid)


async def test_one_is_removed_and_restored(one, capsys, tmp_path):
    pid = await started(one)
    repo = tmp_path / "sandboxes/one/repo"
    repo.mkdir()
    (repo / "notes.txt").write_text("work")

    assert await run("remove", "one") == 1
    assert "files outside any repository" in capsys.readouterr().err
    assert await run("remove", "one", "--force") == 0
    assert not is_running(pid)
    assert not repo.exists()

    assert await run("restore", "one") == 0
    assert (repo / "notes.txt").read_text() == "work"


@pytest.mark.parametrize("handle", ["two", "../x", "A"])
@pytest.mark.parametrize("command", ["remove", "restore"])
async def test_what_is_none_is_neither_removed_nor_restored(one, command, handle, capsys):
    assert await run(command, handle) == 1
    assert f"{handle}: " in capsys.readouterr().err


async def test_a_sandbox_that_does_not_run_is_shown_as_such(one, capsys):
    assert await run("stop", "two") == 1
    assert "two: it is not running." in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["one", "--all"]], ids=["nothing", "both"])
async def test_wrong_use(one, words):
    with pytest.raises(SystemExit) as stopped:
        await run("stop", *words)

    assert stopped.value.code == 2
