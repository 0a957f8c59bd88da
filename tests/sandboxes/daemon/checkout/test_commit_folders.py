"""What a commit in a chat's folder may write, and what no agent decides about."""

from __future__ import annotations

import os

import pytest

from mesh.git import own
from sandboxes.daemon.checkout.commit_folders import commit_folders
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import parse_spec
from tests.sandboxes.daemon.projects import git, repository

pytestmark = pytest.mark.programs


@pytest.fixture
def project(tmp_path):
    repository(tmp_path / "project", {"a.txt": "one\n"})
    return tmp_path / "project"


@pytest.fixture
def chat(project, tmp_path):
    """Return ``chat(**spec)``: the folder of a sandbox, prepared."""
    root = tmp_path / "root"
    root.mkdir()

    def make(**spec):
        given = {"handle": "h-0123456789abcdef", "folder": str(project)} | spec
        prepare(parse_spec(given), root / "repo", Git(), Notices(root))
        return root

    return make


def names(folders, top):
    """Return the paths below ``top``, as they are seen from it."""
    below = [path for path in folders if path.startswith(f"{top}/")]
    assert len(below) == len(folders)
    return {os.path.relpath(path, top) for path in below}


def test_a_worktree_writes_its_own_folder_and_what_it_shares_beside_its_branch(chat, project):
    found = commit_folders(chat())

    assert names(found.writable, project / ".git") == {
        "worktrees/repo",
        "objects",
        "refs/heads/mesh",
        "logs/refs/heads/mesh",
    }
    assert names(found.protected, project / ".git") >= {
        "worktrees/repo/mesh",
        "worktrees/repo/commondir",
        "worktrees/repo/config.worktree",
        "objects/info",
    }


def test_a_branch_in_no_folder_shares_the_folder_of_all(chat, project):
    found = commit_folders(chat(branch="feature"))

    assert "refs/heads" in names(found.writable, project / ".git")


@pytest.mark.parametrize("head", ["ref: refs/heads/../../hooks/x", "ref: refs/heads//x", "", "\0"])
def test_a_head_that_an_agent_has_written_opens_no_other_folder(chat, project, head):
    root = chat()
    (project / ".git/worktrees/repo/HEAD").write_text(head)

    found = commit_folders(root)

    allowed = {"worktrees/repo", "objects", "refs/heads", "logs/refs/heads"}
    assert names(found.writable, project / ".git") == allowed


def test_nor_does_a_link_that_one_has_made(chat, project, tmp_path):
    root = chat(branch="feature")
    (project / ".git/refs/heads/out").symlink_to(tmp_path)
    (project / ".git/worktrees/repo/HEAD").write_text("ref: refs/heads/out/x\n")

    found = commit_folders(root)

    assert "refs/heads/out" not in names(found.writable, project / ".git")


def test_without_a_repository_nothing_is_written(tmp_path):
    own.save(tmp_path, None)

    assert commit_folders(tmp_path) is None


def test_nor_in_the_persons_own_checkout(project, tmp_path):
    own.save(tmp_path, own.find(project))

    assert commit_folders(tmp_path) is None


def test_after_the_repository_is_gone_nothing_is_written(chat, project, tmp_path):
    root = chat()
    git(project, "status")
    (project / ".git").rename(tmp_path / "elsewhere")

    assert commit_folders(root) is None
