"""Ctrl-C of ``make run`` while a real agent runs a command: nothing of it is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness import real
from tests.harness.cli import a_home, need
from tests.running import RunningMesh, say
from tests.standin import serving_in_thread
from tests.waiting import until

pytestmark = pytest.mark.real_cli


@pytest.fixture
def mesh(tmp_path):
    """A running Mesh, the test's own, whose machine has opencode."""
    folder = Path(need("opencode")).parent
    with serving_in_thread() as standin, a_home() as home:
        environ = real.opencode_env(home, standin.url)
        environ["PATH"] = f"{folder}:{os.environ['PATH']}"
        running = RunningMesh(tmp_path / "mesh", **environ)
        try:
            running.start().online()
            until(lambda: "acp:opencode" in capabilities(running), within=60, what="probed")
            yield running
        finally:
            running.close()


def capabilities(mesh):
    with mesh.client() as api:
        return api.get(f"{mesh.url}/api/links/me").json().get("capabilities", [])


def test_an_interrupt_ends_the_command_of_opencode(mesh, nap):
    with mesh.client() as api:
        thread = api.post("/threads", json={}).json()["id"]
        said = say(api, thread, f"bash: {nap}", harnessId="acp:opencode")
        assert said.status_code == 202, said.text
        until(lambda: real.running(nap), within=120, what="the command runs")

    mesh.interrupt()

    until(lambda: not real.running(nap), what="the command is gone")
