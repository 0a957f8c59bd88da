"""Git LFS, with a stand-in for git-lfs (``lfs_bin``): contents go first, and its lack is said."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mesh.git import calls
from mesh.lib.errors import AppError
from sandboxes.daemon import lfs
from sandboxes.daemon.checkout.checkout import Job, run_job
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import Spec
from tests.sandboxes.daemon.projects import address_of, git
from tests.sandboxes.daemon.repository.publishing import BRANCH, Place

pytestmark = pytest.mark.programs

PROGRAMS = Path(__file__).parent / "lfs_bin"
POINTER = "version https://git-lfs.github.com/spec/v1"


@pytest.fixture
def with_lfs(monkeypatch, home):
    """A person who has installed git-lfs for all repositories."""
    monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
    for name, value in (
        ("clean", "git-lfs clean -- %f"),
        ("smudge", "git-lfs smudge -- %f"),
        ("process", "git-lfs filter-process"),
        ("required", "true"),
    ):
        git(home, "config", "--global", f"filter.lfs.{name}", value)


@pytest.fixture
def server(with_lfs, server):
    """A server with two files of LFS."""
    (server / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    for name in ("one.bin", "two.bin"):
        (server / name).write_text(f"the contents of {name}\n")
    git(server, "add", ".")
    git(server, "commit", "-qm", "large files")
    (server / ".git/lfs/objects").rename(server / "lfs")
    return server


@pytest.fixture
def without_lfs(clone, monkeypatch):
    """The same person on a machine where git-lfs is missing: only its settings are there."""
    path = os.environ["PATH"].removeprefix(f"{PROGRAMS}:")
    monkeypatch.setenv("PATH", path)
    monkeypatch.setattr(calls, "has_lfs", lambda env: False)
    monkeypatch.setattr(lfs, "has_lfs", lambda env: False)


def prepared(root, **source):
    root.mkdir()
    notices = Notices(root)
    run_job(Job(Spec(handle="work-0123456789abcdef", **source)), root / "repo", Git(), notices)
    return Place(root, root / "repo", notices)


def test_contents_go_to_the_server_with_the_branch(place, server):
    place.write("three.bin", "new contents\n")

    place.publish()

    pointer = git(server, "show", f"{BRANCH}:three.bin")
    assert pointer.startswith(POINTER)
    oid = pointer.splitlines()[1].removeprefix("oid sha256:")
    assert (server / "lfs" / oid).read_text() == "new contents\n"


def test_without_its_contents_no_branch_is_pushed(place, server):
    (server / "lfs/refuse").touch()
    place.write("three.bin", "new contents\n")
    before = place.state()

    with pytest.raises(AppError, match="no room"):
        place.publish()

    assert place.state() == before
    assert git(server, "branch", "--list", BRANCH) == ""


def source_folder(clone, server):
    return {"folder": str(clone)}


def source_clone(clone, server):
    return {"clone_url": address_of(server)}


@pytest.mark.parametrize("source", [source_folder, source_clone])
def test_without_git_lfs_a_chat_starts_and_says_so(tmp_path, clone, server, without_lfs, source):
    place = prepared(tmp_path / "fresh", **source(clone, server))

    assert (place.repo / "one.bin").read_text().startswith(POINTER)
    (notice,) = place.notices.pending
    assert notice.code == "lfs_missing"
    assert "git-lfs" in notice.text
    assert "2 files" in notice.text
    assert place.repository.facts().own == ()


def test_nor_does_it_keep_a_deleted_folder_from_coming_back(tmp_path, clone, server):
    place = prepared(tmp_path / "fresh", **source_folder(clone, server))
    shutil.rmtree(place.repo)
    shutil.rmtree(clone / ".git/lfs", ignore_errors=True)
    (server / "lfs/gone").touch()

    spec = Spec(handle="work-0123456789abcdef", **source_folder(clone, server))
    run_job(Job(spec), place.repo, Git(), place.notices)

    assert (place.repo / "one.bin").read_text().startswith(POINTER)
    assert "lfs_not_fetched" in [notice.code for notice in place.notices.pending]
    assert place.repository.facts().own == ()


@pytest.mark.parametrize("source", [source_folder, source_clone])
def test_a_server_of_contents_that_is_away_does_not_keep_a_chat_from_starting(
    tmp_path, clone, server, source
):
    (server / "lfs/gone").touch()

    place = prepared(tmp_path / "fresh", **source(clone, server))

    assert (place.repo / "one.bin").read_text().startswith(POINTER)
    assert [notice.code for notice in place.notices.pending] == ["lfs_not_fetched"]
    assert "smudge filter lfs failed. Run" in place.notices.pending[0].text
    assert place.repository.facts().own == ()


def test_the_notice_goes_when_git_lfs_comes(tmp_path, clone, server, without_lfs, monkeypatch):
    place = prepared(tmp_path / "fresh", folder=str(clone))

    monkeypatch.setattr(lfs, "has_lfs", lambda env: True)
    spec = Spec(handle="work-0123456789abcdef", folder=str(clone))
    run_job(Job(spec), place.repo, Git(), place.notices)

    assert place.notices.pending == ()


def test_without_git_lfs_other_work_is_published(tmp_path, clone, server, without_lfs):
    place = prepared(tmp_path / "fresh", folder=str(clone), branch=BRANCH)
    place.write("new.txt", "work\n")

    place.publish()

    assert git(server, "diff", "--name-only", "main", BRANCH) == "new.txt"


@pytest.mark.parametrize("is_committed", [True, False])
def test_without_git_lfs_no_large_file_is_published(
    tmp_path, clone, server, without_lfs, is_committed
):
    place = prepared(tmp_path / "fresh", folder=str(clone), branch=BRANCH)
    place.write("one.bin", "raw contents\n")
    if is_committed:
        off = [f"filter.lfs.{key}=" for key in ("clean", "smudge", "process")]
        off.append("filter.lfs.required=false")
        settings = [word for setting in off for word in ("-c", setting)]
        git(place.repo, *settings, "commit", "-qam", "raw")
    before = place.state()

    with pytest.raises(AppError) as caught:
        place.publish()

    assert caught.value.code == "lfs_missing"
    assert caught.value.extra["files"] == ["one.bin"]
    assert place.state() == before


def test_a_project_without_it_needs_no_git_lfs(tmp_path, home, monkeypatch):
    monkeypatch.setattr(lfs, "has_lfs", lambda env: False)
    folder = tmp_path / "plain"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")

    place = prepared(tmp_path / "fresh", folder=str(folder))

    assert place.notices.pending == ()
