"""A person's folder without a commit: asked about first, never taken for the agent's work."""

from __future__ import annotations

import os

import pytest

from agents.harness.questions import START_REPOSITORY, WORK_HERE
from mesh.git import own
from sandboxes.daemon.checkout import history
from sandboxes.daemon.checkout.choices import NO_HISTORY, Choice
from sandboxes.daemon.checkout.history import NoHistory
from sandboxes.daemon.checkout.kept_choices import ChoiceNeeded, keep, load
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git, GitFailed
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.spec import Spec
from tests.sandboxes.daemon.checkout.test_checkout import git

pytestmark = pytest.mark.programs

HANDLE = "main-0123456789abcdef"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def notes(tmp_path):
    """A person's folder that is in no repository, with a file that .gitignore leaves out."""
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "plan.txt").write_text("mine")
    (folder / ".gitignore").write_text("secret.env\n")
    (folder / "secret.env").write_text("KEY=1")
    return folder


@pytest.fixture
def unborn(notes):
    git(notes, "init", "-q", "-b", "main")
    git(notes, "add", "sub/plan.txt")
    return notes


@pytest.fixture(autouse=True)
def an_older_git(monkeypatch):
    """No orphan worktrees, whichever git the machine has."""
    monkeypatch.setattr(history, "can_make_orphans", lambda root, git: False)


def prepared(folder, root, choice=None):
    if choice:
        keep(root, NO_HISTORY, Choice(choice))
    return prepare(Spec(HANDLE, folder=str(folder)), root / "repo", Git(), Notices(root))


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("kind", ["notes", "unborn"])
def test_the_person_is_asked_before_anything_is_done(root, kind, request):
    folder = request.getfixturevalue(kind)
    before = contents(folder)

    with pytest.raises(ChoiceNeeded) as asked:
        prepared(folder, root)

    question = asked.value.question
    assert [option.id for option in question.options] == [START_REPOSITORY, WORK_HERE, "cancel"]
    assert "all 2 files" in question.options[0].description or kind == "unborn"
    assert contents(folder) == before
    assert not (root / history.DRAFT).exists()
    assert not own.is_known(root)


def offered(folder, root):
    """Return what the question says of starting a repository."""
    with pytest.raises(ChoiceNeeded) as asked:
        prepared(folder, root)
    return asked.value.question.options[0].description


def test_files_that_were_added_but_not_committed_are_counted(root, unborn):
    git(unborn, "add", ".")
    (unborn / "gone.txt").write_text("x")
    git(unborn, "add", "gone.txt")
    (unborn / "gone.txt").unlink()

    assert "one commit with all 2 files in it" in offered(unborn, root)


def test_the_question_says_that_repositories_inside_are_left_out(root, notes):
    git(notes, "init", "-q", "one")
    assert "The repository inside is left out" in offered(notes, root)
    git(notes, "init", "-q", "other")

    assert "The 2 repositories inside are left out" in offered(notes, root)


@pytest.mark.parametrize("kind", ["notes", "unborn"])
def test_nothing_in_a_folder_without_history_counts_as_the_agents(root, kind, request):
    folder = request.getfixturevalue(kind)
    before = contents(folder)

    assert prepared(folder, root, WORK_HERE) == folder
    assert prepared(folder, root) == folder  # not asked again
    with pytest.raises(NoHistory):
        Repository(Tree(folder, folder), root)
    assert contents(folder) == before


@pytest.mark.parametrize("kind", ["notes", "unborn"])
def test_starting_a_repository_commits_what_is_there_and_the_agent_gets_a_copy(root, kind, request):
    folder = request.getfixturevalue(kind)
    files = {path: data for path, data in contents(folder).items() if ".git" not in path.parts}

    where = prepared(folder, root, START_REPOSITORY)

    assert where == root / "repo"
    assert (where / "sub/plan.txt").read_text() == "mine"
    assert git(folder, "ls-files") == ".gitignore\nsub/plan.txt"
    assert git(folder, "status", "--porcelain") == ""
    assert git(folder, "log", "--format=%s") == "Start the history"
    now = {path: data for path, data in contents(folder).items() if ".git" not in path.parts}
    assert now == files
    assert [notice.code for notice in Notices(root).pending] == [history.STARTED]


