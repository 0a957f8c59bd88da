"""R7 of the lessons: one lock per handle, cap, adoption, escalation."""

import asyncio
import itertools
import json
import os
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from links.daemon import sandbox_process
from links.daemon import supervisor as module
from links.daemon.errors import (
    SandboxBusy,
    SandboxDown,
    SandboxFailed,
    TooManySandboxes,
    UnknownHandle,
)
from links.daemon.spec import SandboxSpec
from mesh import processes
from mesh.lib.patience import Patience
from tests.links.daemon.conftest import is_running
from tests.waiting import auntil

pytestmark = pytest.mark.programs

KEY = "ab" * 32


async def test_a_sandbox_is_started_and_healthy(supervisor, tmp_path):
    sandbox = await supervisor.ensure(SandboxSpec("h", branch="work"))

    assert (await supervisor.health(sandbox))["status"] == "ready"
    root = tmp_path / "sandboxes" / "h"
    assert json.loads((root / "spec.json").read_text()) == {"handle": "h", "branch": "work"}
    assert {path.name for path in root.iterdir()} == {"pid", "sandbox.log", "spec.json"}
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


async def test_it_leads_a_group_of_its_own(supervisor):
    import os

    sandbox = await supervisor.ensure(SandboxSpec("h"))

    assert os.getpgid(sandbox.pid) == sandbox.pid != os.getpgid(0)


async def test_ensuring_twice_starts_once(supervisor):
    """D-PV1."""
    first, second = await asyncio.gather(
        supervisor.ensure(SandboxSpec("h")), supervisor.ensure(SandboxSpec("h"))
    )

    assert first is second


async def test_the_next_link_adopts_it(supervise):
    sandbox = await supervise().ensure(SandboxSpec("h"))
    later = supervise()
    later.reconcile()

    assert later.listing() == [{"handle": "h", "state": "ready", "pid": sandbox.pid}]
    assert (await later.ensure(SandboxSpec("h"))).pid == sandbox.pid


async def test_a_sandbox_of_another_environment_is_started_again(supervise):
    first = await supervise(environment=lambda: "node 22").ensure(SandboxSpec("h"))
    same = await supervise(environment=lambda: "node 22").ensure(SandboxSpec("h"))
    other = await supervise(environment=lambda: "node 24").ensure(SandboxSpec("h"))
    terminal = await supervise().ensure(SandboxSpec("h"))

    assert first.pid == same.pid != other.pid == terminal.pid


async def test_an_agent_at_work_keeps_its_environment(supervise, fault):
    fault("busy")
    first = await supervise(environment=lambda: "node 22").ensure(SandboxSpec("h"))

    other = await supervise(environment=lambda: "node 24").ensure(SandboxSpec("h"))

    assert first.pid == other.pid


@pytest.mark.parametrize("name", ["pid", "token"])
async def test_a_pipe_in_the_place_of_a_file_does_not_stop_the_link(supervise, tmp_path, name):
    """An agent may write there; who opened the pipe and waited would serve no sandbox any more."""
    await supervise().ensure(SandboxSpec("h"))
    path = tmp_path / "sandboxes" / "h" / name
    kept = path.read_text() if path.exists() else ""  # only older sandboxes have a token
    path.unlink(missing_ok=True)
    os.mkfifo(path)

    with fed(path, kept):
        later = supervise()
        later.reconcile()

    assert later.listing() == []
    path.unlink()
    path.write_text(kept)  # for the test's end, which looks there


@contextmanager
def fed(path, text):
    """Write ``text`` to whoever waits at the pipe, after a while: a link that hangs goes on."""
    timer = threading.Timer(2, path.write_text, [text])
    timer.start()
    yield
    timer.cancel()


async def test_a_pid_file_of_another_process_is_not_believed(supervise, tmp_path):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    root = tmp_path / "sandboxes" / "h"
    sandbox_process.prepare(root, SandboxSpec("h"))
    told = {"pid": stranger.pid, "started": "1", "socket": "/nowhere"}
    (root / "pid").write_text(json.dumps(told))
    try:
        supervisor = supervise()
        supervisor.reconcile()

        assert supervisor.listing() == []
        assert (await supervisor.ensure(SandboxSpec("h"))).pid != stranger.pid
        await supervisor.delete("h", force=True)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}'])
async def test_a_broken_pid_file_is_no_sandbox(supervise, tmp_path, text):
    root = tmp_path / "sandboxes" / "h"
    sandbox_process.prepare(root, SandboxSpec("h"))
    (root / "pid").write_text(text)

    supervise().reconcile()
    with pytest.raises(SandboxDown):
        supervise().find("h")


