"""Folders of removed sandboxes: brought back by the next start, by hand, or freed after a week."""

import os
import shutil

import pytest

from links.daemon.errors import AlreadyThere
from links.daemon.removed_folders import KEPT_FOR, REMOVED, RemovedFolders
from links.daemon.sandbox_folders import SandboxFolders
from links.daemon.spec import SandboxSpec
from links.wire.names import RESTORED
from mesh.git import own
from tests.links.daemon.test_sandbox_folders import Clock, commit, git

pytestmark = pytest.mark.programs

SPEC = SandboxSpec("h")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "sandboxes"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folders(supervisor, clock):
    return SandboxFolders(supervisor, clock=clock)


@pytest.fixture
def origin(tmp_path):
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-qb", "main")
    commit(folder)
    return folder


def work_in(root, origin, branch="work"):
    git(origin, "worktree", "add", "-qb", branch, str(root / "repo"))
    own.save(root, own.of_worktree(root / "repo", own.find(origin)))
    (root / "repo/new").write_text("work")


@pytest.fixture
async def removed(supervisor, folders, home, origin):
    """The folder of a sandbox that was removed with work in it."""
    await supervisor.ensure(SPEC)
    work_in(home / "h", origin)
    await folders.remove("h", force=True)
    return home / "h"


def listed(origin):
    return git(origin, "worktree", "list")


async def test_the_next_start_brings_the_folder_back_and_says_so(removed, supervisor, origin):
    await supervisor.ensure(SPEC)

    assert (removed / "repo/new").read_text() == "work"
    assert git(removed / "repo", "status", "--porcelain", "--branch") == "## work\n?? new"
    assert str(removed / "repo") in listed(origin)
    assert (removed / RESTORED).exists()
    assert os.listdir(removed.parent / REMOVED) == []


async def test_a_removal_that_was_cut_off_leaves_the_folder_its_week(
    supervisor, folders, home, origin, clock, monkeypatch
):
    await supervisor.ensure(SPEC)
    work_in(home / "h", origin)
    git(home / "h/repo", "checkout", "-q", "--detach")
    clock.now = (home / "h").stat().st_mtime + 2 * KEPT_FOR  # nothing was made there since
    with monkeypatch.context() as patched:
        patched.setattr(own, "list_at", _cut_off)
        with pytest.raises(OSError, match="cut off"):
            await folders.remove("h", force=True)

    await folders.prune()
    await folders.restore("h")

    assert (home / "h/repo/new").read_text() == "work"


def _cut_off(_):
    raise OSError("cut off")


async def test_a_folder_restored_by_hand_is_not_reported(removed, folders):
    await folders.restore("h")

    assert (removed / "repo/new").read_text() == "work"
    assert not (removed / RESTORED).exists()


@pytest.fixture
async def hidden(removed, supervisor):
    """The same, with a newer and empty folder that an earlier version made."""
    removed.mkdir()
    (removed / "spec.json").write_text('{"handle": "h"}')
    return removed


async def test_an_empty_newer_folder_does_not_hide_it_from_the_next_start(hidden, supervisor):
    await supervisor.ensure(SPEC)

    assert (hidden / "repo/new").read_text() == "work"
    assert len(os.listdir(hidden.parent / REMOVED)) == 1


async def test_an_empty_newer_folder_does_not_block_a_restore(hidden, folders):
    await folders.restore("h")

    assert (hidden / "repo/new").read_text() == "work"


async def test_an_empty_newer_folder_that_is_removed_too_does_not_hide_it(hidden, folders):
    await folders.remove("h", force=True)
    assert len(os.listdir(hidden.parent / REMOVED)) == 2

    await folders.restore("h")

    assert (hidden / "repo/new").read_text() == "work"


async def test_a_sandbox_that_runs_in_an_empty_newer_folder_is_replaced(removed, supervisor, home):
    put_away = next((home / REMOVED).iterdir())
    shutil.move(put_away, home / "elsewhere")
    pid = (await supervisor.ensure(SPEC)).pid
    shutil.move(home / "elsewhere", put_away)

    assert (await supervisor.ensure(SPEC)).pid != pid
    assert (removed / "repo/new").read_text() == "work"


async def test_of_two_with_work_the_next_start_brings_the_later_one(removed, folders, home, origin):
    removed.mkdir()
    (removed / "spec.json").write_text('{"handle": "h"}')
    work_in(removed, origin, "later")
    await folders.remove("h", force=True)

    await folders.restore("h")

    assert git(removed / "repo", "branch", "--show-current") == "later"
    assert len(os.listdir(home / REMOVED)) == 1
    with pytest.raises(AlreadyThere):
        await folders.restore("h")


