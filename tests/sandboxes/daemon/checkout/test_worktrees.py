"""Worktrees of a person's repository, with real git; the person's own folder stays as it is."""

from __future__ import annotations

import subprocess

import pytest

from mesh.git import own
from mesh.git.own import NotReadable
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import Spec
from tests.mesh.git.test_look import (
    BROKEN,
    bare,
    bare_hub,
    hub,
    hub_checkout,
    linked,
    new,
    separate,
    submodule,
)

pytestmark = pytest.mark.programs

HANDLE = "main-0123456789abcdef"


def git(folder, *args):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@mesh.example"]
    done = subprocess.run(
        ["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path):
    return new(tmp_path / "project")


@pytest.fixture
def repo(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root" / "repo"


@pytest.fixture
def notices(repo):
    return Notices(repo.parent)


@pytest.fixture
def prepared(repo, notices):
    """Return ``prepared(folder, branch)``: the working folder of a sandbox for that folder."""

    def make(folder, branch="work"):
        return prepare(Spec(HANDLE, folder=str(folder), branch=branch), repo, Git(), notices)

    return make


@pytest.mark.parametrize(("broken", "kind", "said"), BROKEN)
def test_no_chat_works_in_a_folder_whose_repository_git_cannot_read(
    prepared, repo, project, broken, kind, said
):
    broken(project)

    with pytest.raises(kind):
        prepared(project)

    assert not repo.exists()
    assert not own.is_known(repo.parent)


def test_a_record_that_cannot_be_read_does_not_mean_that_there_is_no_repository(
    prepared, repo, project
):
    prepared(project)
    (repo.parent / own.RECORD).write_text("{")

    assert prepared(project) == repo
    assert own.load(repo.parent).top == repo


@pytest.mark.parametrize(
    "make",
    [bare, linked, separate, submodule, hub, bare_hub, hub_checkout],
    ids=lambda make: make.__name__,
)
def test_every_layout_gets_a_worktree_of_its_own(prepared, repo, project, make):
    folder = make(project)

    assert prepared(folder) == repo
    assert git(repo, "branch", "--show-current") == "work"
    assert (repo / "sub/file").read_text() == "x"
    assert own.load(repo.parent).is_worktree_in(repo.parent)


def test_a_folder_in_a_git_directory_gets_none(prepared, project):
    with pytest.raises(NotReadable):
        prepared(project / ".git/hooks")
