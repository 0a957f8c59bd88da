"""Which branch a chat starts from: ours, else the remote's, else a new one. With real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mesh.git import own
from mesh.git.errors import ProtocolRefused
from sandboxes.daemon.checkout import remotes
from sandboxes.daemon.checkout.branches import BRANCH_ELSEWHERE, BRANCH_NOT_ASKED
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.checkout.start_point import BEHIND
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git, GitFailed, view_of
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.spec import Spec
from tests.sandboxes.daemon.projects import address_of

pytestmark = pytest.mark.programs

HANDLE = "main-0123456789abcdef"


def git(folder, *args):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@mesh.example"]
    done = subprocess.run(
        ["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder, text):
    (Path(folder) / "file.txt").write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", text)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def server(tmp_path):
    """The server's repository: main, and another branch with a commit of its own."""
    folder = tmp_path / "server"
    folder.mkdir()
    git(folder, "init", "-qb", "main")
    commit(folder, "first")
    git(folder, "checkout", "-qb", "theirs")
    commit(folder, "theirs")
    git(folder, "checkout", "-q", "main")
    return folder


@pytest.fixture
def project(tmp_path, server):
    """A person's clone that has never heard of any branch but main."""
    folder = tmp_path / "project"
    git(tmp_path, "clone", "-q", "--single-branch", server, folder)
    return folder


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def start(root, folder, branch):
    """Make the working folder of a chat; return it and the codes of what the person is told."""
    notices = Notices(root)
    repo = prepare(Spec(HANDLE, folder=str(folder), branch=branch), root / "repo", Git(), notices)
    told = {notice.code: notice.text for notice in notices.pending}
    told.pop(BEHIND, None)  # how far the branch is behind another: test_start_point.py
    return repo, told


def subject(repo):
    return git(repo, "log", "-1", "--format=%s")


def test_a_branch_that_only_the_server_has_is_fetched(root, project):
    repo, told = start(root, project, "theirs")

    assert (subject(repo), told) == ("theirs", {})
    assert git(repo, "branch", "--show-current") == "theirs"


def test_a_local_branch_goes_before_the_server_s(root, project):
    git(project, "branch", "theirs")

    repo, _ = start(root, project, "theirs")

    assert subject(repo) == "first"


def test_the_local_copy_is_enough_when_it_knows_the_branch(root, project, server):
    git(project, "fetch", "-q", "origin", "theirs:refs/remotes/origin/theirs")
    server.rename(server.with_name("gone"))

    repo, told = start(root, project, "theirs")

    assert (subject(repo), told) == ("theirs", {})


def test_a_branch_that_nobody_has_is_new_from_what_is_checked_out(root, project):
    here = commit(project, "mine")

    repo, told = start(root, project, "new")

    assert (git(repo, "rev-parse", "HEAD"), told) == (here, {})


def test_a_server_that_cannot_be_asked_is_a_notice(root, project, server):
    server.rename(server.with_name("gone"))

    repo, told = start(root, project, "theirs")

    assert subject(repo) == "first"
    assert list(told) == [BRANCH_NOT_ASKED]
    assert "“theirs”" in told[BRANCH_NOT_ASKED]
    assert "git ls-remote failed: '" in told[BRANCH_NOT_ASKED]


def test_a_server_that_does_not_answer_is_waited_for_half_a_minute_at_most(
    root, project, tmp_path, monkeypatch
):
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\nexec sleep 600\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    monkeypatch.setattr(remotes, "ASK_WITHIN", 0.5)
    git(project, "remote", "set-url", "origin", "git@git.example:ada/app")

    _, told = start(root, project, "theirs")

    assert "took longer than" in told[BRANCH_NOT_ASKED]


def test_a_server_that_lists_nothing_any_more_is_a_notice(root, project, server):
    subprocess.run(["rm", "-r", server], check=True)
    git(server.parent, "init", "-q", "--bare", server)

    _, told = start(root, project, "theirs")

    assert "lists no branch any more" in told[BRANCH_NOT_ASKED]