async def test_one_that_died_is_down_and_is_started_again(supervisor):
    """D-PV2, D-PV4."""
    sandbox = await supervisor.ensure(SandboxSpec("h"))
    await processes.end_group_of(sandbox.pid, sandbox.started, grace=5)

    with pytest.raises(SandboxDown):
        supervisor.find("h")
    assert (await supervisor.ensure(SandboxSpec("h"))).pid != sandbox.pid


async def test_one_that_never_was_is_unknown(supervisor):
    with pytest.raises(UnknownHandle):
        supervisor.find("h")


async def test_one_that_dies_at_its_start_tells_why(supervisor, fault):
    """D-PV5."""
    fault("dies")

    with pytest.raises(SandboxFailed) as failed:
        await supervisor.ensure(SandboxSpec("h"))
    assert "was told to die" in failed.value.body()["error"]["logTail"]


async def test_one_that_never_listens_is_ended(supervise, fault, monkeypatch):
    fault("silent")
    started = []
    spawn = sandbox_process.spawn
    monkeypatch.setattr(
        sandbox_process,
        "spawn",
        lambda *given, **how: started.append(spawn(*given, **how)) or started[-1],
    )

    with pytest.raises(SandboxFailed):
        await supervise(healthy_within=0.2).ensure(SandboxSpec("h"))
    assert not is_running(started[0].pid)


async def test_a_link_that_was_frozen_does_not_blame_the_sandbox(supervise, monkeypatch):
    looks = itertools.count()
    # Between any two looks, the link stood still for a quarter of an hour.
    frozen = partial(Patience, clock=lambda: 1000.0 * next(looks))
    monkeypatch.setattr(module, "Patience", frozen)
    sandbox = await supervise(healthy_within=2000).ensure(SandboxSpec("h"))

    assert sandbox.is_alive


async def test_a_failed_start_can_be_tried_again(supervisor, fault):
    fault("dies")
    with pytest.raises(SandboxFailed):
        await supervisor.ensure(SandboxSpec("h"))
    fault("")

    assert await supervisor.ensure(SandboxSpec("h"))


async def test_deleting_ends_the_process_and_keeps_the_folder(supervisor, tmp_path):
    sandbox = await supervisor.ensure(SandboxSpec("h"))
    await supervisor.delete("h", force=False)
    await supervisor.delete("h", force=False)

    assert not is_running(sandbox.pid)
    assert (tmp_path / "sandboxes" / "h" / "spec.json").is_file()
    assert supervisor.listing() == []


async def test_one_that_ignores_sigterm_is_deleted_too(supervise, fault):
    supervisor = supervise(term_wait=0.2)
    fault("stubborn")
    sandbox = await supervisor.ensure(SandboxSpec("h"))

    await supervisor.delete("h", force=False)

    assert not is_running(sandbox.pid)


async def test_one_at_work_is_not_deleted_unless_forced(supervisor, fault):
    fault("busy")
    sandbox = await supervisor.ensure(SandboxSpec("h"))

    with pytest.raises(SandboxBusy):
        await supervisor.delete("h", force=False)
    assert is_running(sandbox.pid)

    await supervisor.delete("h", force=True)
    assert not is_running(sandbox.pid)


async def test_at_the_limit_the_idle_one_used_least_recently_goes(supervise):
    """D-PV3."""
    supervisor = supervise(limit=2)
    first, second = (
        await supervisor.ensure(SandboxSpec("a")),
        await supervisor.ensure(SandboxSpec("b")),
    )
    supervisor.find("a")

    await supervisor.ensure(SandboxSpec("c"))

    assert is_running(first.pid)
    assert not is_running(second.pid)


async def test_at_the_limit_idle_ones_go_before_one_in_which_a_command_runs(supervise, fault):
    supervisor = supervise(limit=2)
    fault("serving")
    first = await supervisor.ensure(SandboxSpec("a"))
    fault("")
    second = await supervisor.ensure(SandboxSpec("b"))

    third = await supervisor.ensure(SandboxSpec("c"))
    assert (is_running(first.pid), is_running(second.pid)) == (True, False)

    fault("busy")
    supervisor.find("c")
    await supervisor.delete("c", force=True)
    await supervisor.ensure(SandboxSpec("d"))
    await supervisor.ensure(SandboxSpec("e"))
    assert (is_running(first.pid), is_running(third.pid)) == (False, False)


async def test_twenty_one_at_once(supervise):
    supervisor = supervise()

    made = await asyncio.gather(*(supervisor.ensure(SandboxSpec(f"s{n}")) for n in range(21)))

    assert sum(is_running(sandbox.pid) for sandbox in made) == 20
    assert len(supervisor.listing()) == 20


async def test_one_that_starts_is_counted_once(supervise, monkeypatch):
    supervisor = supervise(limit=2)
    first = await supervisor.ensure(SandboxSpec("a"))
    monkeypatch.setattr(supervisor, "_starting", {"a"})  # seen alive before it was healthy

    await supervisor.ensure(SandboxSpec("b"))

    assert is_running(first.pid)


