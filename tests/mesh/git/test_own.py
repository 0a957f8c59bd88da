"""Which git directory is a sandbox's: remembered, found without git, and looked after."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mesh.git import own
from mesh.git.own import ForeignGit


def git(folder, *args):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@mesh.example"]
    done = subprocess.run(
        ["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-qb", "main")
    git(folder, "commit", "-qm", "x", "--allow-empty")
    return folder


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def worktree(root, project):
    git(project, "worktree", "add", "-qb", "work", str(root / "repo"))
    return root / "repo"


@pytest.fixture
def clone(root, project):
    git(root, "clone", "-q", f"file://{project}", "repo")
    return own.of_clone(root / "repo", f"file://{project}")


def test_nothing_is_known_at_first(root):
    assert not own.is_known(root)
    assert own.load(root) is None


def test_that_there_is_none_is_known_too(root):
    own.save(root, None)

    assert own.is_known(root)
    assert own.load(root) is None


def test_what_was_remembered_is_found_where_the_folder_was_moved_to(root, clone):
    own.save(root, clone)
    moved = root.rename(root.parent / "moved")

    assert own.load(moved) == own.of_clone(moved / "repo", clone.origin)
    assert (moved / own.RECORD).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "[]", "{", '{"top": 1}', '{"top": {}, "gitDir": "a"}', "7"])
def test_a_record_that_makes_no_sense_names_none(root, text):
    (root / own.RECORD).write_text(text)

    assert own.load(root) is None


def test_a_person_s_folder_is_found_from_anywhere_in_it(project):
    found = own.find(project / "sub")

    assert (found.top, found.git_dir, found.common) == (project, project / ".git", project / ".git")


def test_a_person_s_worktree_leads_to_the_repository(worktree, project):
    found = own.find(worktree)

    assert found.top == worktree
    assert found.git_dir == project / ".git/worktrees/repo"
    assert found.common == project / ".git"


def test_a_folder_in_no_repository(root):
    (root / ".git").mkdir()

    assert own.find(root) is None


def test_another_file_system_s_repository_is_not_that_of_a_folder_mounted_in_it(
    project, monkeypatch
):
    real = Path.stat

    def stat(path, **options):
        facts = list(real(path, **options))
        mounted = path == project / "sub"
        return os.stat_result([*facts[:2], facts[2] + mounted, *facts[3:]])

    monkeypatch.setattr(Path, "stat", stat)

    assert own.find(project / "sub") is None
    assert own.find(project).top == project


def test_a_worktree_is_what_the_repository_knows_as_one(worktree, project):
    found = own.of_worktree(worktree, own.find(project))

    assert found.git_dir == project / ".git/worktrees/repo"


@pytest.mark.parametrize("text", ["gitdir: /tmp/evil", "gitdir: evil/../worktrees/x", "", "x"])
def test_the_file_in_the_folder_alone_proves_nothing(worktree, project, text):
    (worktree / ".git").write_text(text)

    assert own.of_worktree(worktree, own.find(project)) is None


def test_another_sandbox_s_worktree_is_not_this_one_s(worktree, project, root):
    git(project, "worktree", "add", "-qb", "other", str(root / "other"))
    (worktree / ".git").write_text((root / "other/.git").read_text())

    assert own.of_worktree(worktree, own.find(project)) is None


def test_entries_that_a_link_leads_to_are_nobody_s(worktree, project, tmp_path):
    made = own.of_worktree(worktree, own.find(project))
    assert own.is_listed(made)
    os.rename(project / ".git/worktrees", tmp_path / "elsewhere")
    (project / ".git/worktrees").symlink_to(tmp_path / "elsewhere")

    assert list(own.entries(own.find(project))) == []
    assert not own.is_listed(made)


def test_a_repository_with_a_name_that_is_not_utf_8(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    git(folder, "init", "-qb", "main")
    git(folder, "commit", "-qm", "x", "--allow-empty")
    git(folder, "worktree", "add", "-qb", "work", str(tmp_path / "repo"))
    made = own.of_worktree(tmp_path / "repo", own.find(folder))

    own.point_to(made)
    own.list_at(made)

    assert git(tmp_path / "repo", "branch", "--show-current") == "work"
    own.save(tmp_path, made)
    assert own.load(tmp_path) == made


def test_a_whole_clone_is_as_it_was(clone):
    clone.check()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda git_dir: git_dir.rename(git_dir.parent / "x"), id="gone"),
        pytest.param(
            lambda git_dir: (
                git_dir.rename(git_dir.parent / "x") and git_dir.symlink_to(git_dir.parent / "x")
            ),
            id="a link",
        ),
        pytest.param(
            lambda git_dir: (
                git_dir.rename(git_dir.parent / "x") and git_dir.write_text("gitdir: x\n")
            ),
            id="a file",
        ),
        pytest.param(lambda d: (d / "commondir").write_text(".."), id="shared"),
        pytest.param(lambda d: (d / "commondir").symlink_to("/nowhere"), id="shared by a link"),
        pytest.param(
            lambda d: (d / "objects/info/alternates").write_text("/x"), id="objects elsewhere"
        ),
        pytest.param(
            lambda d: (d / "refs/heads/deep").mkdir() or (d / "refs/heads/deep/x").symlink_to("/x"),
            id="a reference elsewhere",
        ),
        pytest.param(lambda d: (d / "objects/ff").symlink_to("/tmp"), id="objects by a link"),
        pytest.param(lambda d: (d / "FETCH_HEAD").symlink_to("/x"), id="what git writes"),
    ],
)
def test_a_clone_in_which_something_leads_elsewhere_is_refused(clone, change):
    change(clone.git_dir)

    with pytest.raises(ForeignGit):
        clone.check()


@pytest.mark.parametrize(
    "name", ["index", "HEAD", "logs", "logs/HEAD", "COMMIT_EDITMSG", "../../logs/refs/heads/work"]
)
def test_a_worktree_in_whose_own_part_something_leads_elsewhere_is_refused(
    worktree, project, tmp_path, name
):
    made = own.of_worktree(worktree, own.find(project))
    made.check()
    there = made.git_dir / name
    if os.path.lexists(there):
        there.rename(tmp_path / "moved")
    there.symlink_to(tmp_path / "moved")

    with pytest.raises(ForeignGit, match="is a link"):
        made.check()


def test_a_worktree_s_head_may_be_a_link_to_a_branch(worktree, project):
    made = own.of_worktree(worktree, own.find(project))
    git(worktree, "-c", "core.preferSymlinkRefs=true", "symbolic-ref", "HEAD", "refs/heads/work")

    assert (made.git_dir / "HEAD").is_symlink()
    made.check()


def test_a_person_s_repository_may_have_links(project):
    (project / ".git/hooks/x").symlink_to("/bin/true")
    os.rename(project / ".git/objects", project / "objects")
    (project / ".git/objects").symlink_to(project / "objects")

    own.find(project).check()
