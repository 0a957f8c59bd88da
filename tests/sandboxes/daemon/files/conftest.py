from __future__ import annotations

import json
import shutil

import pytest

from tests.waiting import until


@pytest.fixture
def sandbox(shared_sandbox):
    """A sandbox that other tests use too, with an empty working folder."""
    repo = shared_sandbox.root / "repo"
    until(repo.exists, what="the working folder is made")
    for entry in repo.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    return shared_sandbox.share("")


@pytest.fixture
def repo(sandbox):
    return sandbox.root / "repo"


@pytest.fixture
def secret(sandbox):
    """A file beside the working folder, which no tool may reach."""
    path = sandbox.root / "secret.txt"
    path.write_text("top secret")
    return path


@pytest.fixture
def call(sandbox):
    """Return ``call(tool, **fields)``: the answer, or (status, code) of a refusal."""

    async def call(tool, **fields):
        reply = await sandbox.client.post(f"/{tool}", content=json.dumps(fields))
        if reply.status_code == 200:
            return reply.json()
        error = reply.json()["error"]
        assert error["message"]
        assert error["hint"]
        return reply.status_code, error["code"]

    return call
