"""Folders of sandboxes: measured, removed only without loss, and had back for seven days."""

import asyncio
import os
import shutil
import subprocess

import pytest

from links.daemon.errors import AlreadyThere, SandboxBusy, UnknownHandle, UnsavedWork
from links.daemon.removed_folders import KEPT_FOR
from links.daemon.sandbox_folders import SandboxFolders, unsaved
from links.daemon.spec import SandboxSpec
from mesh.git import own, submodules
from mesh.git.submodules import Filled, Record
from mesh.lib.errors import AppError
from tests.links.daemon.conftest import is_running
from tests.waiting import auntil

pytestmark = pytest.mark.programs


def git(folder, *args):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@mesh.example"]
    done = subprocess.run(
        ["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder, name="file"):
    (folder / name).write_text("x")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", name)


class Clock:
    now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folders(supervisor, clock):
    return SandboxFolders(supervisor, clock=clock)


@pytest.fixture
async def root(supervisor, tmp_path):
    """The folder of a sandbox that runs."""
    await supervisor.ensure(SandboxSpec("h"))
    return tmp_path / "sandboxes" / "h"


@pytest.fixture
def origin(tmp_path):
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-qb", "main")
    commit(folder)
    return folder


@pytest.fixture
def clone(root, origin):
    git(root, "clone", "-q", str(origin), "repo")
    git(root / "repo", "checkout", "-qb", "work")
    own.save(root, own.of_clone(root / "repo", str(origin)))
    return root / "repo"


@pytest.fixture
def worktree(root, origin):
    git(origin, "worktree", "add", "-qb", "work", str(root / "repo"))
    own.save(root, own.of_worktree(root / "repo", own.find(origin)))
    return root / "repo"


async def test_a_clean_clone_would_lose_nothing(clone, root):
    assert await unsaved(root) == []


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        pytest.param(lambda repo: (repo / "new").write_text("x"), "uncommitted_changes", id="new"),
        pytest.param(lambda repo: (repo / "file").unlink(), "uncommitted_changes", id="gone"),
        pytest.param(lambda repo: commit(repo, "b"), "unpushed_commits", id="ahead"),
        pytest.param(
            lambda repo: (commit(repo, "b"), git(repo, "checkout", "-q", "main")),
            "unpushed_commits",
            id="ahead on another branch",
        ),
        pytest.param(
            lambda repo: (
                commit(repo, "b"),
                git(repo, "checkout", "-q", "--orphan", "next"),
                git(repo, "rm", "-rqf", "."),
            ),
            "unpushed_commits",
            id="ahead on another branch than the one without a commit",
        ),
        pytest.param(
            lambda repo: (
                (repo / "file").write_text("y"),
                git(repo, "stash"),
            ),
            "stashed_changes",
            id="stashed",
        ),
    ],
)
async def test_why_a_clone_is_not_removed(clone, root, folders, do, reason):
    do(clone)

    with pytest.raises(UnsavedWork) as caught:
        await folders.remove("h", force=False)

    assert caught.value.extra == {"reasons": [reason]}
    assert clone.is_dir()


async def test_what_is_pushed_or_merged_may_go(clone, root, origin):
    commit(clone, "b")
    git(clone, "push", "-q", "origin", "work")

    assert await unsaved(root) == []


async def test_files_in_no_repository_are_not_removed(root, folders):
    (root / "repo").mkdir()
    (root / "repo" / "notes.txt").write_text("x")

    assert await unsaved(root) == ["files_in_no_repository"]
    assert (await folders.describe("h"))["unsaved"] == ["files_in_no_repository"]


async def test_a_repository_that_an_agent_has_made_is_not_looked_into(root, tmp_path):
    repo = root / "repo"
    repo.mkdir()
    git(repo, "init", "-q")
    commit(repo)
    git(repo, "config", "core.fsmonitor", f"touch {tmp_path / 'ran'}; false")
    own.save(root, None)

    assert await unsaved(root) == ["files_in_no_repository"]
    assert not (tmp_path / "ran").exists()


async def test_what_a_clone_s_configuration_names_is_not_started(clone, root, tmp_path):
    git(clone, "config", "core.fsmonitor", f"touch {tmp_path / 'ran'}; false")

    assert await unsaved(root) == []
    assert not (tmp_path / "ran").exists()


async def test_of_a_folder_of_which_nothing_is_known_git_is_not_asked(clone, root):
    (root / own.RECORD).unlink()

    assert await unsaved(root) == ["not_known"]


