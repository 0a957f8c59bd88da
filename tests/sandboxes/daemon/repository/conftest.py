from __future__ import annotations

import pytest

from tests.sandboxes.daemon.projects import config, repository
from tests.waiting import auntil


@pytest.fixture
async def sandbox(make_sandbox, tmp_path):
    """A sandbox with a clone of ``origin``, on a new branch."""
    sandbox = make_sandbox()
    url = repository(tmp_path / "origin", {"a.txt": "one\n", "b.txt": "two\n"})
    body = config(url, "feature")
    body["git"]["identity"] = {"userName": "Ada", "userEmail": "ada@mesh.example"}
    await sandbox.post("/config", body)
    await auntil(lambda: _ready(sandbox))
    return sandbox


async def _ready(sandbox):
    status = await sandbox.get("/git/status")
    return status.status_code == 200 and status.json()["branch"] == "feature"


@pytest.fixture
def repo(sandbox):
    return sandbox.root / "repo"
