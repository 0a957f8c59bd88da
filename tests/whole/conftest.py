"""One running Mesh for all tests of this folder that don't break it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running import RunningMesh


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.whole)


@pytest.fixture(scope="session")
def mesh(tmp_path_factory):
    """A running Mesh whose link is online; nobody may kill it."""
    running = RunningMesh(tmp_path_factory.mktemp("mesh") / "home")
    try:
        running.start().online()
        yield running
    finally:
        running.close()


@pytest.fixture
def api(mesh):
    """A program's client of the running Mesh."""
    with mesh.client() as client:
        yield client


@pytest.fixture
def thread(api):
    """The id of a new thread."""
    return api.post("/threads", json={}).json()["id"]
