"""Readers get changed files, no matter which program changed them."""

from __future__ import annotations

import contextlib
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mesh.git import own
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.repository import watch
from sandboxes.daemon.repository.watch import survey
from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import git
from tests.waiting import auntil

pytestmark = pytest.mark.programs


def changed(told):
    return {data["path"] for data in told.of("file-changed")}


@asynccontextmanager
async def watching(sandbox, repo):
    """``async with watching(…) as told``: the files are watched from here on."""
    async with looking_on(sandbox) as told:

        async def is_heard():
            (repo / "a.txt").write_text(f"{len(told.events)}\n")
            return "a.txt" in changed(told)

        await auntil(is_heard)
        yield told


async def test_a_change_by_anybody_is_heard_of(sandbox, repo):
    async with watching(sandbox, repo) as told:
        (repo / "b.txt").write_text("by a person's editor")
        await auntil(lambda: "b.txt" in changed(told))
        await sandbox.post("/bash", {"command": "echo x > by-a-command.txt; rm b.txt"})
        await auntil(lambda: "by-a-command.txt" in changed(told))


async def test_files_in_new_folders_are_heard_of(sandbox, repo):
    async with watching(sandbox, repo) as told:
        await sandbox.post("/bash", {"command": "mkdir -p deep/er && echo x > deep/er/new.txt"})
        await auntil(lambda: "deep/er/new.txt" in changed(told))
        (repo / "deep/er/later.txt").write_text("x")
        await auntil(lambda: "deep/er/later.txt" in changed(told))


async def test_a_folder_that_was_deleted_and_made_again_is_heard_of(sandbox, repo):
    async with watching(sandbox, repo) as told:
        shutil.rmtree(repo)
        await sandbox.run("r1", ["where"])

        async def is_heard():
            (repo / "after.txt").write_text(f"{len(told.events)}\n")
            return "after.txt" in changed(told)

        await auntil(is_heard)


async def test_another_branch_is_told_with_its_files(sandbox, repo):
    git(repo, "checkout", "-qb", "other")
    (repo / "b.txt").write_text("of the other branch\n")
    git(repo, "commit", "-qam", "other")
    git(repo, "checkout", "-q", "feature")

    async with watching(sandbox, repo) as told:
        git(repo, "checkout", "-q", "-f", "other")
        await auntil(lambda: "b.txt" in changed(told))
        await auntil(lambda: told.of("branch")[-1]["meta"]["branch"] == "other")


async def test_what_git_ignores_is_not_told(sandbox, repo):
    for name in ("node_modules/x", ".venv", "made"):
        (repo / name).mkdir(parents=True)
    (repo / ".gitignore").write_text("node_modules\n.venv\nmade\n*.log\n")

    async with watching(sandbox, repo) as told:
        for name in ("node_modules/x/a.js", ".venv/a.py", "made/a.js", "a.log", "last.txt"):
            (repo / name).write_text("x")
        await auntil(lambda: "last.txt" in changed(told))

    assert changed(told) <= {"a.txt", "last.txt", ".gitignore"}


async def test_what_a_tool_has_told_is_not_told_again(sandbox, repo):
    async with watching(sandbox, repo) as told:
        await sandbox.post("/write", {"path": "./b.txt", "content": "by a tool"})
        (repo / "last.txt").write_text("x")
        await auntil(lambda: "last.txt" in changed(told))

    assert changed(told) == {"a.txt", "./b.txt", "last.txt"}


def open_files(pid):
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            yield os.readlink(fd)


async def test_nobody_watches_when_nobody_looks_on(sandbox, repo):
    def is_watching():
        return any("inotify" in name for name in open_files(sandbox.process.pid))

    async with watching(sandbox, repo):
        assert is_watching()
    await auntil(lambda: not is_watching())


@pytest.mark.parametrize("is_repository", [True, False])
def test_only_so_many_folders_are_watched(tmp_path, monkeypatch, is_repository):
    monkeypatch.setattr(watch, "MOST_FOLDERS", 3)
    repo = tmp_path / "repo"
    for number in range(9):
        (repo / f"f{number}/deep").mkdir(parents=True)
        (repo / f"f{number}/deep/file").touch()
    if is_repository:
        git(repo, "init", "-q")
        own.save(tmp_path, own.find(repo))

    scene = survey(Tree(repo), tmp_path)

    assert (len(scene.folders), scene.folders[0]) == (3, repo)
    assert scene.git == (repo / ".git" if is_repository else None)


@pytest.mark.parametrize("folder", ["node_modules", ".venv", "dist"])
def test_folders_that_programs_make_are_not_watched(tmp_path, folder):
    repo = tmp_path / "repo"
    (repo / folder / "deep").mkdir(parents=True)
    git(repo, "init", "-q")
    own.save(tmp_path, own.find(repo))
    (repo / folder / "deep" / "file").write_text("tracked, even")
    git(repo, "add", "-f", ".")

    assert survey(Tree(repo), tmp_path).folders == (repo,)
