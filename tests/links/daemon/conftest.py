"""Supervisors whose sandbox is the echo program; everything they started is ended."""

import os
import sys
from pathlib import Path

import pytest

from links.daemon.sandbox_process import read_pid_file
from links.daemon.supervisor import Supervisor
from mesh import processes

ECHO = (sys.executable, str(Path(__file__).parents[1] / "echo_sandbox.py"))


@pytest.fixture
def fault(monkeypatch):
    """Return ``fault(name)``: sandboxes started from now on have that fault."""
    return lambda name: monkeypatch.setenv("ECHO_SANDBOX", name)


@pytest.fixture
async def supervise(tmp_path, monkeypatch):
    """Return ``supervise(**how)``: a supervisor of this test's sandboxes, as a link start makes."""
    home = tmp_path / "sandboxes"
    home.mkdir()
    monkeypatch.delenv("MESH_HOME", raising=False)

    def make(**how):
        return Supervisor(home, command=ECHO, **how)

    yield make
    for root in home.iterdir():
        found = read_pid_file(root)
        if found is not None:
            await processes.end_group_of(found.pid, found.started, grace=0)


@pytest.fixture
def supervisor(supervise):
    return supervise()


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return bool(processes.started_at(pid))
