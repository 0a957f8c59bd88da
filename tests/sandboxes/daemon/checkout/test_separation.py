"""Programs in a worktree configure nothing of the person's repository. With real git.

The commands are those that the tools run, word for word; none of them needs a registry.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from mesh.git import own
from sandboxes.daemon.checkout import separation
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import parse_spec
from tests.sandboxes.daemon.projects import git, repository

pytestmark = pytest.mark.programs


@pytest.fixture
def project(tmp_path):
    """A person's repository with a hook and settings of their own."""
    repository(tmp_path / "project", {"a.txt": "one\n"})
    folder = tmp_path / "project"
    git(folder, "config", "user.name", "Ada of the project")
    write_hook(folder / ".git/hooks/post-commit", "echo person >> ../hooks-ran")
    return folder


def write_hook(file, line):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)


@pytest.fixture
def made(project, tmp_path):
    """Return ``made()``: a worktree of the project, made, or prepared once more."""
    (tmp_path / "root").mkdir()
    notices = Notices(tmp_path / "root")
    named = {"handle": "h-0123456789abcdef", "folder": str(project), "branch": "feature"}

    def make():
        prepare(parse_spec(named), tmp_path / "root/repo", Git(), notices)
        assert "configuration_shared" not in {notice.code for notice in notices.pending}
        return tmp_path / "root/repo"

    return make


def of_person(project):
    """Return everything in the person's git directory that no chat may change."""
    ours = ("worktrees/", "refs/heads/", "logs/refs/heads/feature", "objects/", "packed-refs")
    files = sorted(path for path in (project / ".git").rglob("*") if path.is_file())
    named = {str(path.relative_to(project / ".git")): path for path in files}
    return {
        name: (path.read_bytes(), path.stat().st_mode)
        for name, path in named.items()
        if not name.startswith(ours)
    }


def hooks_of(repo):
    return repo / git(repo, "rev-parse", "--git-path", "hooks")


def husky_9(repo):
    git(repo, "config", "core.hooksPath", ".husky/_")


def husky_4(repo):
    write_hook(repo / git(repo, "rev-parse", "--git-common-dir") / "hooks/pre-commit", "exit 0")


def lefthook(repo):
    hooks = git(repo, "rev-parse", "--path-format=absolute", "--git-path", "hooks")
    write_hook(repo / hooks / "pre-commit", "exit 0")


def pre_commit(repo):
    hooks = hooks_of(repo)
    hooks.mkdir(exist_ok=True)
    if (hooks / "post-commit").exists():
        (hooks / "post-commit").rename(hooks / "post-commit.legacy")
    write_hook(hooks / "post-commit", "exit 0")


def simple_git_hooks(repo):
    """It reads the files itself."""
    git_dir = (repo / ".git").read_text().removeprefix("gitdir: ").strip()
    common = (repo / git_dir / "commondir").read_text().strip()
    write_hook(repo / git_dir / common / "hooks/pre-commit", "exit 0")


def git_lfs(repo):
    for key, value in (("clean", "git-lfs clean -- %f"), ("required", "true")):
        git(repo, "config", "--local", f"filter.lfs.{key}", value)
    write_hook(hooks_of(repo) / "pre-push", "exit 0")


INSTALLERS = [
    *(husky_9, husky_4, lefthook, pre_commit, simple_git_hooks, git_lfs),
    pytest.param(
        lambda repo: git(repo, "config", "--local", "user.email", "agent@mesh.example"),
        id="a setting",
    ),
    pytest.param(lambda repo: git(repo, "config", "--unset", "user.name"), id="one setting less"),
    pytest.param(lambda repo: git(repo, "remote", "add", "other", "/x"), id="a remote"),
    pytest.param(lambda repo: git(repo, "branch", "-u", "main"), id="an upstream"),
    pytest.param(lambda repo: git(repo, "init", "-q"), id="git init"),
    pytest.param(
        lambda repo: (repo / git(repo, "rev-parse", "--git-path", "info/exclude")).write_text("x"),
        id="excluded files",
    ),
    pytest.param(lambda repo: git(repo, "sparse-checkout", "set", "sub"), id="a sparse checkout"),
    pytest.param(lambda repo: git(repo, "gc", "-q"), id="git gc"),
    pytest.param(lambda repo: git(repo, "maintenance", "run", "--task=gc"), id="maintenance"),
    pytest.param(lambda repo: (write_hook(hooks_of(repo) / "pre-commit", "exit 1"),), id="a hook"),
]


