"""A working folder that is cloned: from which servers, and what odd servers make of it.

With real git. Its network is this machine: ssh and https lead to repositories in a folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading

import pytest

from mesh.git import own
from mesh.git.calls import Outside
from mesh.git.errors import AddressMoved, NotAGitServer
from sandboxes.daemon.checkout import branches, clones
from sandboxes.daemon.checkout.clones import EMPTY, NO_DEFAULT, clone_limits
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git, GitFailed
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.spec import Spec
from tests.sandboxes.daemon.checkout.https_server import HttpsServer
from tests.sandboxes.daemon.projects import address_of
from tests.waiting import until

pytestmark = pytest.mark.programs

HANDLE = "main-0123456789abcdef"


def git(folder, *args):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@mesh.example"]
    done = subprocess.run(
        ["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path):
    """A server's repository with one commit."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-qb", "main")
    (folder / "file.txt").write_text("one")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def repo(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root" / "repo"


def prepared(given, repo):
    return prepare(given, repo, Git(), Notices(repo.parent))


def told(repo):
    return {notice.code: notice.text for notice in Notices(repo.parent).pending}


def left_in(root):
    """Return what is in the sandbox's folder, without the records of Mesh itself."""
    names = {path.name for path in root.iterdir() if path.suffix != ".json"}
    return sorted(names - {"git"})


def test_a_clone_on_a_new_branch(repo, project):
    given = Spec(HANDLE, clone_url=address_of(project), branch="feature")

    assert prepared(given, repo) == repo
    assert prepared(given, repo) == repo
    assert git(repo, "branch", "--show-current") == "feature"


def test_a_clone_of_a_branch_that_is_there(repo, project):
    git(project, "branch", "there")

    prepared(Spec(HANDLE, clone_url=address_of(project), branch="there"), repo)

    assert git(repo, "rev-parse", "--abbrev-ref", "@{upstream}") == "origin/there"


@pytest.mark.parametrize(
    "url",
    [
        *("ext::sh -c id", "--upload-pack=touch x", "/etc", "", "https:", "a b@c:d\n--x"),
        *("file:///etc", "http://git.example/a", "git://git.example/a", "git@-h:a"),
        *("https://127.0.0.1/a/b", "https://localhost/a/b", "ssh://[::1]/a/b", "https://127.1/a"),
        *("https://169.254.169.254/a/b", "https://[fd00:ec2::254]/a/b", "git@169.254.169.254:a/b"),
    ],
)
def test_addresses_that_git_is_never_given(repo, url):
    with pytest.raises(GitFailed, match="address"):
        prepared(Spec(HANDLE, clone_url=url or " "), repo)


@pytest.fixture
def as_git(tmp_path, monkeypatch):
    """Return ``as_git(script)``: a program called git that notes its words, then runs it."""

    def make(script):
        program = tmp_path / "bin" / "git"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {tmp_path}/asked\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return lambda: (tmp_path / "asked").read_text().splitlines()

    return make


def test_git_goes_to_the_addresses_that_were_looked_at_and_nowhere_else(repo, as_git, monkeypatch):
    found = [(0, 0, 0, "", (address, 0)) for address in ("93.184.216.34", "2606:4700::1111")]
    monkeypatch.setattr(
        "sandboxes.daemon.checkout.clones.socket.getaddrinfo", lambda *a, **k: found
    )
    asked = as_git("echo 'fatal: returned error: 404' >&2; exit 128")
    with pytest.raises(GitFailed, match="git clone failed"):
        prepared(Spec(HANDLE, clone_url="https://git.example/a/b"), repo)

    words = asked()[0]
    assert "-c http.curloptResolve=git.example:443:93.184.216.34,[2606:4700::1111] " in words
    assert "-c protocol.allow=never " in words
    assert "-c http.followRedirects=false " in words
    assert " -- https://git.example/a/b " in words


def test_a_name_that_leads_to_this_machine_is_not_cloned(repo, as_git, monkeypatch):
    found = [(0, 0, 0, "", (address, 0)) for address in ("93.184.216.34", "127.0.0.1")]
    monkeypatch.setattr(
        "sandboxes.daemon.checkout.clones.socket.getaddrinfo", lambda *a, **k: found
    )
    as_git("exit 0")
    with pytest.raises(GitFailed, match="leads to this machine"):
        prepared(Spec(HANDLE, clone_url="https://git.example/a/b"), repo)


def test_who_has_moved_is_asked_once_more_with_the_ending(repo, as_git):
    asked = as_git("echo 'fatal: The requested URL returned error: 301' >&2; exit 128")
    with pytest.raises(GitFailed, match="address redirects"):
        prepared(Spec(HANDLE, clone_url="https://git.example/a/b"), repo)

    assert [" -- https://git.example/a/b.git " in line for line in asked()] == [False, True, False]


@pytest.mark.parametrize("helper", ["file", "http", "git", "ext"])
def test_git_itself_refuses_other_protocols(repo, project, helper):
    limits = clone_limits("https://93.184.216.34/a/b")
    url = {"file": f"file://{project}", "ext": "ext::true"}.get(helper, f"{helper}://127.0.0.1/a")
    with pytest.raises(GitFailed, match="not allowed"):
        Git().run(Outside(project, ("https", "ssh")), *limits, "ls-remote", url)


def test_a_clone_follows_no_redirect_later_either(repo, project):
    prepared(Spec(HANDLE, clone_url=address_of(project)), repo)

    assert git(repo, "config", "--local", "http.followRedirects") == "false"


@pytest.mark.parametrize(
    ("said", "tries"),
    [
        ("fatal: unable to access 'x': Could not resolve host: x", 3),
        ("fatal: early EOF", 3),
        ("fatal: unable to access 'x': The requested URL returned error: 503", 3),
        ("fatal: Authentication failed for 'x'", 1),
        ("fatal: repository 'x' not found", 1),
    ],
)
def test_what_passes_is_tried_three_times(repo, tmp_path, monkeypatch, said, tries):
    failing = tmp_path / "bin" / "git"
    failing.parent.mkdir()
    failing.write_text(f'#!/bin/sh\necho try >> "{tmp_path}/tries"\necho "{said}" >&2\nexit 128\n')
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{failing.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("sandboxes.daemon.checkout.branches.RETRY_AFTER", 0)

    with pytest.raises(GitFailed) as failed:
        prepared(Spec(HANDLE, clone_url="https://mesh.example/x"), repo)

    assert len((tmp_path / "tries").read_text().split()) == tries
    assert ("(gave up after 3 tries)" in str(failed.value)) is (tries == 3)


@pytest.fixture
def empty(tmp_path):
    """A server's repository without a commit, whose branch is called trunk."""
    git(tmp_path, "init", "-q", "--bare", "-b", "trunk", "empty.git")
    return tmp_path / "empty.git"


AROUND = pytest.mark.parametrize("around", [False, True], ids=["into a new folder", "around files"])


def with_files(repo, around):
    if around:
        repo.mkdir()
        (repo / "notes.txt").write_text("mine")


@AROUND
@pytest.mark.parametrize("branch", ["", "feature"])
def test_an_empty_server_is_told_and_the_folder_works(repo, empty, around, branch):
    with_files(repo, around)

    prepared(Spec(HANDLE, clone_url=address_of(empty), branch=branch), repo)

    assert "no commit yet" in told(repo)[EMPTY]
    here = git(repo, "symbolic-ref", "--short", "HEAD")
    assert f"“{here}”" in told(repo)[EMPTY]
    assert here == branch or not branch
    assert Repository(Tree(repo), repo.parent).facts().status.branch == here
    (repo / "new.txt").write_text("new")
    git(repo, "add", "new.txt")
    git(repo, "commit", "-qm", "the first")


def branched(project, *names):
    """Give the server branches, the last one the newest, and a HEAD that names none of them."""
    for day, name in enumerate(names, start=1):
        git(project, "checkout", "-q", "--orphan", name)
        (project / "file.txt").write_text(name)
        date = {"GIT_COMMITTER_DATE": f"2030-01-{day:02}T00:00:00Z"}
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@mesh.example"]
        git(project, "add", ".")
        subprocess.run(
            [*command, "commit", "-qm", name], cwd=project, env=os.environ | date, check=True
        )
    git(project, "branch", "-D", *({"main"} - set(names)))
    git(project, "symbolic-ref", "HEAD", "refs/heads/gone")


@AROUND
@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        pytest.param(["master", "zz"], "master", id="a usual name"),
        pytest.param(["only"], "only", id="the only one"),
        pytest.param(["a/old", "b", "c/new"], "c/new", id="the newest"),
    ],
)
def test_a_head_without_its_branch_is_told_and_another_is_checked_out(
    repo, project, around, names, chosen
):
    branched(project, *names)
    with_files(repo, around)
    if around:
        (repo / "file.txt").unlink(missing_ok=True)

    prepared(Spec(HANDLE, clone_url=address_of(project)), repo)

    assert git(repo, "branch", "--show-current") == chosen
    assert (repo / "file.txt").read_text() == chosen
    assert f"“{chosen}”" in told(repo)[NO_DEFAULT]