async def test_of_a_worktree_the_branch_stays(worktree, root, origin, folders):
    commit(worktree, "b")

    await folders.remove("h", force=False)

    assert git(origin, "log", "-1", "--format=%s", "work") == "b"


async def test_commits_that_git_can_t_count_may_be_lost(worktree, root, origin):
    git(worktree, "checkout", "-q", "--detach")
    commit(worktree, "on-no-branch")
    (origin / ".git/refs/heads/broken").write_text("1" * 40 + "\n")  # as a power cut leaves it

    assert await unsaved(root) == ["not_known"]


async def test_stashes_that_git_can_t_list_may_be_lost(clone, root):
    (clone / "file").write_text("y")
    git(clone, "stash")
    (clone / ".git/refs/stash").write_text("1" * 40 + "\n")

    assert await unsaved(root) == ["not_known"]


async def test_a_repository_without_a_commit_has_none_to_lose(root, origin):
    git(root, "init", "-q", "repo")
    own.save(root, own.of_clone(root / "repo", str(origin)))

    assert await unsaved(root) == []


async def test_a_worktree_with_changes_is_not_removed(worktree, root):
    (worktree / "file").write_text("changed")

    assert await unsaved(root) == ["uncommitted_changes"]


async def test_removing_ends_the_process_and_can_be_undone(clone, root, folders, supervisor):
    pid = supervisor.find("h").pid
    (clone / "new").write_text("work")

    until = await folders.remove("h", force=True)
    assert not is_running(pid)
    assert not root.exists()
    assert until == Clock.now + KEPT_FOR

    await folders.restore("h")
    assert (clone / "new").read_text() == "work"
    await supervisor.ensure(SandboxSpec("h"))


async def test_a_worktree_works_again_after_it_was_brought_back(worktree, root, origin, folders):
    await folders.remove("h", force=False)
    git(origin, "worktree", "prune")  # as the making of another sandbox does
    await folders.restore("h")

    assert git(worktree, "status", "--porcelain", "--branch") == "## work"


async def test_after_seven_days_it_is_gone(worktree, root, origin, folders, clock, tmp_path):
    await folders.remove("h", force=False)
    clock.now += KEPT_FOR - 10
    await folders.prune()
    assert os.listdir(tmp_path / "sandboxes/.removed")

    clock.now += 20
    await folders.prune()

    assert os.listdir(tmp_path / "sandboxes/.removed") == []
    with pytest.raises(UnknownHandle):
        await folders.restore("h")
    assert "work" not in git(origin, "worktree", "list")


async def test_what_was_removed_goes_while_the_link_runs_on(folders, root, clock, tmp_path):
    await folders.remove("h", force=True)
    pruning = asyncio.create_task(folders.prune_periodically(every=0.01))
    removed = tmp_path / "sandboxes" / ".removed"
    assert list(removed.iterdir())

    clock.now += KEPT_FOR + 1

    await auntil(lambda: not list(removed.iterdir()))
    pruning.cancel()


async def test_a_disk_that_fails_once_is_pruned_later(folders, monkeypatch):
    outcomes = iter([OSError("failing disk"), None, None])

    async def prune():
        tried.append(1)
        if error := next(outcomes, None):
            raise error

    tried = []
    monkeypatch.setattr(folders, "prune", prune)
    pruning = asyncio.create_task(folders.prune_periodically(every=0))

    await auntil(lambda: len(tried) > 2)
    pruning.cancel()


async def test_a_new_one_with_work_is_not_overwritten(root, folders):
    await folders.remove("h", force=False)
    (root / "repo").mkdir(parents=True)
    (root / "repo/new").write_text("newer work")

    with pytest.raises(AlreadyThere):
        await folders.restore("h")
    assert (root / "repo/new").read_text() == "newer work"


async def test_one_at_work_is_not_removed(supervisor, fault, folders):
    fault("busy")
    await supervisor.ensure(SandboxSpec("h"))

    with pytest.raises(SandboxBusy):
        await folders.remove("h", force=False)


async def test_removing_waits_for_a_start(supervisor, folders, tmp_path):
    starting = asyncio.create_task(supervisor.ensure(SandboxSpec("h")))
    await asyncio.sleep(0)

    await folders.remove("h", force=True)
    sandbox = await starting

    assert not is_running(sandbox.pid)
    assert not (tmp_path / "sandboxes/h").exists()


async def test_what_never_was(folders):
    for call in (folders.describe("x"), folders.remove("x", force=True), folders.restore("x")):
        with pytest.raises(AppError) as caught:
            await call
        assert caught.value.code == "unknown_handle"