def test_a_start_that_was_cut_off_leaves_no_hook_out(made, project, monkeypatch):
    write_hook(project / ".git/hooks/pre-commit", "exit 0")
    with monkeypatch.context() as patched:
        patched.setattr(separation, "_copy_hook", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            made()

    repo = made()

    assert sorted(os.listdir(hooks_of(repo))) == ["post-commit", "pre-commit"]


def _power_cut(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("install", INSTALLERS)
def test_the_person_s_repository_stays_as_it_was(project, made, install):
    repo = made()
    before = of_person(project)
    install(repo)

    assert of_person(project) == before
    assert git(project, "status", "--porcelain") == ""


def test_what_is_configured_in_the_worktree_counts_there(project, made):
    repo = made()
    husky_9(repo)
    write_hook(repo / ".husky/_/pre-commit", "echo husky >> ../hooks-ran")
    (repo / "a.txt").write_text("two\n")
    git(repo, "commit", "-qam", "work")

    assert (repo.parent / "hooks-ran").read_text() == "husky\n"
    assert git(project, "config", "--default", "none", "core.hooksPath") == "none"
    assert git(project, "log", "--format=%s", "-1", "feature") == "work"


def test_the_person_s_settings_and_hooks_count_in_the_worktree(made):
    repo = made()
    git(repo, "commit", "-q", "--allow-empty", "-m", "work")

    assert git(repo, "config", "--local", "core.bare") == "false"
    assert git(repo, "config", "--local", "user.name") == "Ada of the project"
    assert (repo.parent / "hooks-ran").read_text() == "person\n"


def test_git_works_in_the_worktree_as_in_any_other(project, made):
    git(project, "tag", "v1")
    repo = made()
    (repo / "a.txt").write_text("two\n")
    git(repo, "stash")
    git(repo, "checkout", "-qb", "another")
    git(repo, "pack-refs", "--all")

    assert git(repo, "tag") == "v1"
    assert git(project, "stash", "list").startswith("stash@{0}")
    assert "another" in git(project, "branch", "--list")
    assert git(repo, "rev-parse", "main") == git(project, "rev-parse", "main")
    assert git(project, "fsck") == ""


def test_the_person_s_own_git_lists_removes_and_prunes_the_worktree(project, made):
    repo = made()
    assert str(repo) in git(project, "worktree", "list")
    git(project, "worktree", "remove", str(repo))

    assert not list((project / ".git").glob("worktrees/*"))
    assert git(project, "rev-parse", "HEAD")


def test_what_the_person_has_checked_out_is_not_checked_out_twice(made):
    repo = made()

    with pytest.raises(Exception, match="128"):
        git(repo, "checkout", "main")


def test_what_the_person_staged_survives_a_clean_up_in_the_worktree(project, made):
    repo = made()
    (project / "staged.txt").write_text("staged\n")
    git(project, "add", "staged.txt")
    git(repo, "gc", "--prune=now", "-q")

    assert git(project, "show", ":staged.txt") == "staged"


@pytest.mark.parametrize("is_split_later", [False, True])
def test_what_is_staged_in_a_split_index_survives_too(project, made, is_split_later):
    (project / "staged.txt").write_text("staged\n")
    git(project, "add", "staged.txt")
    repo = made() if is_split_later else None
    git(project, "update-index", "--split-index")
    repo = repo or made()
    subprocess.run(["git", "-C", repo, "prune", "--expire=now"], check=not is_split_later)

    assert git(project, "show", ":staged.txt") == "staged"


def test_what_the_person_changes_later_is_taken_over(project, made):
    repo = made()
    husky_9(repo)
    git(project, "config", "user.name", "Ada Lovelace")
    git(project, "remote", "add", "origin", "/srv/app")
    made()

    assert git(repo, "config", "--file", str(config_of(repo)), "user.name") == "Ada Lovelace"
    assert git(repo, "remote") == "origin"
    assert git(repo, "config", "core.hooksPath") == ".husky/_"


def config_of(repo):
    return repo / git(repo, "rev-parse", "--git-common-dir") / "config"


def test_files_that_the_configuration_includes_are_found(project, made):
    (project / "shared.config").write_text("[demo]\n\tvalue = included\n")
    git(project, "config", "include.path", "../shared.config")
    git(project, "config", "includeIf.onbranch:feature.path", "../shared.config")
    repo = made()

    assert git(repo, "config", "--get-all", "demo.value") == "included\nincluded"


def test_the_configuration_is_as_private_as_the_person_s(project, made):
    (project / ".git/config").chmod(0o600)
    repo = made()

    assert config_of(repo).stat().st_mode & 0o777 == 0o600


def test_a_hook_that_is_a_link_into_the_project_is_not_written_through(project, made):
    write_hook(project / "scripts/check", "exit 0")
    (project / ".git/hooks/pre-commit").symlink_to("../../scripts/check")
    repo = made()
    write_hook(hooks_of(repo) / "pre-commit", "exit 1")

    assert (project / "scripts/check").read_text() == "#!/bin/sh\nexit 0\n"


@pytest.mark.parametrize("name", ["config", "commondir", "hooks", "mesh"])
def test_nothing_is_written_through_a_link(project, made, tmp_path, name):
    repo = made()
    entry = own.load(repo.parent).git_dir
    place = entry if name in ("commondir", "mesh") else entry / "mesh"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    if (place / name).is_dir():
        shutil.rmtree(place / name)
        (place / name).symlink_to(outside)
    else:
        (place / name).unlink()
        (place / name).symlink_to(outside / "file")
    git(project, "config", "user.name", "Ada Lovelace")
    made()

    assert os.listdir(outside) == ["file"]
    assert (outside / "file").read_text() == "mine"


def test_a_failure_is_said_and_the_chat_starts(project, tmp_path, monkeypatch):
    monkeypatch.setattr(separation, "CONFIG_LIMIT", 10)
    (tmp_path / "root").mkdir()
    notices = Notices(tmp_path / "root")
    named = {"handle": "h-0123456789abcdef", "folder": str(project), "branch": "feature"}
    prepare(parse_spec(named), tmp_path / "root/repo", Git(), notices)

    assert (tmp_path / "root/repo/a.txt").exists()
    assert git(tmp_path / "root/repo", "status", "--porcelain") == ""
    assert [notice.code for notice in notices.pending] == ["configuration_shared"]