def test_without_a_chosen_branch_no_server_is_asked(root, project, server):
    server.rename(server.with_name("gone"))

    repo, told = start(root, project, "")

    assert (git(repo, "branch", "--show-current"), told) == (f"mesh/{HANDLE}", {})


def untouched(project):
    """What of a person's repository no chat may change."""
    files = ("config", "HEAD", "index", "FETCH_HEAD", "packed-refs")
    kept = {name: f.read_bytes() for name in files if (f := project / ".git" / name).exists()}
    return kept, git(project, "tag"), git(project, "rev-parse", "main", "origin/main")


def test_fetching_changes_nothing_else_of_the_person_s(root, project, server):
    git(server, "tag", "v1", "theirs")
    commit(server, "second")
    git(project, "config", "fetch.prune", "true")
    git(project, "config", "remote.origin.tagOpt", "--tags")
    git(project, "config", "branch.autoSetupMerge", "always")
    before = untouched(project)

    start(root, project, "theirs")

    assert untouched(project) == before


@pytest.mark.parametrize("depth", [1, 2])
def test_a_shallow_clone_stays_one(root, tmp_path, server, depth):
    commit(server, "second")
    commit(server, "third")
    project = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", f"--depth={depth}", f"file://{server}", project)
    git(project, "config", "remote.origin.fetch", "+refs/heads/main:refs/remotes/origin/main")

    repo, told = start(root, project, "theirs")

    assert (subject(repo), told) == ("theirs", {})
    assert git(repo, "rev-list", "--count", "origin/main") == str(depth)


def test_a_remote_of_another_name(root, project):
    git(project, "remote", "rename", "origin", "company")

    repo, told = start(root, project, "theirs")

    assert (subject(repo), told) == ("theirs", {})


@pytest.fixture
def fork(tmp_path, server):
    """Another server's repository, with another commit on a branch of the same name."""
    folder = tmp_path / "fork"
    git(tmp_path, "clone", "-q", server, folder)
    git(folder, "checkout", "-qb", "mine")
    commit(folder, "mine, on the fork")
    git(folder, "checkout", "-q", "theirs")
    commit(folder, "theirs, on the fork")
    git(folder, "checkout", "-q", "main")
    return folder


def add_fork(project, fork):
    git(project, "remote", "add", "fork", fork)


def test_a_branch_of_the_fork_that_is_pushed_to(root, project, fork):
    add_fork(project, fork)
    git(project, "config", "remote.pushDefault", "fork")

    repo, told = start(root, project, "mine")

    assert (subject(repo), told) == ("mine, on the fork", {})


def test_the_remote_that_is_tracked_goes_first(root, project, fork):
    add_fork(project, fork)
    git(project, "config", "remote.pushDefault", "fork")

    repo, _ = start(root, project, "theirs")

    assert subject(repo) == "theirs"


def test_a_branch_that_tracks_a_remote_is_taken_from_there(root, project, fork):
    add_fork(project, fork)
    git(project, "config", "branch.theirs.remote", "fork")

    repo, _ = start(root, project, "theirs")

    assert subject(repo) == "theirs, on the fork"


def test_among_several_remotes_mesh_does_not_guess(root, project, fork):
    add_fork(project, fork)
    git(project, "remote", "rename", "origin", "company")
    git(project, "fetch", "-q", "fork")
    git(project, "branch", "--unset-upstream", "main")

    repo, told = start(root, project, "mine")

    assert subject(repo) == "first"
    assert list(told) == [BRANCH_ELSEWHERE]
    assert "“fork”" in told[BRANCH_ELSEWHERE]
    assert "git reset --hard fork/mine" in told[BRANCH_ELSEWHERE]


