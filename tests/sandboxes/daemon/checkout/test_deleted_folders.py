"""Runs of a sandbox whose working folder somebody deleted: made again, and said so."""

from __future__ import annotations

import shutil

import pytest

from links.daemon.removed_folders import RemovedFolders
from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import config, git, python_project, repository
from tests.sandboxes.daemon.sandbox import chunks_of, text_of
from tests.sandboxes.daemon.setup.test_setup import PATH
from tests.waiting import auntil

pytestmark = pytest.mark.programs

FILES = {"a.txt": "one\n"}


def notices_in(events):
    return [c["data"]["code"] for c in chunks_of(events) if c["type"] == "data-notice"]


async def is_shown(sandbox):
    page = await sandbox.client.get("/preview/", headers={"accept": "text/html"})
    return "hello from python" in page.text


@pytest.fixture
def project(tmp_path):
    repository(tmp_path / "project", FILES)
    return tmp_path / "project"


@pytest.fixture
def sandbox(make_sandbox, project):
    return make_sandbox(spec={"folder": str(project), "branch": "work"})


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
async def test_the_next_run_works_in_a_folder_that_is_there(sandbox, is_running):
    await sandbox.run("r1", ["where"])
    repo = sandbox.root / "repo"
    if not is_running:
        sandbox.stop()
    shutil.rmtree(repo)
    if not is_running:
        sandbox.start()

    events = await sandbox.run("r2", ["where"])

    assert text_of(events) == str(repo)
    assert (repo / "a.txt").read_text() == "one\n"
    assert notices_in(events) == ["folder_remade"]
    assert notices_in(await sandbox.run("r3", ["where"])) == []


async def test_a_removed_sandbox_continues_where_it_was(sandbox):
    await sandbox.run("r1", ["where"])
    (sandbox.root / "repo/new.txt").write_text("work")
    sandbox.stop()
    removed = RemovedFolders(sandbox.root.parent)
    removed.put_aside(sandbox.root.name)
    removed.bring_back(sandbox.root.name, is_told=True)
    sandbox.start()

    events = await sandbox.run("r2", ["where"])

    assert notices_in(events) == ["restored"]
    assert git(sandbox.root / "repo", "status", "--porcelain") == "?? new.txt"
    sandbox.stop()
    sandbox.start()
    assert notices_in(await sandbox.run("r3", ["where"])) == []


async def test_so_does_a_run_after_the_person_s_git_pruned_the_entry(sandbox, project):
    await sandbox.run("r1", ["where"])
    shutil.rmtree(project / ".git/worktrees")

    events = await sandbox.run("r2", ["where"])

    assert notices_in(events) == ["folder_remade"]
    assert git(sandbox.root / "repo", "branch", "--show-current") == "work"


async def test_a_scratch_folder_is_made_again(make_sandbox):
    sandbox = make_sandbox()
    await sandbox.run("r1", ["where"])
    shutil.rmtree(sandbox.root / "repo")

    events = await sandbox.run("r2", ["where"])

    assert text_of(events) == str(sandbox.root / "repo")
    assert notices_in(events) == ["folder_remade"]


async def test_a_run_fails_while_the_person_s_repository_is_away(sandbox, project):
    await sandbox.run("r1", ["where"])
    project.rename(project.with_name("away"))

    events = await sandbox.run("r2", ["where"])

    assert "folder_missing" in [body.get("code") for _, body in events]
    project.with_name("away").rename(project)
    events = await sandbox.run("r3", ["where"])
    assert text_of(events) == str(sandbox.root / "repo")
    assert notices_in(events) == []


async def test_a_clone_is_cloned_again_and_the_project_installed_and_started(
    make_sandbox, tmp_path
):
    sandbox = make_sandbox(env=PATH)
    url = repository(tmp_path / "origin", python_project())
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")
    shutil.rmtree(sandbox.root / "repo")

    events = await sandbox.run("r1", ["where"])

    assert notices_in(events) == ["folder_remade"]
    await auntil(lambda: (sandbox.root / "repo/.venv/bin/python").exists())
    await auntil(lambda: is_shown(sandbox))