async def test_deleting_while_it_starts_leaves_nothing_behind(supervisor):
    starting = asyncio.create_task(supervisor.ensure(SandboxSpec("h")))
    await auntil(supervisor.listing)

    await supervisor.delete("h", force=False)
    sandbox = await starting

    assert not is_running(sandbox.pid)
    assert supervisor.listing() == []


async def test_one_whose_start_is_cancelled_is_ended_as_soon_as_it_is_there(
    supervisor, monkeypatch
):
    """As when the link ends just then: the OS thread that starts it does not stop."""
    begun, may_go, children = threading.Event(), threading.Event(), []
    spawn = sandbox_process.spawn

    def slowly(*args, **options):
        begun.set()
        may_go.wait()
        children.append(spawn(*args, **options))
        return children[0]

    monkeypatch.setattr(sandbox_process, "spawn", slowly)
    starting = asyncio.create_task(supervisor.ensure(SandboxSpec("h")))
    await auntil(begun.is_set)
    starting.cancel()
    await asyncio.sleep(0)  # it has been told
    may_go.set()

    with pytest.raises(asyncio.CancelledError):
        await starting

    await auntil(lambda: children and not is_running(children[0].pid))
    assert supervisor.listing() == []


async def test_the_server_s_key_goes_through_the_pipe_alone(supervise):
    sandbox = await supervise(server_key=lambda: KEY).ensure(SandboxSpec("h"))

    process = Path(f"/proc/{sandbox.pid}")
    assert KEY not in (process / "environ").read_text() + (process / "cmdline").read_text()
    assert await told_by(sandbox) == KEY


async def test_one_that_was_given_another_key_is_started_anew(supervise):
    first = await supervise(server_key=lambda: "cd" * 32).ensure(SandboxSpec("h"))
    supervisor = supervise(server_key=lambda: KEY)  # of a link that has started since

    second = await supervisor.ensure(SandboxSpec("h"))

    assert await told_by(second) == KEY
    assert not is_running(first.pid)


async def test_an_older_version_s_is_gone_on_with_while_it_works(supervisor, tmp_path, fault):
    fault("busy")
    older = await supervisor.ensure(SandboxSpec("h"))
    (tmp_path / "sandboxes/h/token").write_text("of an older version")
    supervisor._sandboxes.clear()

    assert (await supervisor.ensure(SandboxSpec("h"))).pid == older.pid


async def test_an_older_version_s_is_replaced_when_nothing_works_in_it(supervisor, tmp_path):
    older = await supervisor.ensure(SandboxSpec("h"))
    (tmp_path / "sandboxes/h/token").write_text("of an older version")
    supervisor._sandboxes.clear()

    assert (await supervisor.ensure(SandboxSpec("h"))).pid != older.pid
    assert not (tmp_path / "sandboxes/h/token").exists()


async def told_by(sandbox):
    answer = await sandbox.pool.request("GET", "/_sandbox/health", headers=[], body=b"")
    return json.loads(await answer.body())["serverKey"]


async def test_at_the_limit_nothing_that_works_is_ended(supervise, fault):
    supervisor = supervise(limit=1)
    fault("busy")
    sandbox = await supervisor.ensure(SandboxSpec("a"))

    with pytest.raises(TooManySandboxes):
        await supervisor.ensure(SandboxSpec("b"))
    assert is_running(sandbox.pid)


async def test_one_that_starts_counts_as_present(supervisor, fault):
    fault("silent")
    ensuring = asyncio.create_task(supervisor.ensure(SandboxSpec("h")))

    listing = await auntil(supervisor.listing)

    assert listing == [{"handle": "h", "state": "starting", "pid": None}]
    ensuring.cancel()
    await asyncio.gather(ensuring, return_exceptions=True)
    assert supervisor.listing() == []


def test_the_environment_has_nothing_of_ours():
    given = {
        "PATH": "/bin",
        "HTTPS_PROXY": "p",
        "ANTHROPIC_API_KEY": "k",
        "MESH_SECRET_KEY": "s",
        "MESH_HOME": "h",
        "DATABASE_URL": "d",
        "DATABASE_URL_FILE": "d",
        "REDIS_URL": "r",
        "DJANGO_SETTINGS_MODULE": "m",
        "DECO_TUNNEL_SERVER_TOKEN": "t",
        "PYTHONPATH": "theirs",
    }

    kept = sandbox_process.environment(given)

    assert set(kept) == {"PATH", "HTTPS_PROXY", "ANTHROPIC_API_KEY", "PYTHONPATH"}
    assert kept["PYTHONPATH"] == "theirs"
    assert sandbox_process.sandbox_environment(given)["PYTHONPATH"] != "theirs"
