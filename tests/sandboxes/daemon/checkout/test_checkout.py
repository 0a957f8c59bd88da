"""The working folder: scratch, worktree, clone. With real git; nothing of the person's is lost."""

from __future__ import annotations

import asyncio
import os
import subprocess

import pytest

from agents.harness.questions import WORK_HERE
from sandboxes.daemon.checkout.checkout import Checkout
from sandboxes.daemon.checkout.choices import Choice, Folder, about_history
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.git import Git, GitFailed, redact
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import Spec, parse_spec
from tests.sandboxes.daemon.projects import address_of
from tests.sandboxes.daemon.sandbox import is_alive
from tests.waiting import auntil

pytestmark = pytest.mark.programs

CLONES = "sandboxes.daemon.checkout.clones"
HANDLE = "main-0123456789abcdef"


def prepared(given, repo):
    return prepare(given, repo, Git(), Notices(repo.parent))


def checkout_of(given, repo):
    return Checkout(given, repo, Notices(repo.parent))


def git(folder, *args):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@mesh.example"]
    done = subprocess.run(
        ["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path):
    """A person's repository, with a commit and work that is not committed."""
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-b", "main")
    (folder / "sub" / "file.txt").write_text("one")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    (folder / "sub" / "file.txt").write_text("not committed")
    return folder


@pytest.fixture
def repo(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root" / "repo"


def spec(**given):
    return parse_spec({"handle": HANDLE, **given})


def test_a_scratch_folder(repo):
    assert prepared(spec(), repo) == repo
    assert prepared(spec(branch="thread:1"), repo) == repo
    assert list(repo.iterdir()) == []


def test_a_new_branch_is_a_worktree_of_the_folder(repo, project):
    where = prepared(spec(folder=str(project), branch="feature"), repo)

    assert where == repo
    assert git(repo, "branch", "--show-current") == "feature"
    assert (repo / "sub/file.txt").read_text() == "one"
    assert (project / "sub/file.txt").read_text() == "not committed"
    assert git(project, "branch", "--show-current") == "main"


def test_a_branch_that_is_there_is_checked_out(repo, project):
    git(project, "branch", "there")

    prepared(spec(folder=str(project), branch="there"), repo)

    assert git(repo, "branch", "--show-current") == "there"


@pytest.mark.parametrize("branch", ["", "thread:0190", "ephemeral"])
def test_without_a_branch_the_work_has_one_named_for_the_sandbox(repo, project, branch):
    prepared(spec(folder=str(project), branch=branch), repo)

    assert git(repo, "branch", "--show-current") == f"mesh/{HANDLE}"


def test_the_same_folder_again_keeps_what_was_done(repo, project):
    given = spec(folder=str(project), branch="feature")
    prepared(given, repo)
    (repo / "new.txt").write_text("work")

    assert prepared(given, repo) == repo
    assert (repo / "new.txt").read_text() == "work"


def test_a_subfolder_leads_to_the_same_subfolder(repo, project):
    assert prepared(spec(folder=str(project / "sub"), branch="b"), repo) == repo / "sub"


def test_a_folder_that_is_gone(repo):
    with pytest.raises(GitFailed, match="does not exist"):
        prepared(spec(folder="/no/such/folder"), repo)


@pytest.mark.parametrize(
    "branch",
    ["--help", "-b", "a..b", "x; touch hacked", "$(touch hacked)", "a b", "@{-1}", "x.lock"],
)
def test_branches_that_are_no_names(repo, project, branch, tmp_path):
    with pytest.raises(GitFailed):
        prepared(spec(folder=str(project), branch=branch), repo)

    assert not list(tmp_path.rglob("hacked"))
    assert git(project, "branch", "--list") == "* main"


async def test_callers_share_one_attempt_and_a_failure_is_tried_again(repo, tmp_path):
    folder = tmp_path / "later"
    checkout = checkout_of(Spec(HANDLE, folder=str(folder)), repo)
    failures = await asyncio.gather(checkout.ready(), checkout.ready(), return_exceptions=True)
    folder.mkdir()
    checkout.choose(about_history(Folder(str(folder))), Choice(WORK_HERE))

    assert failures[0] is failures[1]
    assert isinstance(failures[0], GitFailed)
    assert await checkout.ready() == folder


async def test_closing_ends_a_clone_that_hangs(repo, tmp_path, monkeypatch):
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    checkout = checkout_of(Spec(HANDLE, clone_url="https://mesh.example/x"), repo)
    waiting = asyncio.create_task(checkout.ready())
    while checkout._git._running is None:
        await asyncio.sleep(0)
    checkout.close()

    with pytest.raises(GitFailed):
        await waiting


def test_a_password_is_not_repeated():
    assert redact("fatal: https://ada:secret@host/x") == "fatal: https://…@host/x"
    assert redact("https://token@host") == "https://…@host"


@pytest.mark.parametrize("value", [None, [], "x", {"repo": []}, {"folder": 7, "branch": {}}])
def test_an_odd_spec_is_an_empty_one(value):
    assert parse_spec(value) == Spec("")


def change(checkout, url="", branch="", **options):
    options = {"to_branch": False, "identity": ("", ""), "say": lambda text: None} | options
    return checkout.change(url, branch, **options)


async def test_a_folder_with_files_becomes_a_clone_around_them(repo, project):
    repo.mkdir()
    (repo / "notes.txt").write_text("mine")
    checkout = checkout_of(Spec(HANDLE), repo)
    await checkout.ready()

    await change(checkout, address_of(project), "feature", identity=("Ada", "ada@mesh.example"))

    assert (repo / "notes.txt").read_text() == "mine"
    assert (repo / "sub/file.txt").read_text() == "one"
    assert git(repo, "branch", "--show-current") == "feature"
    assert git(repo, "config", "--local", "user.email") == "ada@mesh.example"
    assert checkout.cloned_from == address_of(project)


async def test_a_file_in_the_way_of_a_clone_is_not_overwritten(repo, project):
    (repo / "sub").mkdir(parents=True)
    (repo / "sub" / "file.txt").write_text("mine")
    checkout = checkout_of(Spec(HANDLE), repo)

    with pytest.raises(GitFailed):
        await change(checkout, address_of(project), "main")

    assert (repo / "sub/file.txt").read_text() == "mine"
    assert not (repo / ".git").exists()
    assert checkout.cloned_from == ""


async def test_to_another_branch_and_back(repo, project):
    git(project, "branch", "there")
    checkout = checkout_of(Spec(HANDLE, clone_url=address_of(project), branch="main"), repo)
    for branch in ("there", "new", "main", "there"):
        await change(checkout, "", branch, to_branch=True)
        assert git(repo, "branch", "--show-current") == branch


async def test_work_in_the_way_of_another_branch_stays(repo, project):
    git(project, "checkout", "-qb", "there")
    git(project, "commit", "-qam", "changed")
    checkout = checkout_of(Spec(HANDLE, clone_url=address_of(project), branch="main"), repo)
    await checkout.ready()
    (repo / "sub/file.txt").write_text("work")

    with pytest.raises(GitFailed):
        await change(checkout, "", "there", to_branch=True)

    assert (repo / "sub/file.txt").read_text() == "work"
    assert git(repo, "branch", "--show-current") == "main"


async def test_a_clone_that_is_cancelled_ends_and_can_be_tried_again(repo, tmp_path, monkeypatch):
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\necho $$ > "{tmp_path}/pid"\nexec sleep 600\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    checkout = checkout_of(Spec(HANDLE), repo)
    changing = asyncio.create_task(change(checkout, "https://mesh.example/x"))
    pid = int(await auntil(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    changing.cancel()

    await auntil(lambda: not is_alive(pid))
    with pytest.raises(asyncio.CancelledError):
        await changing
    slow.unlink()
    assert await change(checkout) == repo
