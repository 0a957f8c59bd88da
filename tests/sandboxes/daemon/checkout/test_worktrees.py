"""Worktrees of a person's repository, with real git; the person's own folder stays as it is."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mesh.git import own
from mesh.git.errors import NoSpace
from mesh.git.own import ForeignGit, NotReadable
from sandboxes.daemon.checkout.entries import BranchBusy
from sandboxes.daemon.checkout.kept_choices import ChoiceNeeded
from sandboxes.daemon.checkout.sources import is_whole, prepare
from sandboxes.daemon.checkout.worktrees import FolderMissing, NothingToStartFrom
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


def empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def tree_of(folder):
    """Return every path below the folder, with the bytes of files."""
    paths = sorted(folder.rglob("*"))
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in paths}


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


def test_the_branch_of_a_bare_hub_s_own_head_is_free(prepared, repo, project):
    folder = hub(project)
    git(folder, "config", "extensions.worktreeConfig", "true")
    git(folder, "config", "--worktree", "core.bare", "true")
    git(folder, "config", "--unset", "core.bare")
    git(folder, "worktree", "add", "-q", "other", "-b", "other")

    prepared(folder / "other", "main")

    assert git(repo, "branch", "--show-current") == "main"


def test_core_worktree_of_the_repository_leads_nobody_elsewhere(prepared, repo, project, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    git(project, "config", "core.worktree", str(tmp_path / "elsewhere"))

    assert prepared(project) == repo
    assert git(repo, "rev-parse", "--show-toplevel") == str(repo)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_bare_repository_whose_head_names_no_branch_starts_from_one_that_is_there(
    prepared, repo, project
):
    folder = bare_hub(project)
    git(folder / ".git", "symbolic-ref", "HEAD", "refs/heads/gone")

    with pytest.raises(NothingToStartFrom, match="gone"):
        prepared(folder)
    assert prepared(folder, "main") == repo


def test_a_folder_in_a_git_directory_gets_none(prepared, project):
    with pytest.raises(NotReadable):
        prepared(project / ".git/hooks")


# The person's other worktrees


def entries(project):
    return sorted(path.name for path in (project / ".git/worktrees").iterdir())


def test_a_worktree_on_a_drive_that_is_away_is_not_forgotten(prepared, project, tmp_path):
    drive = linked(project)
    git(drive, "checkout", "-q", "--detach")
    (drive / "staged").write_text("x")
    git(drive, "add", "staged")
    git(drive, "commit", "-qm", "on no branch")
    (drive / "staged").write_text("y")
    git(drive, "add", "staged")
    head = git(drive, "rev-parse", "HEAD")
    drive.rename(tmp_path / "away")

    prepared(project)

    (tmp_path / "away").rename(drive)
    assert git(drive, "rev-parse", "HEAD") == head
    assert git(drive, "diff", "--cached", "--name-only") == "staged"


def test_of_other_sandboxes_only_those_that_are_no_more_give_their_branch_up(
    prepared, repo, project, tmp_path
):
    for place in ("sandbox-that-is-gone", "sandbox-that-is-there", "elsewhere/sandbox"):
        (tmp_path / place).mkdir(parents=True)
        git(project, "worktree", "add", "-qb", place, str(tmp_path / place / "repo"))
    shutil.rmtree(tmp_path / "sandbox-that-is-gone")
    shutil.rmtree(tmp_path / "sandbox-that-is-there/repo")
    shutil.rmtree(tmp_path / "elsewhere")

    assert prepared(project, "sandbox-that-is-gone") == repo
    git(project, "worktree", "remove", str(repo))
    (repo.parent / own.RECORD).unlink()
    for branch in ("sandbox-that-is-there", "elsewhere/sandbox"):
        with pytest.raises(ChoiceNeeded):
            prepared(project, branch)


# What is gone is made again


@pytest.fixture
def worktree(prepared, repo, project, notices):
    """A worktree with a commit, a staged change, and one that is not."""
    prepared(project)
    (repo / "committed").write_text("c")
    git(repo, "add", "committed")
    git(repo, "commit", "-qm", "work")
    (repo / "sub/file").write_text("staged")
    git(repo, "add", "sub/file")
    (repo / "new").write_text("new")
    return repo


def codes(notices):
    return [notice.code for notice in notices.pending]


def test_a_whole_worktree_is_left_alone(prepared, worktree, project, notices):
    before = tree_of(worktree)

    assert prepared(project) == worktree
    assert tree_of(worktree) == before
    assert codes(notices) == []


@pytest.mark.parametrize("delete", [shutil.rmtree, empty], ids=["the folder", "all in it"])
def test_a_deleted_folder_is_made_again_with_what_was_committed_and_staged(
    prepared, worktree, project, notices, delete
):
    delete(worktree)

    assert prepared(project) == worktree

    assert (worktree / "committed").read_text() == "c"
    assert (worktree / "sub/file").read_text() == "staged"
    assert git(worktree, "status", "--porcelain", "--branch") == "## work\nM  sub/file"
    assert codes(notices) == ["folder_remade"]


def test_a_sandbox_whose_whole_folder_was_deleted_finds_its_work(
    prepared, worktree, project, notices
):
    empty(worktree.parent)

    assert prepared(project) == worktree

    assert (worktree / "sub/file").read_text() == "staged"
    assert own.load(worktree.parent).is_worktree_in(worktree.parent)


def test_an_entry_that_did_not_follow_a_moved_sandbox_follows_now(prepared, worktree, project):
    before = git(worktree, "status", "--porcelain")
    [entry] = (project / ".git/worktrees").iterdir()
    removed = worktree.parent.parent / ".removed/root.1/repo/.git"
    (entry / "gitdir").write_text(f"{removed}\n")

    prepared(project)

    assert (entry / "gitdir").read_text() == f"{worktree / '.git'}\n"
    assert git(worktree, "status", "--porcelain") == before
    assert len(entries(project)) == 1


def test_an_entry_that_is_another_worktree_s_by_now_stays(prepared, worktree, project, tmp_path):
    [entry] = (project / ".git/worktrees").iterdir()
    shutil.rmtree(entry)
    git(project, "worktree", "add", "-qb", "theirs", str(tmp_path / "theirs/repo"))
    before = tree_of(entry)

    assert not is_whole(worktree.parent, worktree)
    prepared(project)

    assert tree_of(entry) == before
    assert git(worktree, "branch", "--show-current") == "work"
    assert is_whole(worktree.parent, worktree)


def test_a_detached_commit_is_not_lost_with_the_folder(prepared, worktree, project):
    git(worktree, "checkout", "-q", "--detach")
    git(worktree, "commit", "-qm", "on no branch")
    head = git(worktree, "rev-parse", "HEAD")
    shutil.rmtree(worktree)

    prepared(project)

    assert git(worktree, "rev-parse", "HEAD") == head


def test_a_deleted_git_file_is_written_again(prepared, worktree, project):
    (worktree / ".git").unlink()

    prepared(project)

    assert git(worktree, "status", "--porcelain") == "M  sub/file\n?? new"


def test_an_entry_that_the_person_s_git_pruned_is_made_again_and_no_file_touched(
    prepared, worktree, project, notices
):
    shutil.rmtree(project / ".git/worktrees")
    before = tree_of(worktree) | {Path(".git"): None}

    assert prepared(project) == worktree

    assert tree_of(worktree) | {Path(".git"): None} == before
    assert git(worktree, "branch", "--show-current") == "work"
    assert git(worktree, "status", "--porcelain") == "M sub/file\n?? new"
    assert git(worktree, "log", "-1", "--format=%s") == "work"
    assert codes(notices) == ["folder_remade"]
    assert len(entries(project)) == 1


def test_a_folder_and_its_entry_that_are_both_gone(prepared, worktree, project, notices):
    shutil.rmtree(worktree)
    git(project, "worktree", "prune")

    assert prepared(project) == worktree

    assert (worktree / "committed").read_text() == "c"
    assert codes(notices) == ["folder_remade"]


def test_it_is_told_each_time(prepared, worktree, project, notices):
    for _ in range(2):
        shutil.rmtree(worktree)
        prepared(project)
        assert codes(notices) == ["folder_remade"]
        notices.note_told(notices.pending)


def test_another_repository_s_folder_is_not_filled(prepared, worktree, project):
    shutil.rmtree(worktree)
    worktree.symlink_to(project)

    with pytest.raises(ForeignGit):
        prepared(project)

    assert (project / "sub/file").read_text() == "x"


def test_a_worktree_that_git_did_not_finish_is_made_from_the_start(prepared, repo, project):
    git(project, "worktree", "add", "-qb", "work", str(repo))
    (project / ".git/worktrees/repo/locked").write_text("initializing")
    (repo / "sub/file").unlink()

    prepared(project)

    assert git(repo, "status", "--porcelain") == ""
    assert entries(project) == ["repo"]


# Refusals: each one clear error, and nothing is changed


def snapshot(*folders):
    return [tree_of(folder) for folder in folders]


@pytest.fixture
def refused(prepared, project, repo):
    """Return ``refused(kind, folder, branch)``: the error's words; nothing may have changed."""

    def check(kind, folder=project, branch="work"):
        before = snapshot(project)
        with pytest.raises(kind) as caught:
            prepared(folder, branch)
        assert snapshot(project) == before
        assert not os.path.lexists(repo)
        assert not own.is_known(repo.parent)
        return str(caught.value)

    return check


