"""A wanted branch that is checked out elsewhere, or can't be created: a choice, or another name."""

from __future__ import annotations

import json
import shutil

import pytest

from agents.harness.questions import NEW_BRANCH, WORK_THERE
from sandboxes.daemon.checkout import in_use
from sandboxes.daemon.checkout.choices import Choice
from sandboxes.daemon.checkout.kept_choices import ChoiceNeeded, keep, load
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git, GitFailed
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.errors import ChangedBefore, UncommittedChanges
from sandboxes.daemon.repository.publish import Options
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.spec import Spec
from tests.sandboxes.daemon.checkout.test_checkout import git

pytestmark = pytest.mark.programs

HANDLE = "main-0123456789abcdef"
IN_USE = "branch_in_use:main"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "sandboxes" / HANDLE
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def shop(tmp_path):
    """A person's repository on ``main``, with an edit and a file that are not committed."""
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    (folder / "a.txt").write_text("mine\n")
    (folder / "new.txt").write_text("mine too\n")
    return folder


def prepared(shop, root, branch="main", **more):
    given = Spec(HANDLE, folder=str(shop), branch=branch, **more)
    return prepare(given, root / "repo", Git(), Notices(root))


def asked(shop, root, branch="main", **more):
    with pytest.raises(ChoiceNeeded) as needed:
        prepared(shop, root, branch, **more)
    return needed.value.question


def test_the_question_names_the_folder_of_the_person(root, shop):
    question = asked(shop, root)

    assert question.key == IN_USE
    assert f"checked out in {shop}" in question.text
    assert [option.id for option in question.options] == [WORK_THERE, NEW_BRANCH, "cancel"]


def test_the_folder_is_named_also_if_its_git_directory_is_elsewhere(root, shop, tmp_path):
    git(shop, "init", "-q", f"--separate-git-dir={tmp_path / 'kept.git'}")

    assert f"checked out in {shop}," in asked(shop, root).text
    keep(root, asked(shop, root).key, Choice(WORK_THERE))
    assert prepared(shop, root) == shop


def test_another_worktree_is_named_and_offered_only_if_it_is_allowed(root, shop, tmp_path):
    git(shop, "worktree", "add", "-q", "-b", "feature", str(tmp_path / "other"))

    refused = asked(shop, root, "feature")
    offered = asked(shop, root, "feature", allowed=(str(tmp_path),))

    assert str(tmp_path / "other") in refused.text
    assert "does not allow that folder" in refused.text
    assert WORK_THERE not in [option.id for option in refused.options]
    assert WORK_THERE in [option.id for option in offered.options]


def test_a_question_about_a_folder_whose_name_is_not_utf_8_can_be_answered(root, shop):
    """Its words come back from the server, which stores no half characters."""
    git(shop, "worktree", "add", "-q", "-b", "feature", shop.with_name("caf\udce9"))

    question = asked(shop, root, "feature")
    words = question.as_input()["questions"][0]

    assert str(shop.with_name("caf\\351")) in words["question"]
    assert json.dumps(words, ensure_ascii=False).encode()
    answers = {words["question"]: words["options"][0]["label"]}
    assert question.chosen("allow", answers).id == NEW_BRANCH


def test_the_folder_of_another_chat_is_named_as_that_and_not_offered(root, shop):
    other = root.with_name("other-0123456789abcdef") / "repo"
    git(shop, "worktree", "add", "-q", "-b", "feature", str(other))

    question = asked(shop, root, "feature", allowed=(str(shop.parent),))

    assert "the folder of another chat" in question.text
    assert WORK_THERE not in [option.id for option in question.options]


def test_a_new_branch_starts_where_the_wanted_one_is(root, shop):
    git(shop, "checkout", "-qb", "ahead")
    git(shop, "commit", "-qam", "second")
    git(shop, "worktree", "add", "-q", str(shop.with_name("main-too")), "main")
    keep(root, IN_USE, Choice(NEW_BRANCH))

    where = prepared(shop, root)

    assert git(where, "branch", "--show-current") == "main-2"
    assert git(where, "rev-parse", "HEAD") == git(shop, "rev-parse", "main")
    assert prepared(shop, root) == where  # asked once


def test_a_new_branch_may_have_a_name_of_the_person_s(root, shop):
    keep(root, IN_USE, Choice(NEW_BRANCH, "mine/too"))

    assert git(prepared(shop, root), "branch", "--show-current") == "mine/too"


def test_no_branch_gets_the_name_of_a_remote_s_which_it_would_hide(root, shop):
    git(shop, "update-ref", "refs/remotes/origin/main", "main")

    with pytest.raises(GitFailed, match="a branch of a server"):
        prepared(shop, root, "origin/main")

    assert git(shop, "branch", "--format=%(refname:short)") == "main"
    assert not (root / "repo").exists()


@pytest.mark.parametrize("name", ["a..b", "--help", "main"])
def test_a_name_that_can_t_be_used_is_refused_and_asked_for_again(root, shop, name):
    keep(root, IN_USE, Choice(NEW_BRANCH, name))

    with pytest.raises(GitFailed):
        prepared(shop, root)

    assert load(root) == {}
    assert asked(shop, root).key == IN_USE
    assert git(shop, "branch", "--format=%(refname:short)") == "main"


