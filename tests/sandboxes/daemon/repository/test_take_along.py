"""The person's uncommitted changes in the agent's worktree: all or none, their folder only read."""

from __future__ import annotations

import os

import pytest

from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.files.errors import DiskFull
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository import take_along as module
from sandboxes.daemon.repository.take_along import (
    ChangesConflict,
    NothingToTake,
    TooMuchToTake,
    take_along,
)
from sandboxes.daemon.spec import Spec
from sandboxes.daemon.working_folder import NotReady
from tests.sandboxes.daemon.checkout.test_checkout import git

pytestmark = pytest.mark.programs

HANDLE = "main-0123456789abcdef"
LATIN = os.fsdecode(b"caf\xe9.txt")


def contents(folder):
    """Return what each file is: its bytes, or where a link leads, with its mode and time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        what = os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        found[path.relative_to(folder)] = (what, facts.st_mode, facts.st_mtime_ns)
    return found


@pytest.fixture
def shop(tmp_path):
    """A person's repository with files of all kinds, all committed."""
    folder = tmp_path / "shop"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for name in ("edited", "staged", "deleted", "script", "sub/old", "untouched"):
        (folder / name).write_text(f"{name}\n")
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def edit(shop):
    (shop / "edited").write_bytes(b"crlf\r\nlatin \xe9\n\0binary\n\n")
    (shop / "staged").write_text("staged\n")
    git(shop, "add", "staged")
    (shop / "staged").write_text("and more\n")
    (shop / "deleted").unlink()
    (shop / "script").chmod(0o755)
    git(shop, "mv", "sub/old", "sub/new")
    (shop / "fresh/deep").mkdir(parents=True)
    (shop / "fresh/deep" / LATIN).write_text("new")
    (shop / " space").write_text("new")
    (shop / "link").symlink_to("edited")
    (shop / "debug.log").write_text("ignored")


@pytest.fixture
def root(tmp_path, shop):
    folder = tmp_path / "root"
    folder.mkdir()
    prepare(Spec(HANDLE, folder=str(shop)), folder / "repo", Git(), Notices(folder))
    return folder


@pytest.fixture
def take(shop, root):
    return lambda: take_along(shop, Tree(root / "repo"), root, Git())


def test_every_kind_of_change_is_taken_and_the_person_s_folder_is_not_touched(take, shop, root):
    edit(shop)
    before = contents(shop)
    theirs = {n: (w[0], w[1]) for n, w in before.items() if ".git" not in n.parts}
    del theirs[next(name for name in theirs if name.name == "debug.log")]

    take()

    mine = {n: (w[0], w[1]) for n, w in contents(root / "repo").items() if n.parts[0] != ".git"}
    assert mine == theirs
    after = contents(shop)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert not changed
    assert not (root / module.STAGE).exists()


def test_a_file_that_was_moved_and_written_anew_is_one_change_and_no_conflict(take, shop, root):
    git(shop, "mv", "edited", "moved")
    (shop / "edited").write_text("anew\n")

    assert sorted(take()["taken"]) == ["edited", "moved"]
    assert (root / "repo/edited").read_text() == "anew\n"
    assert (root / "repo/moved").read_text() == "edited\n"


def test_taking_again_takes_only_what_is_new(take, shop, root):
    edit(shop)
    first = take()
    (shop / "later").write_text("x")

    assert len(take()["taken"]) == len(first["taken"]) + 1
    assert (root / "repo/later").read_text() == "x"


def test_nothing_to_take(take):
    with pytest.raises(NothingToTake):
        take()


@pytest.mark.parametrize(
    "conflict",
    [
        pytest.param(lambda repo: (repo / "edited").write_text("agent's\n"), id="edited"),
        pytest.param(lambda repo: (repo / "edited").unlink(), id="deleted"),
        pytest.param(lambda repo: (repo / " space").write_text("agent's\n"), id="a new file"),
        pytest.param(lambda repo: (repo / " space").mkdir(), id="a folder of its name"),
        pytest.param(lambda repo: (repo / "fresh").write_text("x"), id="a file for a folder"),
        pytest.param(lambda repo: (repo / "fresh").symlink_to("/tmp"), id="a link for a folder"),
        pytest.param(
            lambda repo: (
                (repo / "edited").write_text("x"),
                git(repo, "commit", "-qam", "agent's"),
            ),
            id="committed",
        ),
    ],
)
def test_a_conflict_is_refused_and_changes_nothing(take, shop, root, conflict):
    edit(shop)
    conflict(root / "repo")
    before = contents(root / "repo")

    with pytest.raises(ChangesConflict) as refused:
        take()

    assert refused.value.extra["files"]
    assert contents(root / "repo") == before


def test_changes_of_the_agent_in_other_files_are_no_conflict(take, shop, root):
    edit(shop)
    (root / "repo/untouched").write_text("agent's\n")

    take()

    assert (root / "repo/untouched").read_text() == "agent's\n"
    assert (root / "repo/staged").read_text() == "and more\n"


@pytest.mark.parametrize("limit", ["MOST_FILES", "MOST_BYTES"])
def test_too_much_is_refused(take, shop, root, monkeypatch, limit):
    edit(shop)
    before = contents(root / "repo")
    monkeypatch.setattr(module, limit, 1)

    with pytest.raises(TooMuchToTake):
        take()
    assert contents(root / "repo") == before


def test_a_full_disk_changes_nothing(take, shop, root, monkeypatch):
    edit(shop)
    before = contents(root / "repo")
    copies = []

    def fails(source, target, **_):
        copies.append(source)
        if len(copies) == 3:
            raise OSError(28, "No space left on device")
        target.touch()

    monkeypatch.setattr(module.shutil, "copy2", fails)
    with pytest.raises(DiskFull):
        take()

    assert contents(root / "repo") == before
    assert not (root / module.STAGE).exists()


def test_only_a_worktree_of_the_folder_takes_changes(shop, root, tmp_path):
    scratch = tmp_path / "scratch"
    (scratch / "repo").mkdir(parents=True)

    with pytest.raises(NotReady):
        take_along(shop, Tree(scratch / "repo"), scratch, Git())


async def test_the_route_takes_them_also_while_an_agent_works(make_sandbox, shop):
    sandbox = make_sandbox(spec={"folder": str(shop)})
    await sandbox.run("r1", ["say", "x"])
    edit(shop)

    taken = await sandbox.post("/git/take-along", {})
    status = await sandbox.get("/git/status")

    assert taken.status_code == 200, taken.text
    assert '"fresh/deep/caf\\351.txt"' in taken.json()["taken"]
    assert len(status.json()["files"]) == len(taken.json()["taken"])


async def test_a_sandbox_without_a_person_s_folder_has_nothing_to_take(make_sandbox):
    refused = await make_sandbox().post("/git/take-along", {})

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_ready")


def test_a_hub_has_no_files_of_its_own_to_take(shop, tmp_path):
    hub, root = tmp_path / "hub", tmp_path / "other-root"
    hub.mkdir()
    root.mkdir()
    git(tmp_path, "clone", "-q", "--bare", str(shop), str(hub / ".git"))
    git(hub, "worktree", "add", "-q", str(hub / "main"), "main")
    notices = Notices(root)
    prepare(Spec(HANDLE, folder=str(hub)), root / "repo", Git(), notices)

    assert notices.pending == ()
    with pytest.raises(NothingToTake):
        take_along(hub, Tree(root / "repo"), root, Git())
    assert git(root / "repo", "status", "--porcelain") == ""
