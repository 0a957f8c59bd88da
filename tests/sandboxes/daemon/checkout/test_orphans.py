"""A repository without a commit, with a git that makes a worktree of it."""

from __future__ import annotations

import os
import shutil

import pytest

from sandboxes.daemon.checkout import history
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.checkout.start_point import LACKS_CHANGES
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.repository.take_along import take_along
from sandboxes.daemon.spec import Spec
from tests.sandboxes.daemon.checkout.test_checkout import git
from tests.sandboxes.repositories.gits import all_gits

pytestmark = pytest.mark.programs

HANDLE = "main-0123456789abcdef"
NEWER = [each for each in all_gits() if each.version >= history.ORPHANS_SINCE]


@pytest.fixture(params=NEWER, ids=str)
def newer_git(request, monkeypatch):
    monkeypatch.setenv("PATH", f"{request.param.folder}:{os.environ['PATH']}")


@pytest.fixture
def unborn(tmp_path, newer_git):
    folder = tmp_path / "notes"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "plan.txt").write_text("mine")
    (folder / "staged.txt").write_text("mine")
    git(folder, "add", "staged.txt")
    return folder


@pytest.fixture
def root(tmp_path, unborn):
    folder = tmp_path / "root"
    folder.mkdir()
    prepare(Spec(HANDLE, folder=str(unborn)), folder / "repo", Git(), Notices(folder))
    return folder


def test_the_agent_works_in_a_worktree_without_a_commit_and_nothing_counts_as_its_own(root, unborn):
    repository = Repository(Tree(root / "repo"), root)

    assert git(root / "repo", "branch", "--show-current") == f"mesh/{HANDLE}"
    assert repository.facts().status.changes == ()
    assert git(unborn, "status", "--porcelain") == "A  staged.txt\n?? plan.txt"
    [notice] = Notices(root).pending
    assert (notice.code, "2 uncommitted changes" in notice.text) == (LACKS_CHANGES, True)


def test_the_person_s_files_can_be_taken_along(root, unborn):
    take_along(unborn, Tree(root / "repo"), root, Git())

    assert sorted(os.listdir(root / "repo")) == [".git", "plan.txt", "staged.txt"]


def test_the_folder_is_made_once(root, unborn):
    (root / "repo" / "work.txt").write_text("the agent's")

    again = prepare(Spec(HANDLE, folder=str(unborn)), root / "repo", Git(), Notices(root))

    assert again == root / "repo"
    assert (root / "repo" / "work.txt").read_text() == "the agent's"


def test_a_deleted_folder_comes_back(root, unborn):
    git(unborn, "worktree", "remove", "--force", str(root / "repo"))

    again = prepare(Spec(HANDLE, folder=str(unborn)), root / "repo", Git(), Notices(root))

    assert git(again, "branch", "--show-current") == f"mesh/{HANDLE}"


def test_a_folder_is_listed_again_after_the_person_s_git_forgot_it(root, unborn):
    (root / "repo" / "work.txt").write_text("the agent's")
    shutil.rmtree(unborn / ".git/worktrees")

    again = prepare(Spec(HANDLE, folder=str(unborn)), root / "repo", Git(), Notices(root))

    assert git(again, "status", "--porcelain") == "?? work.txt"
    assert git(again, "branch", "--show-current") == f"mesh/{HANDLE}"