def test_a_folder_that_is_away(refused, tmp_path):
    assert "does not exist" in refused(FolderMissing, tmp_path / "away")


def test_a_path_that_is_a_file(refused, project):
    assert "not a folder" in refused(FolderMissing, project / "sub/file")
    assert "does not exist" in refused(FolderMissing, project / "sub/file/x")


def diverge(project):
    git(project, "checkout", "-qb", "theirs")
    for branch, text in (("theirs", "t"), ("main", "m")):
        git(project, "checkout", "-q", branch)
        (project / "sub/file").write_text(text)
        git(project, "commit", "-qam", text)


def rebasing(project):
    diverge(project)
    git(project, "checkout", "-q", "theirs")
    subprocess.run(["git", "rebase", "-q", "main"], cwd=project, check=False, capture_output=True)


def applying(project):
    diverge(project)
    git(project, "checkout", "-q", "theirs")
    command = ["git", "rebase", "--apply", "-q", "main"]
    subprocess.run(command, cwd=project, check=False, capture_output=True)


def bisecting(project):
    diverge(project)
    git(project, "checkout", "-q", "theirs")
    git(project, "bisect", "start", "HEAD", "HEAD~1")
    git(project, "checkout", "-q", "--detach")


def merging(project):
    diverge(project)
    subprocess.run(["git", "merge", "-q", "theirs"], cwd=project, check=False, capture_output=True)


