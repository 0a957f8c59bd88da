"""What a person's folder is to git, with real repositories of each kind."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from mesh.git.errors import FormatUnknown, OwnerUnknown
from mesh.git.look import NoRepository, Repository, Unborn, look
from mesh.git.own import (
    InsideGitFolder,
    NoGit,
    NotReadable,
    RepositoryMissing,
)
from mesh.git.view import ConfigUnreadable


def git(folder, *args):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@mesh.example"]
    done = subprocess.run(
        ["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def new(folder):
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-qb", "main")
    (folder / "sub/file").write_text("x")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "x")
    return folder


@pytest.fixture
def project(tmp_path):
    return new(tmp_path / "project")


@pytest.fixture
def seen(tmp_path):
    """Return ``seen(folder)``: what the folder is."""
    (tmp_path / "root").mkdir()
    return lambda folder: look(folder, tmp_path / "root", dict(os.environ))


def test_a_folder_without_git_here_or_above_is_in_no_repository(seen, tmp_path):
    assert seen(tmp_path) == NoRepository()


def test_a_subfolder_is_in_the_repository_above_it(seen, project):
    found = seen(project / "sub")

    assert (found.own.top, found.branch, found.is_bare) == (project, "main", False)
    assert found.head == git(project, "rev-parse", "HEAD")


def test_a_detached_head_has_no_branch(seen, project):
    git(project, "checkout", "-q", "--detach")

    assert seen(project).branch == ""


def test_a_repository_without_a_commit(seen, tmp_path):
    git(tmp_path, "init", "-qb", "trunk")

    found = seen(tmp_path)

    assert isinstance(found, Unborn)
    assert (found.own.top, found.branch) == (tmp_path, "trunk")


def bare(project):
    git(project.parent, "clone", "-q", "--bare", f"file://{project}", "bare.git")
    return project.parent / "bare.git"


def linked(project):
    git(project, "worktree", "add", "-qb", "other", "../linked")
    return project.parent / "linked"


def separate(project):
    git(project, "init", "-q", "--separate-git-dir", "../elsewhere")
    return project


def submodule(project):
    outer = new(project.parent / "outer")
    allow = ["-c", "protocol.file.allow=always"]
    git(outer, *allow, "submodule", "--quiet", "add", f"file://{project}", "inner")
    return outer / "inner"


def hub(project):
    folder = project.parent / "hub"
    git(project.parent, "clone", "-q", "--bare", f"file://{project}", "hub/.bare")
    (folder / ".git").write_text("gitdir: ./.bare\n")
    return folder


def bare_hub(project):
    git(project.parent, "clone", "-q", "--bare", f"file://{project}", "hub/.git")
    return project.parent / "hub"


def hub_checkout(project):
    folder = hub(project)
    git(folder, "worktree", "add", "-q", "main", "main")
    return folder / "main"


@pytest.mark.parametrize(
    ("make", "is_bare"),
    [
        pytest.param(bare, True, id="bare"),
        pytest.param(linked, False, id="linked worktree"),
        pytest.param(separate, False, id="git directory elsewhere"),
        pytest.param(submodule, False, id="submodule"),
        pytest.param(hub, True, id="hub with .bare"),
        pytest.param(bare_hub, True, id="hub with a bare .git"),
        pytest.param(hub_checkout, True, id="checkout of a hub"),
    ],
)
def test_these_are_repositories(seen, project, make, is_bare):
    folder = make(project)

    found = seen(folder)

    assert isinstance(found, Repository)
    assert (found.own.top, found.is_bare) == (folder, is_bare)


def write(file, text):
    file.write_text(text)


def set_format(project, **values):
    for key, value in values.items():
        git(project, "config", "--file", ".git/config", key.replace("_", "."), value)


def into_file(project, text):
    shutil.rmtree(project / ".git")
    (project / ".git").write_text(text)


def into_link(project, target):
    shutil.rmtree(project / ".git")
    (project / ".git").symlink_to(target)


BROKEN = [
    pytest.param(
        lambda p: set_format(p, core_repositoryformatversion="7"),
        FormatUnknown,
        "Expected git repo version <= 1, found 7",
        id="newer format",
    ),
    pytest.param(
        lambda p: set_format(p, core_repositoryformatversion="1", extensions_unheard="of"),
        FormatUnknown,
        "unknown repository extension found: unheard",
        id="unknown extension",
    ),
    pytest.param(
        lambda p: write(p / ".git/config", "[core\nx"),
        ConfigUnreadable,
        "bad config line 1",
        id="broken configuration",
    ),
    pytest.param(
        lambda p: write(p / ".git/HEAD", "junk"), NotReadable, "not a git repository", id="HEAD"
    ),
    pytest.param(
        lambda p: (p / ".git/HEAD").unlink(), NotReadable, "not a git repository", id="no HEAD"
    ),
    pytest.param(
        lambda p: write(p / ".git/refs/heads/main", ""),
        NotReadable,
        "bad revision 'HEAD'",
        id="empty branch",
    ),
    pytest.param(
        lambda p: write(p / ".git/refs/heads/main", f"{'1' * 40}\n"),
        NotReadable,
        "bad object HEAD",
        id="missing commit",
    ),
    pytest.param(
        lambda p: shutil.rmtree(p / ".git/objects"), NotReadable, "not a git rep", id="no objects"
    ),
    pytest.param(
        lambda p: into_file(p, "gitdir: /no/where\n"),
        RepositoryMissing,
        "not a git repository: /no/where",
        id="points nowhere",
    ),
    pytest.param(
        lambda p: into_file(p, "what"), NotReadable, "invalid gitfile format", id="odd .git file"
    ),
    pytest.param(
        lambda p: into_link(p, "/no/where"), RepositoryMissing, "not there", id="dangling link"
    ),
]


@pytest.mark.parametrize(("broken", "kind", "said"), BROKEN)
@pytest.mark.parametrize("inside", [".", "sub"])
def test_what_git_cannot_read_is_an_error_in_git_s_words(seen, project, broken, kind, said, inside):
    broken(project)

    with pytest.raises(kind) as caught:
        seen(project / inside)

    assert type(caught.value) is kind
    assert said in str(caught.value)


def test_git_is_needed_only_for_a_repository(seen, project, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    assert seen(tmp_path) == NoRepository()
    with pytest.raises(NoGit):
        seen(project)


@pytest.mark.parametrize("inside", [".git", ".git/hooks", ".git/worktrees/linked"])
def test_a_folder_inside_a_git_directory_is_refused(seen, project, inside):
    linked(project)

    with pytest.raises(InsideGitFolder):
        seen(project / inside)


def test_a_folder_inside_a_bare_repository_is_refused(seen, project):
    with pytest.raises(InsideGitFolder):
        seen(bare(project) / "refs")


@pytest.fixture
def of_another(tmp_path, monkeypatch):
    """Let every repository belong to another user: git's own switch for tests says so to git."""
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    real = shutil.which("git")
    program.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("mesh.git.own.os.geteuid", lambda: 54321)


@pytest.mark.parametrize("make", [lambda p: p, bare, linked, hub], ids=lambda m: m.__name__)
def test_a_repository_of_another_user_is_refused(request, seen, project, make):
    folder = make(project)
    request.getfixturevalue("of_another")

    with pytest.raises(OwnerUnknown, match="dubious ownership in repository at"):
        seen(folder)


def test_an_owner_whom_the_person_trusts_is_accepted(
    seen, project, of_another, tmp_path, monkeypatch
):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    git(tmp_path, "config", "--global", "safe.directory", str(project))

    assert isinstance(seen(project), Repository)


def test_looking_starts_no_program_that_the_configuration_names(
    seen, project, of_another, tmp_path, monkeypatch
):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    git(tmp_path, "config", "--global", "safe.directory", "*")
    for key in ("core.fsmonitor", "core.pager", "core.sshCommand", "alias.rev-parse"):
        git(project, "config", key, f"!touch {tmp_path / 'ran'}")
    before = {file: file.stat().st_mtime_ns for file in (project / ".git").rglob("*")}

    seen(project)

    assert not (tmp_path / "ran").exists()
    assert {file: file.stat().st_mtime_ns for file in (project / ".git").rglob("*")} == before