def test_a_new_branch_starts_from_the_one_that_is_there(repo, project):
    branched(project, "only")

    prepared(Spec(HANDLE, clone_url=address_of(project), branch="feature"), repo)

    assert git(repo, "branch", "--show-current") == "feature"
    assert (repo / "file.txt").read_text() == "only"
    assert NO_DEFAULT in told(repo)


def test_nothing_is_told_when_the_chosen_branch_is_there(repo, project):
    branched(project, "one", "two")

    prepared(Spec(HANDLE, clone_url=address_of(project), branch="one"), repo)

    assert (repo / "file.txt").read_text() == "one"
    assert told(repo) == {}


@pytest.fixture
def web(tmp_path, monkeypatch):
    """An https server at git.example, which the person's git trusts."""
    home = tmp_path / "home"
    home.mkdir()
    server = HttpsServer(tmp_path)
    server.trusted_by(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(clones, "_addresses_of", lambda host: [])
    monkeypatch.setattr(branches, "RETRY_AFTER", 0)
    yield server
    server.close()


APP = Spec(HANDLE, clone_url="https://git.example/ada/app")


@AROUND
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"), id="a page"),
        pytest.param((200, {"Content-Type": "text/plain"}, b""), id="nothing"),
        pytest.param((200, {}, b"<html>\n<body>Sign in</body>\n"), id="lines"),
    ],
)
def test_a_page_for_people_is_no_empty_repository(repo, web, around, answer):
    web.pages["/ada/app/info/refs"] = answer
    with_files(repo, around)
    before = left_in(repo.parent)

    with pytest.raises(NotAGitServer):
        prepared(APP, repo)

    assert left_in(repo.parent) == before
    assert told(repo) == {}
    assert own.load(repo.parent) is None
    assert not (repo / ".git").exists()


