"""What works as before in a person's repository, and what does not; with real git.

The person's own configuration counts: credentials, filters, signing. That of the repository does
not, but for what can do no harm.
"""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mesh.git import own, quick
from mesh.git.calls import Outside, protocols_for
from mesh.git.view import View
from sandboxes.daemon.checkout.sources import prepare
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.git import Git, GitFailed, view_of
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.repository.publish import Options
from sandboxes.daemon.repository.repository import Repository
from sandboxes.daemon.spec import Spec
from tests.mesh.git.test_own import git

pytestmark = pytest.mark.programs

FILTER = '#!/bin/sh\necho "$*" >> {log}\nexec tr a-z A-Z\n'


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of the person's own, and a folder for programs on their PATH."""
    (tmp_path / "home/bin").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'home/bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    git(tmp_path, "config", "--global", "user.name", "Ada")
    git(tmp_path, "config", "--global", "user.email", "ada@mesh.example")
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path, home):
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-qb", "main")
    (folder / "a.txt").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def origin(tmp_path, project):
    git(tmp_path, "clone", "-q", "--bare", str(project), "origin.git")
    git(project, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(project, "fetch", "-q", "origin")
    return tmp_path / "origin.git"


@pytest.fixture
def worktree(tmp_path, project):
    """Return ``worktree()``: the repository of a sandbox that works in the person's folder."""

    def make():
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        prepare(Spec("h", folder=str(project), branch="work"), root / "repo", Git(), Notices(root))
        return Repository(Tree(root / "repo"), root)

    return make


def program(home, name):
    log, file = home / f"{name}.log", home / "bin" / name
    file.write_text(FILTER.format(log=log))
    file.chmod(0o755)
    return log


def publish(repository, tmp_path, text="two\n"):
    (tmp_path / "root/repo/a.txt").write_text(text)
    repository.publish(Options("work"), lambda call: pytest.fail(f"{call.name} is no hook"))


@pytest.mark.parametrize("level", ["--global", "--local"])
def test_git_lfs_works_as_the_person_has_installed_it(
    project, origin, worktree, home, tmp_path, level
):
    log = program(home, "git-lfs")
    git(project, "config", level, "filter.lfs.clean", "git-lfs clean -- %f")
    git(project, "config", level, "filter.lfs.smudge", "git-lfs smudge -- %f")
    git(project, "config", level, "filter.lfs.required", "true")
    (project / ".gitattributes").write_text("*.txt filter=lfs\n")
    git(project, "add", ".gitattributes")
    git(project, "commit", "-qm", "lfs")

    publish(worktree(), tmp_path)

    assert git(origin, "show", "work:a.txt") == "TWO"
    assert "clean -- a.txt" in log.read_text()


def test_a_file_whose_filter_is_left_out_is_not_stored_as_it_is(
    project, origin, worktree, tmp_path
):
    git(project, "config", "filter.secret.clean", "encrypt")
    git(project, "config", "filter.secret.smudge", "cat")
    (project / ".gitattributes").write_text("*.txt filter=secret\n")
    git(project, "add", ".gitattributes")
    git(project, "commit", "-qm", "secret")
    repository = worktree()

    with pytest.raises(GitFailed, match=r"filter\.secret\.clean.*--global"):
        publish(repository, tmp_path)

    assert [file.path for file in repository.facts().own] == ["a.txt"]
    assert "work" not in git(origin, "branch", "--list")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("core.hooksPath", ".husky", id="husky"),
        pytest.param("core.fsmonitor", "true", id="git's own fsmonitor"),
        pytest.param("core.untrackedCache", "true", id="the untracked cache"),
        pytest.param("core.sshCommand", "ssh -i key", id="an ssh of its own"),
        pytest.param("alias.status", "!exit 1", id="an alias"),
        pytest.param("index.version", "4", id="another form of the index"),
    ],
)
def test_settings_that_projects_have_are_in_nobody_s_way(
    project, origin, worktree, tmp_path, key, value
):
    (project / ".husky").mkdir()
    (project / ".husky/pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (project / ".husky/pre-commit").chmod(0o755)
    git(project, "config", key, value)
    before = (project / ".git/config").read_text()

    publish(worktree(), tmp_path)

    assert git(origin, "show", "work:a.txt") == "two"
    assert (project / ".git/config").read_text() == before


def test_the_person_s_own_git_works_as_before(project, origin, worktree, tmp_path):
    publish(worktree(), tmp_path)
    repo = tmp_path / "root/repo"

    assert git(repo, "status", "--porcelain", "--branch") == "## work...origin/work"
    assert (repo / ".git").read_text() == f"gitdir: {project / '.git/worktrees/repo'}\n"
    assert git(project, "worktree", "list").count("\n") == 1
    assert git(project, "fsck") == ""
    assert git(project, "log", "-g", "--format=%gs", "work").splitlines()[0] == "commit: work"


def test_a_setting_that_is_not_utf_8_reaches_git_as_it_is(project, origin, worktree, tmp_path):
    with open(project / ".git/config", "ab") as file:
        file.write(b'[user]\n\tname = "Ren\xe9"\n')

    publish(worktree(), tmp_path)

    shown = subprocess.run(
        ["git", "cat-file", "commit", "work"], cwd=origin, capture_output=True, check=True
    )
    # As in a terminal: git takes such a name for Latin-1, and stores it as UTF-8.
    assert b"author Ren\xc3\xa9 <ada@mesh.example>" in shown.stdout


def test_a_repository_of_which_a_part_is_checked_out(project, worktree, tmp_path):
    (project / "big").mkdir()
    (project / "big/file").write_text("x")
    git(project, "add", ".")
    git(project, "commit", "-qm", "big")
    git(project, "sparse-checkout", "set", "small")

    facts = worktree().facts()

    assert facts.own == ()


def test_a_clone_that_fetches_what_it_lacks(project, origin, home, tmp_path):
    git(origin, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{origin}", "part")
    root = tmp_path / "root"
    root.mkdir()

    prepare(
        Spec("h", folder=str(tmp_path / "part"), branch="work"), root / "repo", Git(), Notices(root)
    )

    assert (root / "repo/a.txt").read_text() == "one\n"


def test_a_repository_of_another_hash(home, tmp_path):
    folder, root = tmp_path / "project", tmp_path / "root"
    folder.mkdir()
    root.mkdir()
    git(folder, "init", "-q", "--object-format=sha256")
    git(folder, "commit", "-qm", "x", "--allow-empty")

    prepare(Spec("h", folder=str(folder), branch="work"), root / "repo", Git(), Notices(root))

    assert len(Repository(Tree(root / "repo"), root).facts().status.head) == 64


def test_hostile_settings_of_a_person_s_folder_start_nothing(
    project, origin, worktree, home, tmp_path
):
    log = program(home, "trap")
    for key in ("core.fsmonitor", "core.sshCommand", "diff.external", "credential.helper"):
        git(project, "config", key, "trap")
    (project / ".git/hooks/post-checkout").symlink_to(home / "bin/trap")
    log.unlink(missing_ok=True)

    repository = worktree()
    repository.diff()
    publish(repository, tmp_path)

    assert not log.exists()


class NeedsPassword(BaseHTTPRequestHandler):
    seen: list[str] = []

    def do_GET(self):
        self.seen.append(self.headers.get("authorization", ""))
        self.send_response(401)
        self.send_header("www-authenticate", 'Basic realm="x"')
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    """A server of repositories that asks for a password."""
    NeedsPassword.seen = []
    server = HTTPServer(("127.0.0.1", 0), NeedsPassword)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/a.git"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("where", ["clone", "fetch"])
def test_the_person_s_own_credentials_are_used(home, project, tmp_path, address, where):
    helper = "!f() { echo username=ada; echo password=own; }; f"
    git(tmp_path, "config", "--global", "credential.helper", helper)
    git(project, "config", "credential.helper", "!echo username=evil; echo password=evil")
    git(project, "remote", "add", "origin", address)
    here = view_of(own.find(project), tmp_path)
    outside = Outside(tmp_path, protocols_for(address))

    with pytest.raises(GitFailed):
        Git().run(
            *(
                (outside, "clone", "--", address, "x")
                if where == "clone"
                else (here, "fetch", "origin")
            )
        )

    assert f"Basic {base64.b64encode(b'ada:own').decode()}" in NeedsPassword.seen
    assert "evil" not in "".join(base64.b64decode(s[6:]).decode() for s in NeedsPassword.seen)


def test_two_who_look_at_once_see_the_same(project, tmp_path):
    found, parent = own.find(project), dict(os.environ)
    failures = []

    def look():
        for _ in range(10):
            call = View.open(found, tmp_path, parent).call(("rev-parse", "HEAD"), parent)
            done = subprocess.run(call.argv, cwd=call.cwd, env=call.env, capture_output=True)
            if done.returncode:
                failures.append(done.stderr)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


@pytest.mark.parametrize("where", ["../more", "{project}/more"])
def test_a_file_that_the_configuration_includes_is_not_read(project, tmp_path, where):
    (project / "more").write_text("[core]\n\tabbrev = 13\n")
    git(project, "config", "include.path", where.format(project=project))
    (tmp_path / "root").mkdir()

    assert view_of(own.find(project), tmp_path / "root").judged.value("core.abbrev") == ""


def test_a_pipe_in_place_of_what_is_ignored_is_not_waited_for(project, worktree):
    worktree()
    ignored = project / ".git/info/exclude"
    ignored.unlink(missing_ok=True)
    os.mkfifo(ignored)

    assert worktree().facts().own == ()


def test_settings_that_have_not_changed_are_read_by_one_process_of_git(
    project, worktree, monkeypatch
):
    worktree()
    read = []
    exchange = quick.exchange

    def exchange_noting(call, given):
        read.extend([given] if "--list" in call.argv else [])
        return exchange(call, given)

    monkeypatch.setattr(quick, "exchange", exchange_noting)
    worktree()
    assert read == []

    git(project, "config", "core.abbrev", "9")
    worktree()

    assert read == [(project / ".git/config").read_bytes()]
