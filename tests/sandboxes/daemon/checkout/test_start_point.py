"""What the person is told of a new worktree: its commit, and what it lacks of their work."""

from __future__ import annotations

import os

import pytest

from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.checkout.start_point import BEHIND, LACKS_CHANGES, StartPoint
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import Spec
from tests.sandboxes.daemon.checkout.test_checkout import git

HANDLE = "main-0123456789abcdef"


@pytest.mark.parametrize(
    ("start", "words"),
    [
        pytest.param(StartPoint("1a2b3c4 “first”"), "", id="it lacks nothing"),
        pytest.param(
            StartPoint("1a2b3c4 “first”", changes=1),
            "Starts from 1a2b3c4 “first”: 1 uncommitted change of yours is not in it.",
            id="a change",
        ),
        pytest.param(
            StartPoint("1a2b3c4 “first”", changes=1200),
            "Starts from 1a2b3c4 “first”: 1,200 uncommitted changes of yours are not in it.",
            id="changes",
        ),
        pytest.param(
            StartPoint("1a2b3c4 “first”", 0, 1, "origin/main", "2026-11-28 at 14:03"),
            "Starts from 1a2b3c4 “first”: it is 1 commit behind origin/main, as of your last fetch"
            " on 2026-11-28 at 14:03.",
            id="behind",
        ),
        pytest.param(
            StartPoint("1a2b3c4 “first”", 2, 30, "origin/main"),
            "Starts from 1a2b3c4 “first”: 2 uncommitted changes of yours are not in it; it is 30"
            " commits behind origin/main.",
            id="both, and no time",
        ),
        pytest.param(
            StartPoint("", changes=2),
            "Starts empty, without a commit: 2 uncommitted changes of yours are not in it.",
            id="no commit",
        ),
    ],
)
def test_the_words(start, words):
    assert start.in_words() == words


@pytest.fixture
def shop(tmp_path):
    """A person's clone, three commits behind its origin, as of a fetch at a known time."""
    origin, folder = tmp_path / "origin", tmp_path / "shop"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    git(origin, "commit", "-qm", "first", "--allow-empty")
    git(tmp_path, "clone", "-q", str(origin), "shop")
    for name in ("second", "third", "fourth"):
        git(origin, "commit", "-qm", name, "--allow-empty")
    git(folder, "fetch", "-q")
    os.utime(folder / ".git/FETCH_HEAD", (0, 0))
    return folder


@pytest.fixture
def told(tmp_path, shop):
    root = tmp_path / "root"
    root.mkdir()

    def prepared(branch=""):
        notices = Notices(root)
        prepare(Spec(HANDLE, folder=str(shop), branch=branch), root / "repo", Git(), notices)
        return [(notice.code, notice.text) for notice in Notices(root).pending]

    return prepared


@pytest.mark.programs
def test_a_base_behind_its_upstream_is_told_with_the_time_of_the_fetch(told):
    [(code, text)] = told()

    assert code == BEHIND
    assert "“first”: it is 3 commits behind origin/main, as of your last fetch on 19" in text


@pytest.mark.programs
def test_uncommitted_changes_are_counted_new_files_included(told, shop):
    git(shop, "pull", "-q")
    (shop / "new.txt").write_text("x")
    (shop / "staged.txt").write_text("x")
    git(shop, "add", "staged.txt")

    [(code, text)] = told()

    assert (code, "“fourth”: 2 uncommitted changes of yours" in text) == (LACKS_CHANGES, True)


@pytest.mark.programs
def test_a_clean_folder_says_nothing_and_each_worktree_is_told_once(told, shop):
    git(shop, "pull", "-q")
    assert told() == []

    (shop / "new.txt").write_text("x")  # after the worktree was made
    assert told() == []