def test_an_empty_repository_over_https_is_one(repo, web, empty):
    web.repository("/ada/app", empty)

    prepared(APP, repo)

    assert list(told(repo)) == [EMPTY]


@AROUND
@pytest.mark.parametrize(
    ("location", "shown"),
    [
        pytest.param(
            "https://new.example/acme/app.git/info/refs?service=git-upload-pack",
            "to https://new.example/acme/app.git.",
            id="a new name",
        ),
        pytest.param("/login?token=hunter2", "to https://git.example/login.", id="a sign-in"),
        pytest.param("https://u:hunter2@x.example/a", "to https://…@x.example/a.", id="a secret"),
        pytest.param("https://[", "redirects.", id="no address"),
    ],
)
def test_a_redirect_is_told_with_where_it_leads(repo, web, around, location, shown):
    for path in ("/ada/app", "/ada/app.git"):
        web.pages[f"{path}/info/refs"] = (302, {"Location": location}, b"")
    with_files(repo, around)
    before = left_in(repo.parent)

    with pytest.raises(AddressMoved) as failed:
        prepared(APP, repo)

    assert shown in str(failed.value)
    assert "hunter2" not in str(failed.value)
    assert left_in(repo.parent) == before


def test_the_address_with_the_ending_is_taken_when_the_server_leads_there(repo, web, empty):
    web.pages["/ada/app/info/refs"] = (301, {"Location": "/ada/app.git/info/refs"}, b"")
    web.repository("/ada/app.git", empty)

    prepared(APP, repo)

    assert git(repo, "remote", "get-url", "origin") == "https://git.example/ada/app.git"


SLOW = """
for word; do last=$word; done
case "$*" in
  *" clone "*) GIT_ALLOW_PROTOCOL=file {git} clone -q {project} "$last" && sleep 600 ;;
  *) exec {git} "$@" ;;
esac
"""


def test_a_clone_that_is_killed_in_the_middle_leaves_nothing(repo, project, as_git, monkeypatch):
    real = subprocess.check_output(["which", "git"], text=True).strip()
    path = os.environ["PATH"]
    as_git(SLOW.format(git=real, project=project))
    failed, runner = [], Git()

    def clone():
        try:
            prepare(given, repo, runner, Notices(repo.parent))
        except GitFailed as exc:
            failed.append(exc)

    given = Spec(HANDLE, clone_url=address_of(project))
    working = threading.Thread(target=clone)
    working.start()
    until(lambda: list(repo.parent.glob("clone-*/file.txt")))
    os.killpg(runner._running.pid, signal.SIGKILL)
    working.join()
    monkeypatch.setenv("PATH", path)

    assert "ended by SIGKILL" in str(failed[0])
    assert left_in(repo.parent) == []
    assert prepared(given, repo) == repo


def test_what_a_killed_process_left_of_a_clone_is_removed(repo, project):
    (repo.parent / "clone-1/.git").mkdir(parents=True)
    (repo.parent / "clone-7").mkdir()

    prepared(Spec(HANDLE, clone_url=address_of(project)), repo)

    assert left_in(repo.parent) == ["repo"]


def test_files_that_appear_during_the_clone_stay(repo, project, as_git):
    real = subprocess.check_output(["which", "git"], text=True).strip()
    appear = f"mkdir -p {repo}; echo mine > {repo}/mine.txt"
    as_git(f'case "$*" in *" clone "*) {appear} ;; esac; exec {real} "$@"')
    given = Spec(HANDLE, clone_url=address_of(project))

    with pytest.raises(GitFailed, match="Files appeared"):
        prepared(given, repo)

    assert (repo / "mine.txt").read_text() == "mine\n"
    assert not list(repo.parent.glob("clone-*"))
    assert prepared(given, repo) == repo
    assert (repo / "mine.txt").read_text() == "mine\n"