async def test_a_removed_folder_of_another_sandbox_stays(removed, supervisor, home):
    await supervisor.ensure(SandboxSpec("h-2"))

    assert len(os.listdir(home / REMOVED)) == 1


async def test_what_is_deleted_after_a_week_frees_its_branch(
    removed, supervisor, folders, clock, origin
):
    clock.now += KEPT_FOR + 1
    await folders.prune()
    await supervisor.ensure(SPEC)

    assert not (removed / "repo").exists()
    git(origin, "worktree", "add", str(removed / "repo"), "work")


async def test_the_entry_of_another_worktree_is_never_touched(
    removed, folders, clock, origin, tmp_path
):
    git(origin, "worktree", "prune")
    for entry in (origin / ".git/worktrees").iterdir():
        shutil.rmtree(entry)  # as the person's git does, if the folder was away
    git(origin, "worktree", "add", "-qb", "theirs", str(tmp_path / "theirs/repo"))
    before = listed(origin)

    await folders.restore("h")
    await folders.remove("h", force=True)
    clock.now += KEPT_FOR + 1
    await folders.prune()

    assert listed(origin) == before
    assert git(tmp_path / "theirs/repo", "status", "--porcelain") == ""


async def test_a_warm_sandbox_costs_no_worker_thread(removed, supervisor, origin, monkeypatch):
    await supervisor.ensure(SPEC)  # it has work now, and nothing is left in ``.removed``
    monkeypatch.setattr("asyncio.to_thread", _cut_off)

    await supervisor.ensure(SPEC)


def test_a_folder_without_a_working_folder_wants_none(home):
    home.mkdir(exist_ok=True)
    removed = RemovedFolders(home)

    assert not removed.is_wanted("h")
    assert not removed.bring_back("h", is_told=True)


# The branch of a removed folder


async def test_a_removed_folder_s_branch_is_free(removed, origin, tmp_path):
    git(origin, "worktree", "add", str(tmp_path / "other"), "work")
    git(origin, "worktree", "remove", str(tmp_path / "other"))
    git(origin, "branch", "-D", "work")


async def test_the_branch_comes_back_with_the_folder(removed, folders):
    await folders.restore("h")

    assert git(removed / "repo", "branch", "--show-current") == "work"
    assert not (removed / "branch").exists()


def move_on(origin, elsewhere):
    git(origin, "worktree", "add", "-q", str(elsewhere), "work")
    commit(elsewhere, "theirs")
    git(origin, "worktree", "remove", str(elsewhere))


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(move_on, id="moved on"),
        pytest.param(lambda o, to: git(o, "worktree", "add", "-q", str(to), "work"), id="in use"),
        pytest.param(lambda o, to: git(o, "checkout", "-q", "work"), id="in the person's folder"),
        pytest.param(lambda o, to: git(o, "branch", "-D", "work"), id="deleted"),
    ],
)
async def test_a_branch_that_changed_or_is_in_use_is_left_alone(
    removed, supervisor, origin, tmp_path, use
):
    use(origin, tmp_path / "elsewhere")
    before = git(origin, "for-each-ref"), git(origin, "symbolic-ref", "HEAD")

    await supervisor.ensure(SPEC)

    assert git(removed / "repo", "status", "--porcelain", "--branch").splitlines() == [
        "## HEAD (no branch)",
        "?? new",
    ]
    assert (removed / RESTORED).read_text() == "work"
    assert (git(origin, "for-each-ref"), git(origin, "symbolic-ref", "HEAD")) == before


async def test_a_commit_on_no_branch_stays_so(supervisor, folders, home, origin):
    await supervisor.ensure(SPEC)
    work_in(home / "h", origin)
    git(home / "h/repo", "checkout", "-q", "--detach")
    commit(home / "h/repo", "detached")
    head = git(home / "h/repo", "rev-parse", "HEAD")

    await folders.remove("h", force=True)
    await folders.restore("h")

    assert git(home / "h/repo", "rev-parse", "HEAD") == head
    assert git(home / "h/repo", "branch", "--show-current") == ""


async def test_a_sandbox_without_git_is_removed_and_restored_all_the_same(
    removed, supervisor, folders, monkeypatch
):
    await folders.restore("h")
    monkeypatch.setenv("PATH", "/nowhere")

    await folders.remove("h", force=True)
    await folders.restore("h")

    assert (removed / "repo/new").read_text() == "work"