def test_names_that_are_in_use_too_are_asked_about_in_turn(root, shop):
    git(shop, "worktree", "add", "-q", "-b", "other", str(shop.with_name("other")))
    keep(root, IN_USE, Choice(NEW_BRANCH, "other"))

    assert asked(shop, root).key == "branch_in_use:other"

    keep(root, "branch_in_use:other", Choice(NEW_BRANCH, "main"))
    with pytest.raises(GitFailed, match="elsewhere, too"):
        prepared(shop, root)
    assert load(root) == {}


@pytest.mark.parametrize("wanted", ["main", "mesh/x"])
def test_a_folder_that_was_deleted_comes_back_on_the_same_branch(root, shop, wanted):
    git(shop, "branch", "mesh")
    keep(root, IN_USE, Choice(NEW_BRANCH))
    before = git(prepared(shop, root, wanted), "branch", "--show-current")
    shutil.rmtree(root / "repo")

    assert git(prepared(shop, root, wanted), "branch", "--show-current") == before
    assert before in ("main-2", "mesh-x")


def test_a_chat_that_has_its_folder_is_not_asked_when_the_branch_moves(root, shop):
    where = prepared(shop, root, "feature")
    git(where, "checkout", "-qb", "elsewhere")
    git(shop, "stash", "-qu")
    git(shop, "checkout", "-q", "feature")

    assert prepared(shop, root, "feature") == where


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_chat_whose_branch_the_person_took_over_is_asked(root, shop, is_deleted):
    where = prepared(shop, root, "feature")
    (where / "work.txt").write_text("the agent's\n")
    shutil.rmtree(where if is_deleted else shop / ".git/worktrees")
    git(shop, "worktree", "prune")
    git(shop, "checkout", "-q", "feature")

    question = asked(shop, root, "feature")
    keep(root, question.key, Choice(NEW_BRANCH))

    assert f"checked out in {shop}" in question.text
    assert git(prepared(shop, root, "feature"), "branch", "--show-current") == "feature-2"
    assert (where / "work.txt").exists() is not is_deleted


@pytest.fixture
def there(root, shop):
    """The repository as its routes see it while the agent works in the person's own checkout."""
    keep(root, IN_USE, Choice(WORK_THERE))
    assert prepared(shop, root) == shop
    assert prepared(shop, root) == shop
    return Repository(Tree(shop, shop), root)


def test_in_the_person_s_folder_only_later_changes_are_the_agent_s(there, shop):
    assert there.facts().own == ()
    assert there.diff()["diff"] == ""
    (shop / "b.txt").write_text("the agent's\n")

    assert [change.path for change in there.facts().own] == ["b.txt"]
    assert "the agent's" in there.diff()["diff"]


@pytest.mark.parametrize("path", ["a.txt", "new.txt"])
def test_what_was_changed_before_is_never_discarded(there, shop, path):
    (shop / path).write_text("the agent's on top\n")

    with pytest.raises(ChangedBefore):
        there.discard([path])

    assert (shop / path).read_text() == "the agent's on top\n"


def test_what_the_agent_changed_there_is_discarded(there, shop):
    (shop / "b.txt").write_text("the agent's\n")

    there.discard(["b.txt"])

    assert (shop / "b.txt").read_text() == "one\n"
    assert (shop / "a.txt").read_text() == "mine\n"


def test_a_rebase_never_puts_the_person_s_changes_aside(there, shop):
    with pytest.raises(UncommittedChanges):
        there.rebase("main")

    assert (shop / "a.txt").read_text() == "mine\n"
    assert (shop / "new.txt").read_text() == "mine too\n"


def test_what_the_person_had_staged_is_not_published(root, shop):
    git(shop, "add", "a.txt")
    git(shop, "checkout", "-qb", "feature")
    git(shop, "remote", "add", "origin", str(shop.with_name("no-server")))
    keep(root, "branch_in_use:feature", Choice(WORK_THERE))
    prepared(shop, root, "feature")
    (shop / "b.txt").write_text("the agent's\n")

    with pytest.raises(ChangedBefore):
        Repository(Tree(shop, shop), root).publish(
            Options("work"), lambda call: pytest.fail(f"{call.name} is no hook")
        )

    assert git(shop, "log", "--format=%s") == "first"


@pytest.mark.parametrize(
    ("existing", "branch", "name"),
    [
        pytest.param("mesh", "", f"mesh-{HANDLE}", id="a branch named mesh"),
        pytest.param("mesh/x", "mesh/x/y", "mesh-x-y", id="a branch above"),
        pytest.param("x/y/z", "x/y", "x-y", id="a branch below"),
    ],
)
def test_another_prefix_is_chosen_where_git_can_t_create_the_branch_and_that_is_told(
    root, shop, existing, branch, name
):
    git(shop, "branch", existing)

    where = prepared(shop, root, branch)

    assert git(where, "branch", "--show-current") == name
    told = [notice.text for notice in Notices(root).pending if notice.code == in_use.RENAMED]
    assert len(told) == 1
    assert f"“{name}”" in told[0]