def test_a_nested_repository_stays_out_of_the_first_commit(root, notes):
    git(notes, "init", "-q", "inner")
    (notes / "inner" / "theirs.txt").write_text("x")

    prepared(notes, root, START_REPOSITORY)

    assert git(notes, "ls-files") == ".gitignore\nsub/plan.txt"
    assert (notes / "inner/theirs.txt").exists()


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        pytest.param("MOST_FILES", "more than 1 files", id="too many files"),
        pytest.param("MOST_BYTES", "more than 1 GB", id="too large"),
        pytest.param("MOST_ENTRIES", "more than 1 files", id="too many to look at"),
    ],
)
def test_a_big_folder_is_not_offered_a_repository(root, notes, monkeypatch, limit, says):
    monkeypatch.setattr(history, limit, 1)

    with pytest.raises(ChoiceNeeded) as asked:
        prepared(notes, root)

    assert START_REPOSITORY not in [option.id for option in asked.value.question.options]
    assert says in asked.value.question.text


@pytest.mark.parametrize("home", ["notes", "notes/sub"])
def test_neither_the_home_folder_nor_one_around_it_becomes_a_repository(
    root, notes, tmp_path, monkeypatch, home
):
    monkeypatch.setenv("HOME", str(tmp_path / home))

    with pytest.raises(ChoiceNeeded) as asked:
        prepared(notes, root)
    with pytest.raises(GitFailed, match="your home folder"):
        prepared(notes, root, START_REPOSITORY)  # named in advance

    assert "your home folder" in asked.value.question.text
    assert not (notes / ".git").exists()


def test_a_failure_changes_nothing_and_the_person_is_asked_again(root, notes, monkeypatch):
    before = contents(notes)

    def fails(view, its_git):
        raise GitFailed("No space left on device.")

    monkeypatch.setattr(history, "_commit", fails)
    with pytest.raises(GitFailed):
        prepared(notes, root, START_REPOSITORY)

    assert contents(notes) == before
    assert load(root) == {}
    assert not (root / history.DRAFT).exists()


def test_a_repository_that_appeared_meanwhile_is_left_alone(root, notes):
    draft = root / "x"
    draft.mkdir()
    git(notes, "init", "-q")
    before = contents(notes)

    with pytest.raises(GitFailed, match="appeared meanwhile"):
        history._move(draft, notes / ".git")

    assert contents(notes) == before


def test_an_empty_git_folder_is_no_repository_and_not_in_the_way_of_one(root, notes):
    (notes / ".git").mkdir()

    assert prepared(notes, root, START_REPOSITORY) == root / "repo"
    assert git(notes, "status", "--porcelain") == ""


def test_a_repository_comes_whole_from_another_file_system(root, notes, monkeypatch):
    rename = type(root).rename

    def refuses(path, target):
        if path.name == ".git":
            raise OSError(18, "Invalid cross-device link")
        return rename(path, target)

    monkeypatch.setattr(type(root), "rename", refuses)
    prepared(notes, root, START_REPOSITORY)

    assert git(notes, "status", "--porcelain") == ""
    assert sorted(os.listdir(notes)) == [".git", ".gitignore", "secret.env", "sub"]


@pytest.mark.parametrize(
    ("version", "can"),
    [
        ("git version 2.39.5", False),
        ("git version 2.42.0", True),
        ("git version 2.50.1 (Apple Git-155)", True),
        ("git version 3.0", True),
        ("no git", False),
    ],
)
def test_the_version_of_git_decides_about_orphan_worktrees(root, monkeypatch, version, can):
    monkeypatch.undo()
    monkeypatch.setattr(Git, "ask", lambda self, where, *args: version)

    assert history.can_make_orphans(root, Git()) is can
