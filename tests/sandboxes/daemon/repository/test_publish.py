"""Publishing, with real git and real remotes: what is pushed where, and what a refusal leaves."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from mesh.lib.errors import AppError
from tests.sandboxes.daemon.projects import address_of, git
from tests.sandboxes.daemon.repository.publishing import BRANCH, place_of

pytestmark = pytest.mark.programs


def head_of(folder, branch=BRANCH):
    return git(folder, "rev-parse", f"refs/heads/{branch}")


def refused(place, code, **options):
    """Publish; return the refusal, after which everything is as it was."""
    before = place.state()
    with pytest.raises(AppError) as caught:
        place.publish(**options)
    assert caught.value.code == code, caught.value.body()
    assert place.state() == before
    return caught.value


# Where to


def not_called_origin(tmp_path, server):
    git(tmp_path, "clone", "-q", "-o", "company", address_of(server), "clone")
    return "company", server


def fork(tmp_path, server):
    git(tmp_path, "clone", "-q", "-o", "upstream", address_of(server), "clone")
    git(tmp_path, "clone", "-q", "--bare", str(server), "fork")
    git(tmp_path / "clone", "remote", "add", "origin", address_of(tmp_path / "fork"))
    git(tmp_path / "clone", "config", f"branch.{BRANCH}.remote", "upstream")
    git(tmp_path / "clone", "config", "remote.pushDefault", "origin")
    return "origin", tmp_path / "fork"


def push_remote(tmp_path, server):
    fork(tmp_path, server)
    git(tmp_path / "clone", "config", "remote.pushDefault", "upstream")
    git(tmp_path / "clone", "config", f"branch.{BRANCH}.pushRemote", "origin")
    return "origin", tmp_path / "fork"


def push_default_of_the_person(tmp_path, server):
    fork(tmp_path, server)
    git(tmp_path / "clone", "config", "--unset", "remote.pushDefault")
    git(tmp_path, "config", "--global", "remote.pushDefault", "origin")
    return "origin", tmp_path / "fork"


def push_url(tmp_path, server):
    git(tmp_path, "clone", "-q", address_of(server), "clone")
    git(tmp_path, "clone", "-q", "--bare", str(server), "fork")
    fork = address_of(tmp_path / "fork")
    git(tmp_path / "clone", "config", "remote.origin.pushurl", fork)
    return "origin", tmp_path / "fork"


def instead_of(tmp_path, server):
    git(tmp_path, "config", "--global", f"url.{address_of(tmp_path)}/.insteadOf", "work:")
    git(tmp_path, "clone", "-q", "work:server", "clone")
    return "origin", server


def push_instead_of(tmp_path, server):
    git(tmp_path, "clone", "-q", "--bare", str(server), "fork")
    key = f"url.{address_of(tmp_path / 'fork')}.pushInsteadOf"
    git(tmp_path, "config", "--global", key, address_of(server))
    git(tmp_path, "clone", "-q", address_of(server), "clone")
    return "origin", tmp_path / "fork"


def single_branch(tmp_path, server):
    git(tmp_path, "clone", "-q", "--single-branch", address_of(server), "clone")
    return "origin", server


def shallow(tmp_path, server):
    (server / "a.txt").write_text("second\n")
    git(server, "commit", "-qam", "second")
    git(tmp_path, "clone", "-q", "--depth", "1", address_of(server), "clone")
    return "origin", server


def folder_as_server(tmp_path, server):
    git(tmp_path, "clone", "-q", "-o", "backup", str(server), "clone")
    return "backup", server


@pytest.mark.parametrize(
    "make",
    [
        *(not_called_origin, fork, push_remote, push_default_of_the_person, push_url),
        *(instead_of, push_instead_of, single_branch, shallow, folder_as_server),
    ],
)
def test_a_branch_is_published_and_published_again(tmp_path, home, server, make):
    remote, there = make(tmp_path, server)
    config = (tmp_path / "clone/.git/config").read_bytes()
    place = place_of(tmp_path / "clone", tmp_path / "sandbox")

    for text in ("first\n", "second\n"):
        place.write("new.txt", text)
        done = place.publish()

        assert (done["remote"], done["publishedAs"], done["unpushed"]) == (remote, BRANCH, 0)
        assert git(there, "show", f"{BRANCH}:new.txt") == text.strip()
        assert head_of(there) == done["headSha"] == git(place.repo, "rev-parse", "HEAD")
        assert git(place.repo, "status", "--porcelain") == ""
    assert (tmp_path / "clone/.git/config").read_bytes() == config


def test_a_work_that_was_rewritten_replaces_only_what_it_published(place, server):
    place.write("new.txt", "first\n")
    place.publish()
    git(place.repo, "commit", "-q", "--amend", "-m", "better")

    refused(place, "diverged")
    done = place.publish(replaces=True)

    assert head_of(server) == done["headSha"]


@pytest.mark.parametrize("make", [single_branch, shallow, push_url])
def test_commits_of_somebody_else_are_seen_on_the_server(tmp_path, home, server, make):
    _, there = make(tmp_path, server)
    place = place_of(tmp_path / "clone", tmp_path / "sandbox")
    place.write("new.txt", "first\n")
    place.publish()
    theirs = push_as_bob(tmp_path, there)
    place.write("new.txt", "second\n")

    refused(place, "diverged")
    refused(place, "others_commits", replaces=True)

    assert head_of(there) == theirs


def test_a_commit_that_comes_in_the_last_moment_is_not_overwritten(tmp_path, place, server):
    place.write("new.txt", "first\n")
    place.publish()
    git(place.repo, "commit", "-q", "--amend", "-m", "better")
    hook = place.repo.parent.parent / "clone/.git/hooks/pre-push"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    theirs = []

    def push_meanwhile(call):
        theirs.append(push_as_bob(tmp_path, server))
        return place.run_hook(call)

    place.write("new.txt", "second\n")
    refused(place, "git_branch_outdated", replaces=True, run=push_meanwhile)

    assert [head_of(server)] == theirs


def push_as_bob(tmp_path, there):
    """Push another commit to the branch, from another clone; return it."""
    bob = tmp_path / "bob"
    git(tmp_path, "clone", "-q", "-b", BRANCH, str(there), "bob")
    (bob / "bob.txt").write_text("mine\n")
    git(bob, "add", ".")
    git(bob, "commit", "-qm", "of Bob")
    git(bob, "push", "-q", "origin", BRANCH)
    return git(bob, "rev-parse", "HEAD")


def test_a_branch_does_not_go_to_the_one_that_it_was_made_from(tmp_path, home, server):
    git(server, "branch", "develop")
    git(tmp_path, "clone", "-q", address_of(server), "clone")
    git(tmp_path / "clone", "branch", "-q", "fix", "--track", "origin/develop")
    place = place_of(tmp_path / "clone", tmp_path / "sandbox", "fix")
    place.write("new.txt", "work\n")
    develop = head_of(server, "develop")

    done = place.publish()

    assert done["publishedAs"] == "fix"
    assert (head_of(server, "fix"), head_of(server, "develop")) == (done["headSha"], develop)


def test_a_person_who_pushes_to_upstreams_publishes_to_one_of_another_name(tmp_path, home, server):
    git(server, "branch", "ada/fix")
    git(tmp_path, "clone", "-q", address_of(server), "clone")
    git(tmp_path / "clone", "branch", "-q", "fix", "--track", "origin/ada/fix")
    git(tmp_path, "config", "--global", "push.default", "upstream")
    place = place_of(tmp_path / "clone", tmp_path / "sandbox", "fix")
    place.write("new.txt", "work\n")

    done = place.publish()

    assert (done["branch"], done["publishedAs"]) == ("fix", "ada/fix")
    assert head_of(server, "ada/fix") == done["headSha"]


def test_the_password_of_an_address_is_not_shown(place, clone, server):
    git(clone, "remote", "set-url", "origin", f"ssh://ada:secret@git.example{server}")
    place.write("new.txt", "work\n")

    assert place.publish()["url"] == f"ssh://…@git.example{server}"


# Refusals


def in_a_merge(place, server):
    git(place.repo, "checkout", "-q", "-b", "side")
    place.write("a.txt", "theirs\n")
    git(place.repo, "commit", "-qam", "theirs")
    git(place.repo, "checkout", "-q", BRANCH)
    git(place.repo, "merge", "-q", "--no-ff", "--no-commit", "side")


def unmerged(place, server):
    """Leave an index with conflicts, and no merge: as after “git stash pop”."""
    place.write("a.txt", "stashed\n")
    git(place.repo, "stash", "-q")
    place.write("a.txt", "mine\n")
    git(place.repo, "commit", "-qam", "mine")
    with pytest.raises(Exception, match="exit status 1"):
        git(place.repo, "stash", "pop")


def detached(place, server):
    git(place.repo, "checkout", "-q", "--detach")


def without_a_remote(place, server):
    git(server.parent / "clone", "remote", "remove", "origin")


def with_two_remotes(place, server):
    git(server.parent / "clone", "remote", "rename", "origin", "one")
    git(server.parent / "clone", "remote", "add", "two", address_of(server))


def with_a_remote_that_is_not_there(place, server):
    git(server.parent / "clone", "remote", "add", "two", address_of(server))
    git(server.parent / "clone", "config", "remote.pushDefault", "three")


def the_default_of_its_server(place, server):
    git(server, "checkout", "-q", "-b", BRANCH)


def a_server_that_is_gone(place, server):
    server.rename(server.with_name("elsewhere"))


def a_server_that_refuses(place, server):
    hook = server / ".git/hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'not on a Friday'\nexit 1\n")
    hook.chmod(0o755)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (in_a_merge, "rebase_under_way"),
        (unmerged, "unmerged_paths"),
        (detached, "nothing_to_publish"),
        (without_a_remote, "nothing_to_publish"),
        (with_two_remotes, "nothing_to_publish"),
        (with_a_remote_that_is_not_there, "nothing_to_publish"),
        (the_default_of_its_server, "default_branch"),
        (a_server_that_is_gone, "git_repository_not_found"),
        (a_server_that_refuses, "git_push_refused"),
    ],
)
def test_after_a_refusal_everything_is_as_it_was(place, server, make, code):
    place.write("new.txt", "work\n")
    make(place, server)
    place.write("b.txt", "changed\n")
    before = git(server.parent / ("elsewhere" if "gone" in make.__name__ else "server"), "show-ref")

    refused(place, code)

    assert (place.repo / "b.txt").read_text() == "changed\n"
    there = server if server.exists() else server.with_name("elsewhere")
    assert git(there, "show-ref") == before


def test_what_an_agent_has_staged_stays_staged_after_a_refusal(place, server):
    a_server_that_refuses(place, server)
    place.write("a.txt", "staged\n")
    git(place.repo, "add", "a.txt")
    place.write("a.txt", "changed again\n")

    error = refused(place, "git_push_refused")

    assert "not on a Friday" in str(error)
    assert git(place.repo, "show", ":a.txt") == "staged"


def test_a_file_that_is_called_head_is_no_revision(place, server):
    place.write("HEAD", "a file\n")
    place.publish()
    place.write("HEAD", "changed\n")

    assert place.publish()["workingTreeDirty"] is False
    assert git(server, "show", f"{BRANCH}:HEAD") == "changed"


def test_a_push_that_fails_after_it_has_arrived_is_none(place, server, tmp_path, monkeypatch):
    """The connection breaks at the end: the server has the commit, and says so when asked."""
    break_after_receiving(tmp_path, monkeypatch)
    place.write("new.txt", "work\n")

    done = place.publish()

    assert head_of(server) == done["headSha"] == git(place.repo, "rev-parse", "HEAD")


def test_a_commit_that_may_have_arrived_stays(place, server, tmp_path, monkeypatch):
    break_after_receiving(tmp_path, monkeypatch, "touch", tmp_path / "down")
    place.write("new.txt", "work\n")

    with pytest.raises(AppError):
        place.publish()

    assert git(place.repo, "rev-parse", "HEAD") == head_of(server)
    assert git(place.repo, "status", "--porcelain") == ""
    (tmp_path / "down").unlink()
    assert place.publish()["unpushed"] == 0


def break_after_receiving(tmp_path, monkeypatch, *then):
    """Make an ssh that fails after each push; then it runs a program."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(
        "#!/bin/sh\nfor last; do :; done\n"
        f"test -e {tmp_path}/down && exit 255\n"
        'sh -c "$last" || exit\n'
        f'case "$last" in *receive-pack*) {shlex.join(map(str, then))}\n exit 1;; esac\n'
    )
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def test_a_change_of_the_same_moment_and_size_is_published(place, server):
    """Git takes a file for unchanged that is older than its index and has the same size."""
    index = Path(git(place.repo, "rev-parse", "--path-format=absolute", "--git-path", "index"))
    git(server.parent / "clone", "config", "core.trustctime", "false")
    git(place.repo, "config", "core.trustctime", "false")
    place.write("a.txt", "two\n")
    os.utime(place.repo / "a.txt", (1_000_000_000, 1_000_000_000))
    git(place.repo, "commit", "-qam", "two")
    place.write("a.txt", "six\n")
    for path in (index, place.repo / "a.txt"):
        os.utime(path, (1_000_000_000, 1_000_000_000))

    place.publish()

    assert git(server, "show", f"{BRANCH}:a.txt") == "six"


def test_a_full_disk_is_said(place, monkeypatch):
    place.write("new.txt", "work\n")
    (place.root / "git/publish.index").symlink_to("/dev/full")
    monkeypatch.setattr("pathlib.Path.unlink", lambda path, missing_ok=False: None)

    refused(place, "disk_full")
