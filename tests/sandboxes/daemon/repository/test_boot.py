"""Files that installing and starting have changed, with real git and a real server."""

from __future__ import annotations

import json

import pytest

from links.daemon.sandbox_folders import unsaved
from sandboxes.daemon.repository import boot
from sandboxes.daemon.repository.boot import Boot
from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import SERVER_PY, config, git, repository
from tests.waiting import auntil

pytestmark = pytest.mark.programs

START = "date >> app.lock; mkdir -p gen; echo made > gen/types.ts; exec python3 server.py"
FILES = {
    "mesh.toml": f"dev = {json.dumps(['sh', '-c', START])}",
    "server.py": SERVER_PY,
    "app.lock": "",
    "work.txt": "",
}
MADE = ["app.lock", "gen/types.ts"]


@pytest.fixture
def sandbox(make_sandbox, tmp_path):
    return make_sandbox(env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})


async def status(sandbox):
    return (await sandbox.get("/git/status")).json()


async def test_what_the_start_changes_is_nobody_s_work(sandbox, tmp_path):
    url = repository(tmp_path / "origin", FILES)
    repo = sandbox.root / "repo"
    body = config(url, "feature")
    body["git"]["identity"] = {"userName": "Ada", "userEmail": "ada@mesh.example"}

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", body)
        await told.phase("running")
        await auntil(lambda: (sandbox.root / "boot.json").exists())
        clean = await status(sandbox)
        await auntil(lambda: not told.of("branch")[-1]["meta"].get("workingTreeDirty", True))

    assert (clean["files"], clean["changedByStart"]) == ([], MADE)
    assert await unsaved(sandbox.root) == []

    (repo / "work.txt").write_text("work\n")
    (repo / "gen/types.ts").write_text("changed by hand\n")
    assert [file["path"] for file in (await status(sandbox))["files"]] == ["work.txt", MADE[1]]
    assert await unsaved(sandbox.root) == ["uncommitted_changes"]
    assert "app.lock" not in (await sandbox.get("/git/diff")).json()["diff"]

    published = (await sandbox.post("/git/publish", {"message": "Work"})).json()
    assert (published["ok"], published["workingTreeDirty"]) == (True, False)
    assert git(repo, "show", "--format=", "--name-only", "HEAD").split() == [MADE[1], "work.txt"]
    assert git(repo, "status", "--porcelain") == "M app.lock"


async def test_a_second_start_s_changes_are_its_own_again(sandbox, tmp_path):
    """Also if another process of the sandbox has started since."""
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(repository(tmp_path / "origin", FILES)))
        await told.phase("running")
        await auntil(lambda: (sandbox.root / "boot.json").exists())
    before = (sandbox.root / "boot.json").read_text()
    (sandbox.root / "repo/app.lock").write_text("as some later version\n")
    (sandbox.root / "boot.json").write_text(before)
    sandbox.stop()
    sandbox.start()

    async with looking_on(sandbox) as told:
        await told.phase("running")
        await auntil(lambda: (sandbox.root / "boot.json").read_text() != before)
    assert [file["path"] for file in (await status(sandbox))["files"]] == ["app.lock"]


class Asked:
    """Stands in a repository's place: it tells what it was asked for."""

    def __init__(self):
        self.notes = []

    async def ask(self, call):
        if hasattr(call, "keywords"):
            self.notes.append(call.keywords["before"])
        return frozenset({"mine"})


@pytest.mark.parametrize(
    ("meanwhile", "noted"),
    [
        pytest.param(lambda starting, runs: None, [{"mine"}], id="nobody is at work"),
        pytest.param(lambda starting, runs: starting.disturb(), [], id="a tool or a command"),
        pytest.param(lambda starting, runs: starting.abandon(), [], id="the start has failed"),
        pytest.param(lambda starting, runs: runs.append((1, 1)), [], id="an agent works"),
        pytest.param(lambda starting, runs: runs.append((0, 1)), [], id="an agent has worked"),
    ],
)
async def test_who_else_is_at_work_keeps_the_changes(monkeypatch, meanwhile, noted):
    monkeypatch.setattr(boot, "SETTLES_AFTER", 0)
    asked, runs = Asked(), [(0, 0)]
    starting = Boot(asked.ask, lambda: runs[-1])
    await starting.begin()
    meanwhile(starting, runs)

    await starting.note()

    assert asked.notes == noted