async def test_how_much_of_the_disk_it_takes(root, folders):
    before = (await folders.describe("h"))["bytes"]
    (root / "big").write_bytes(b"x" * 1_000_000)
    (root / "link").symlink_to("/")

    told = await folders.describe("h")

    assert 1_000_000 <= told["bytes"] - before < 1_100_000
    assert told["state"] == "ready"


def journal_of(root):
    return sorted(path.name for path in root.glob("journal.db*"))


async def test_a_kept_folder_loses_the_journal_of_its_runs(folders, supervisor, clone, root):
    (clone / "unsaved").write_text("x")
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (root / name).write_bytes(b"what was said")

    for _ in range(2):  # safe to repeat
        await folders.forget_journal("h")

    assert journal_of(root) == []
    assert (clone / "unsaved").read_text() == "x"
    assert supervisor.listing() == []


async def test_the_journal_of_an_agent_at_work_stays(folders, supervisor, fault, tmp_path):
    fault("busy")
    await supervisor.ensure(SandboxSpec("h"))
    root = tmp_path / "sandboxes" / "h"
    (root / "journal.db").write_bytes(b"what is said")

    with pytest.raises(SandboxBusy):
        await folders.forget_journal("h")
    assert journal_of(root) == ["journal.db"]


async def test_nothing_is_forgotten_of_a_folder_that_is_not_there(folders):
    with pytest.raises(UnknownHandle):
        await folders.forget_journal("none")


@pytest.fixture
def filled(root, origin, worktree, tmp_path):
    """A worktree with a submodule that Mesh filled."""
    library = tmp_path / "lib"
    library.mkdir()
    git(library, "init", "-qb", "main")
    commit(library)
    git(worktree, "-c", "protocol.file.allow=always", "clone", "-q", str(library), "lib")
    for key, value in (("path", "lib"), ("url", str(library))):
        git(worktree, "config", "--file", ".gitmodules", f"submodule.lib.{key}", value)
    git(worktree, "-c", "advice.addEmbeddedRepo=false", "add", ".")
    git(worktree, "commit", "-qm", "with a submodule")
    first = Filled("lib", git(worktree / "lib", "rev-parse", "HEAD"), str(library))
    submodules.save(root, Record((first,), is_complete=True))
    return worktree / "lib"


async def test_a_submodule_as_it_was_filled_would_lose_nothing(filled, root):
    assert await unsaved(root) == []


async def test_a_submodule_that_was_emptied_would_lose_nothing(filled, root):
    shutil.rmtree(filled)
    filled.mkdir()

    assert await unsaved(root) == []


async def test_what_git_keeps_of_a_submodule_that_was_put_away_is_not_known(filled, root):
    git(root / "repo", "submodule", "absorbgitdirs")
    shutil.rmtree(filled)
    filled.mkdir()

    assert await unsaved(root) == ["not_known"]


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        pytest.param(lambda lib: (lib / "new").write_text("x"), "uncommitted_changes", id="new"),
        pytest.param(
            lambda lib: (git(lib, "checkout", "-qb", "work"), commit(lib, "b")),
            "unpushed_commits",
            id="ahead on a branch",
        ),
        pytest.param(
            lambda lib: ((lib / "file").write_text("y"), git(lib, "stash")),
            "stashed_changes",
            id="stashed",
        ),
        pytest.param(
            lambda lib: (lib / ".git/objects/info/alternates").write_text("/x"),
            "not_known",
            id="tampered with",
        ),
    ],
)
async def test_work_inside_a_submodule_is_not_removed(filled, root, folders, do, reason):
    do(filled)

    with pytest.raises(UnsavedWork) as caught:
        await folders.remove("h", force=False)

    assert reason in caught.value.extra["reasons"]
    assert filled.is_dir()


async def test_a_submodule_that_an_agent_filled_is_not_looked_into(filled, root, tmp_path):
    git(filled, "config", "core.fsmonitor", f"touch {tmp_path / 'ran'}; false")
    submodules.forget(root)

    assert await unsaved(root) == ["not_known"]
    assert not (tmp_path / "ran").exists()


async def test_a_worktree_with_submodules_is_removed_and_comes_back(filled, root, folders):
    await folders.remove("h", force=False)
    await folders.restore("h")

    assert git(root / "repo", "status", "--porcelain") == ""
    assert git(filled, "status", "--porcelain") == ""
    assert await unsaved(root) == []


async def test_of_submodules_nothing_is_left_after_seven_days(filled, root, folders, origin, clock):
    await folders.remove("h", force=False)
    clock.now += KEPT_FOR + 1
    await folders.prune()

    assert git(origin, "worktree", "list", "--porcelain").count("worktree ") == 1
