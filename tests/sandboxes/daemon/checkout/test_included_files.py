"""Files that git ignores and a project needs, copied into a new worktree. With real git."""

from __future__ import annotations

import os

import pytest

from sandboxes.daemon.checkout import included_files
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import parse_spec
from tests.sandboxes.daemon.projects import git

pytestmark = pytest.mark.programs

SECRET = "PASSWORD=only-in-the-file\n"


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def project(tmp_path):
    """A person's repository that ignores ``.env``, ``secret/`` and ``node_modules``."""
    folder = tmp_path / "project"
    write(folder, {".gitignore": ".env\nsecret/\nnode_modules/\n", "apps/web/a.txt": "one\n"})
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    write(folder, {".env": SECRET, "secret/deep/key": "key", "apps/web/.env": "web"})
    return folder


@pytest.fixture
def worktree(project, tmp_path):
    """Return ``worktree(branch)``: the new worktree, and what the person is told about it."""

    def make(branch="feature", folder=project):
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        spec = parse_spec({"handle": "h-0123456789abcdef", "folder": str(folder), "branch": branch})
        notices = Notices(root)
        prepare(spec, root / "repo", Git(), notices)
        mine = (included_files.COPIED, included_files.NOT_COPIED)
        told = {notice.text for notice in notices.pending if notice.code in mine}
        return root / "repo", told

    return make


def ignored_in(repo):
    listed = git(repo, "ls-files", "-z", "--others", "--ignored", "--exclude-standard")
    return set(filter(None, listed.split("\0")))


def test_nothing_is_copied_unless_a_list_asks_for_it(worktree):
    repo, told = worktree()

    assert (ignored_in(repo), told) == (set(), set())


@pytest.mark.parametrize(
    ("lists", "copied"),
    [
        pytest.param({".worktreeinclude": ".env\n"}, {".env", "apps/web/.env"}, id="by name"),
        pytest.param({".worktreeinclude": "/.env\n"}, {".env"}, id="at the top"),
        pytest.param({".worktreeinclude": "# all\nsecret/\n"}, {"secret/deep/key"}, id="a folder"),
        pytest.param({".worktreeinclude": ".env\n!/.env\n"}, {"apps/web/.env"}, id="but not"),
        pytest.param({"mesh.toml": 'include = ["secret"]'}, {"secret/deep/key"}, id="mesh.toml"),
        pytest.param(
            {"pyproject.toml": '[tool.mesh]\ninclude = ["/.env"]'}, {".env"}, id="pyproject.toml"
        ),
        pytest.param(
            {"mesh.toml": 'include = ["/.env"]', ".worktreeinclude": "secret"},
            {".env", "secret/deep/key"},
            id="both",
        ),
        pytest.param({".worktreeinclude": "*.txt\nnone\n"}, set(), id="not ignored by git"),
        pytest.param({"mesh.toml": "include = 7"}, set(), id="no list"),
        pytest.param({"mesh.toml": "include = [7, '']"}, set(), id="no patterns"),
    ],
)
def test_what_the_lists_name_and_git_ignores_is_copied(project, worktree, lists, copied):
    write(project, lists)
    repo, told = worktree()

    assert ignored_in(repo) == copied
    assert git(repo, "status", "--porcelain") == ""
    assert all(any(name in text for text in told) for name in copied)


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        pytest.param({"mesh.toml": 'include = [".env"'}, "it is not valid TOML", id="no TOML"),
        pytest.param(
            {"mesh.toml": 'include = ".env"'}, "its “include” is not a list", id="no list"
        ),
    ],
)
def test_settings_that_can_t_be_followed_are_told(project, worktree, lists, why):
    write(project, lists)
    _, told = worktree()

    assert told == {f"Not copied from your folder: what mesh.toml names ({why})."}


def test_broken_settings_of_others_are_not_told(project, worktree):
    write(project, {"pyproject.toml": "[project\n"})

    assert worktree()[1] == set()


def test_a_subfolder_s_settings_count_in_the_subfolder(project, worktree):
    write(project, {"apps/web/mesh.toml": 'include = [".env"]'})

    repo, _ = worktree(folder=project / "apps/web")

    assert ignored_in(repo) == {"apps/web/.env"}


def test_contents_and_modes_are_kept_and_nothing_is_linked(project, worktree):
    write(project, {".worktreeinclude": ".env\nsecret\n"})
    (project / ".env").chmod(0o640)
    (project / "secret").chmod(0o750)
    repo, _ = worktree()

    assert (repo / ".env").read_text() == SECRET
    assert (repo / ".env").stat().st_mode & 0o777 == 0o640
    assert (repo / "secret").stat().st_mode & 0o777 == 0o750
    assert (repo / ".env").stat().st_nlink == 1
    assert not any(path.is_symlink() for path in repo.rglob("*"))