def test_a_remote_s_name_is_never_an_option(root, project, tmp_path):
    with (project / ".git/config").open("a") as file:
        file.write(f'[remote "--upload-pack=touch {tmp_path}/x"]\n\turl = /nowhere\n')
        file.write(f'[branch "main"]\n\tremote = "--upload-pack=touch {tmp_path}/x"\n')

    repo, _ = start(root, project, "theirs")

    assert subject(repo) == "theirs"
    assert not (tmp_path / "x").exists()


def test_only_the_remote_that_is_asked_decides_by_which_protocol(root, project, server):
    git(project, "remote", "set-url", "origin", "https://git.example/ada/app")
    git(project, "remote", "add", "near", server)
    git(project, "remote", "add", "inside", root / "trap")
    view = view_of(own.find(project), root)

    assert remotes.offers(Git(), view, "near", "theirs")
    with pytest.raises(ProtocolRefused):
        remotes.offers(Git(), view, "inside", "theirs")


def test_work_is_compared_with_and_rebased_on_the_remote_of_another_name(root, project, server):
    git(project, "remote", "rename", "origin", "company")
    repo, _ = start(root, project, "new")
    commit(server, "second")
    (repo / "mine.txt").write_text("mine")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "mine")
    repository = Repository(Tree(repo), root)

    repository.rebase("main")

    assert repository.facts().base == "company/main"
    assert git(repo, "log", "--format=%s").split() == ["mine", "second", "first"]


def choice(project, root, function, *args):
    return function(Git(), view_of(own.find(project), root), *args)


@pytest.mark.parametrize(
    ("settings", "remote", "base"),
    [
        pytest.param([], "origin", "origin", id="origin and another"),
        pytest.param([("remote.pushDefault", "fork")], "fork", "origin", id="a fork"),
        pytest.param([("branch.work.remote", "fork")], "fork", "origin", id="a tracked branch"),
        pytest.param([("branch.main.remote", "fork")], "origin", "fork", id="a tracked main"),
        pytest.param([("branch.work.remote", ".")], "origin", "origin", id="tracks a local one"),
        pytest.param([("remote.pushDefault", "gone")], "origin", "origin", id="no such remote"),
    ],
)
def test_where_a_branch_is_published_and_what_it_is_compared_with(
    project, fork, root, settings, remote, base
):
    add_fork(project, fork)
    git(project, "config", "--unset", "branch.main.remote")
    for key, value in settings:
        git(project, "config", key, value)

    assert choice(project, root, remotes.remote_of, "work") == remote
    assert choice(project, root, remotes.base_remote) == base


def test_without_origin_the_only_remote_that_has_the_branch(project, fork, root):
    add_fork(project, fork)
    git(project, "remote", "rename", "origin", "company")
    git(project, "config", "--unset", "branch.main.remote")
    git(project, "fetch", "-q", "fork")

    assert choice(project, root, remotes.remote_of, "mine") == "fork"
    assert choice(project, root, remotes.remote_of, "work") == ""
    assert choice(project, root, remotes.base_remote) == ""


def test_the_person_s_name_for_remotes_does_not_change_our_clones(
    root, server, tmp_path, monkeypatch
):
    (tmp_path / "config").write_text("[clone]\n\tdefaultRemoteName = company\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (tmp_path / "xdg/git").mkdir(parents=True)
    (tmp_path / "config").rename(tmp_path / "xdg/git/config")
    spec = Spec(HANDLE, clone_url=address_of(server), branch="theirs")

    repo = prepare(spec, root / "repo", Git(), Notices(root))

    assert (git(repo, "remote"), subject(repo)) == ("origin", "theirs")
    assert git(repo, "rev-parse", "--abbrev-ref", "@{upstream}") == "origin/theirs"


@pytest.mark.parametrize("branch", ["--help", "a..b", "@{-1}", "x.lock"])
def test_a_name_that_no_branch_can_have_asks_nobody(root, project, branch):
    with pytest.raises(GitFailed, match="can't be the name"):
        start(root, project, branch)

    assert not os.path.lexists(root / "repo")