@pytest.mark.parametrize("begin", [rebasing, applying, bisecting], ids=lambda f: f.__name__)
def test_a_branch_that_a_command_will_move_is_refused(refused, project, begin):
    begin(project)

    words = refused(BranchBusy, branch="theirs")

    assert "theirs" in words
    assert str(project) in words


@pytest.mark.parametrize("begin", [rebasing, merging, bisecting], ids=lambda f: f.__name__)
def test_another_branch_starts_while_a_command_is_in_progress(prepared, repo, project, begin):
    begin(project)
    before = tree_of(project / "sub"), git(project, "status")

    prepared(project)

    assert git(repo, "rev-parse", "HEAD") == git(project, "rev-parse", "HEAD")
    assert (tree_of(project / "sub"), git(project, "status")) == before


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    """Let the disk be full once git has made a worktree: all that git leaves behind stays."""
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    fails = 'echo "fatal: unable to write file: No space left on device" >&2; exit 128'
    script = f'{shutil.which("git")} "$@"; code=$?; case "$*" in *"worktree add"*) {fails};; esac'
    program.write_text(f"#!/bin/sh\n{script}; exit $code\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_no_space_left_for_the_files(refused, full_disk):
    assert "No space left on device" in refused(NoSpace)


def test_no_space_left_for_the_record(refused, monkeypatch):
    def full(root, made):
        raise OSError(errno.ENOSPC, "No space left on device", str(root))

    monkeypatch.setattr("sandboxes.daemon.checkout.worktrees.own.save", full)

    assert "No space left on device" in refused(NoSpace)


def test_no_space_left_for_a_scratch_folder(repo, notices, monkeypatch):
    def full(path, **options):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "mkdir", full)

    with pytest.raises(NoSpace, match="No space left on device"):
        prepare(Spec(HANDLE), repo, Git(), notices)


# Root may write everywhere, unless it gives that right up.
OBEY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.getuid() == 0 else ()
PREPARE = """
import json, sys
from pathlib import Path
from mesh.lib.errors import AppError
from sandboxes.daemon.checkout.kept_choices import ChoiceNeeded
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import Spec
repo = Path(sys.argv[2])
try:
    prepare(Spec("h", folder=sys.argv[1], branch="work"), repo, Git(), Notices(repo.parent))
except AppError as exc:
    print(json.dumps(exc.body()))
"""


@pytest.mark.parametrize("where", ["repository", "sandbox"])
def test_a_folder_that_cannot_be_written(project, repo, where):
    place = {"repository": project / ".git", "sandbox": repo.parent}[where]
    before = snapshot(project, repo.parent)
    place.chmod(0o500)

    try:
        command = [*OBEY, sys.executable, "-c", PREPARE, str(project), str(repo)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    finally:
        place.chmod(0o700)

    assert json.loads(told)["error"]["code"] == "git_read_only"
    assert "Permission denied" in told
    after = snapshot(project, repo.parent)
    assert {name for name in after[1] if name.parts[0] != "git"} == set(before[1])
    assert after[0] == before[0]