def test_only_names_are_told_and_logged(project, worktree, caplog):
    caplog.set_level("DEBUG")
    write(project, {".worktreeinclude": "/.env\n"})
    _, told = worktree()

    assert told == {"Copied from your folder, ignored by git: .env."}
    assert "only-in-the-file" not in caplog.text


def test_a_link_is_neither_copied_nor_followed(project, worktree, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/.env").write_text("another project's")
    (project / ".env").unlink()
    (project / ".env").symlink_to(tmp_path / "outside/.env")
    write(project, {".worktreeinclude": "/.env\n"})
    repo, told = worktree()

    assert not os.path.lexists(repo / ".env")
    assert told == {"Not copied from your folder: .env (a link, or behind one)."}


def test_a_link_on_the_branch_leads_no_copy_elsewhere(project, worktree, tmp_path):
    (tmp_path / "outside").mkdir()
    git(project, "checkout", "-qb", "linked")
    (project / "conf").symlink_to(tmp_path / "outside")
    git(project, "add", "conf")
    git(project, "commit", "-qm", "a link")
    git(project, "checkout", "-q", "main")
    write(project, {"conf/.env": "mine", ".worktreeinclude": "/conf/.env\n"})
    _, told = worktree("linked")

    assert list((tmp_path / "outside").iterdir()) == []
    assert told == {"Not copied from your folder: conf/.env (its folder is a link on this branch)."}


def test_a_file_that_the_branch_has_is_not_overwritten(project, worktree):
    git(project, "checkout", "-qb", "tracked")
    git(project, "add", "--force", ".env")
    git(project, "commit", "-qm", "an example")
    git(project, "checkout", "-q", "main")
    write(project, {".env": "mine", ".worktreeinclude": "/.env\n"})
    repo, told = worktree("tracked")

    assert (repo / ".env").read_text() == SECRET
    assert told == set()


def test_what_the_branch_does_not_ignore_is_not_copied(project, worktree):
    git(project, "checkout", "-qb", "old")
    write(project, {".gitignore": "secret/\nnode_modules/\n"})
    git(project, "commit", "-qam", "ignore less")
    git(project, "checkout", "-q", "main")
    write(project, {".worktreeinclude": "/.env\nsecret\n"})
    repo, told = worktree("old")

    assert ignored_in(repo) == {"secret/deep/key"}
    assert git(repo, "status", "--porcelain") == ""
    assert "Not copied from your folder: .env (not ignored on this branch)." in told


def test_what_an_installer_makes_is_not_copied(project, worktree):
    write(project, {f"node_modules/{number}/.env": "x" for number in range(3)})
    write(project, {".worktreeinclude": "node_modules\n/.env\n"})
    repo, told = worktree()

    assert ignored_in(repo) == {".env"}
    assert "Not copied from your folder: node_modules/ (an installer makes it)." in told


@pytest.mark.parametrize(("limit", "most"), [("MOST_FILES", 1), ("MOST_BYTES", len(SECRET))])
def test_files_near_the_top_come_first_and_there_is_a_limit(
    project, worktree, monkeypatch, limit, most
):
    monkeypatch.setattr(included_files, limit, most)
    write(project, {".worktreeinclude": ".env\n"})
    repo, told = worktree()

    assert ignored_in(repo) == {".env"}
    assert any("Not copied from your folder: apps/web/.env (more than" in text for text in told)


def test_the_list_is_the_person_s_and_not_the_branch_s(project, worktree):
    git(project, "checkout", "-qb", "greedy")
    write(project, {".worktreeinclude": "*\n"})
    git(project, "add", ".")
    git(project, "commit", "-qm", "everything")
    git(project, "checkout", "-q", "main")

    assert ignored_in(worktree("greedy")[0]) == set()


def test_a_list_that_is_a_pipe_holds_nothing_up(project, worktree):
    os.mkfifo(project / ".worktreeinclude")
    repo, told = worktree()

    assert told == {"Not copied from your folder: .worktreeinclude (not a file)."}


def test_odd_names_are_told_readably(project, worktree):
    write(project, {"secret/a\nb": "x", ".worktreeinclude": "secret/a*\n"})
    repo, told = worktree()

    assert (repo / "secret/a\nb").read_text() == "x"
    assert told == {"Copied from your folder, ignored by git: secret/a\N{REPLACEMENT CHARACTER}b."}
