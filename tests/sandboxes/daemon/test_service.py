"""The process as a whole: small, quick to start, gone when nobody needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandboxes.daemon import cli, service
from sandboxes.daemon.sandbox_folder import SandboxFolder
from tests.sandboxes.daemon.sandbox import ROOT_OF_THE_CODE
from tests.sandboxes.daemon.test_sandbox_folder import SECRETS, make_root
from tests.waiting import auntil

FORBIDDEN = (
    *("django", "rest_framework", "channels", "celery", "httpx", "pydantic", "links.daemon"),
    # Loaded where the folder has such a source.
    *("sandboxes.daemon.checkout.clones", "sandboxes.daemon.checkout.worktrees"),
)


@pytest.mark.programs
def test_it_imports_no_more_than_it_needs():
    code = "import sandboxes.daemon.service, agents.harness, sys; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT_OF_THE_CODE,
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = found.stdout.split()
    assert not [name for name in loaded if name.startswith(FORBIDDEN)]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
async def test_it_is_small_when_idle(sandbox):
    status = Path(f"/proc/{sandbox.process.pid}/status").read_text()

    assert int(status.split("VmRSS:")[1].split()[0]) < 45 * 1024


async def test_it_ends_when_nobody_asks(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "IDLE_FOR", 0.0)
    monkeypatch.setattr(service, "CHECK_EVERY", 0.01)
    root = make_root(tmp_path / "s")

    await service.serve(SandboxFolder.open(root, SECRETS), {})

    assert not (root / "pid").exists()
    assert not (root / "sandbox.sock").exists()


async def test_a_run_keeps_it_up(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "IDLE_FOR", 0.0)
    monkeypatch.setattr(service, "CHECK_EVERY", 60.0)
    monkeypatch.setattr(service.Runs, "is_idle", False)
    sandbox = service.Sandbox(SandboxFolder.open(make_root(tmp_path / "s"), SECRETS), {})
    await sandbox.start()
    monkeypatch.setattr(service, "IDLE_FOR", 1000.0)
    sandbox._last_request -= 2000
    sandbox._check()

    assert not sandbox.ended.is_set()

    monkeypatch.setattr(service.Runs, "is_idle", True)
    sandbox._last_request -= 2000
    sandbox._check()
    await auntil(sandbox.ended.is_set)
    await sandbox.stop()


def test_a_folder_that_is_none_is_told(tmp_path, capsys):
    assert cli.main(["--root", str(tmp_path)]) == 3
    assert "not_a_sandbox" in capsys.readouterr().err


def test_the_command_takes_the_same_argument(monkeypatch, tmp_path):
    from django.core.management import call_command

    seen = []
    monkeypatch.setattr(cli, "main", lambda argv: seen.append(argv) or 0)

    call_command("deco_sandbox", root=tmp_path)

    assert seen == [["--root", str(tmp_path)]]


@pytest.mark.programs
def test_the_command_passes_its_failure_on(monkeypatch, tmp_path):
    from django.core.management import call_command

    monkeypatch.setattr(cli, "main", lambda argv: 3)

    with pytest.raises(SystemExit) as ended:
        call_command("deco_sandbox", root=tmp_path)
    assert ended.value.code == 3
