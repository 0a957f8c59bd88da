"""Submodules of worktrees and clones are filled: from this machine, else openly from servers."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from sandboxes.daemon.checkout.checkout import Checkout, Job, run_job
from sandboxes.daemon.git import Git
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import parse_spec
from tests.sandboxes.daemon.projects import address_of, git, repository
from tests.sandboxes.daemon.sandbox import text_of
from tests.waiting import auntil

pytestmark = pytest.mark.programs

ALLOWED = ("-c", "protocol.file.allow=always")


def add(folder, url, path="lib"):
    """Add a submodule to the repository in ``folder``, as a person does."""
    git(folder, *ALLOWED, "submodule", "add", "-q", "--", url, path)
    git(folder, "commit", "-qm", f"with {path}")


def forget_submodules(folder):
    git(folder, "submodule", "deinit", "--all", "--force", "-q")
    shutil.rmtree(folder / ".git/modules")


@pytest.fixture
def library(tmp_path):
    """A repository, with a repository inside it as a submodule."""
    repository(tmp_path / "server/inner", {"inner.txt": "inner\n"})
    repository(tmp_path / "server/lib", {"lib.txt": "one\n"})
    add(tmp_path / "server/lib", address_of(tmp_path / "server/inner"), "deep/inner")
    return tmp_path / "server/lib"


@pytest.fixture
def server(tmp_path, library):
    """The project on its server, with the library at a relative address."""
    repository(tmp_path / "server/app", {"app.txt": "app\n"})
    app = tmp_path / "server/app"
    git(app, "remote", "add", "origin", address_of(app))
    add(app, "../lib")
    git(app, "remote", "remove", "origin")
    return app


@pytest.fixture
def project(tmp_path, server):
    """The person's clone of the project, with its submodules."""
    git(tmp_path, "clone", "-q", "--recurse-submodules", address_of(server), "project")
    return tmp_path / "project"


class Chat:
    """A sandbox's folder, and what it says."""

    def __init__(self, root, **spec):
        root.mkdir()
        self.root, self.repo = root, root / "repo"
        self.spec = parse_spec({"handle": "h-0123456789abcdef", **spec})
        self.notices = Notices(root)
        self.said = []
        self.git = Git()

    def begin(self):
        """Make the folder; return the texts of the notices."""
        run_job(Job(self.spec, say=self.said.append), self.repo, self.git, self.notices)
        return [notice.text for notice in self.notices.pending]


@pytest.fixture
def worktree(tmp_path, project):
    return Chat(tmp_path / "root", folder=str(project), branch="feature")


@pytest.fixture
def clone(tmp_path, server):
    return Chat(tmp_path / "root", repo={"cloneUrl": address_of(server), "branch": "feature"})


def assert_filled(repo):
    assert (repo / "lib/lib.txt").read_text() == "one\n"
    assert (repo / "lib/deep/inner/inner.txt").read_text() == "inner\n"
    assert git(repo, "status", "--porcelain") == ""
    assert git(repo / "lib", "status", "--porcelain") == ""
    assert git(repo / "lib", "rev-parse", "HEAD") in git(repo, "ls-files", "-s", "lib")


def test_a_worktree_s_submodules_come_from_this_machine(worktree, project, tmp_path):
    git(project, "branch", "feature")  # else the server would be asked whether it has it
    shutil.rmtree(tmp_path / "server")

    assert worktree.begin() == []
    assert_filled(worktree.repo)
    assert worktree.said == []


def test_the_person_s_repository_is_as_it_was(worktree, project):
    before = contents(project)
    worktree.begin()
    git(worktree.repo / "lib", "commit", "-q", "--allow-empty", "-m", "work")

    assert contents(project) == before


def contents(project):
    """Return what the person's repository and its submodules consist of, but for our own entry."""
    ours = ("worktrees/", "refs/heads/feature", "logs/refs/heads/feature", "objects/")
    files = (path for path in sorted((project / ".git").rglob("*")) if path.is_file())
    named = {str(path.relative_to(project / ".git")): path.read_bytes() for path in files}
    return {name: text for name, text in named.items() if not name.startswith(ours)}


def test_submodules_that_the_person_does_not_have_are_fetched_and_it_is_said(worktree, project):
    forget_submodules(project)
    told = worktree.begin()

    assert_filled(worktree.repo)
    assert [line.split(" from ")[0] for line in worktree.said] == [
        "Fetching the submodule lib",
        "Fetching the submodule lib/deep/inner",
    ]
    assert len(told) == 1
    assert told[0].startswith("Fetched from their servers: the submodules lib (ssh://")


def test_a_newer_commit_than_the_person_s_is_fetched(worktree, project, library):
    (library / "lib.txt").write_text("two\n")
    git(library, "commit", "-qam", "two")
    commit = git(library, "rev-parse", "HEAD")
    git(project, "update-index", "--cacheinfo", f"160000,{commit},lib")
    git(project, "commit", "-qm", "newer")
    worktree.begin()

    assert (worktree.repo / "lib/lib.txt").read_text() == "two\n"


def test_a_clone_s_submodules_are_fetched(clone):
    clone.begin()

    assert_filled(clone.repo)
    assert git(clone.repo / "lib", "remote", "get-url", "origin").endswith("server/lib")


@pytest.mark.parametrize("chat", ["worktree", "clone"])
def test_a_commit_that_is_nowhere_is_said_and_the_chat_starts(chat, request, server, project):
    for folder in (server, project):
        git(folder, "update-index", "--cacheinfo", f"160000,{'1' * 40},lib")
        git(folder, "commit", "-qm", "a commit that was never pushed")
    made = request.getfixturevalue(chat)
    told = made.begin()

    assert (made.repo / "app.txt").read_text() == "app\n"
    assert list((made.repo / "lib").iterdir()) == []
    assert len(told) == 1
    assert told[0].startswith("The submodule lib is empty: ")
    assert "1" * 40 in told[0] or "not our ref" in told[0]


def test_what_failed_is_tried_again_at_the_next_start(clone, library):
    library.rename(library.with_name("away"))
    first = clone.begin()
    library.with_name("away").rename(library)
    clone.begin()

    assert "The submodule lib is empty" in first[0]
    assert_filled(clone.repo)
    assert "submodule_empty" not in {notice.code for notice in clone.notices.pending}


def test_filling_again_changes_nothing(worktree):
    worktree.begin()
    (worktree.repo / "lib/lib.txt").write_text("work\n")
    git(worktree.repo / "lib", "checkout", "-q", "-b", "mine")
    worktree.begin()

    assert (worktree.repo / "lib/lib.txt").read_text() == "work\n"
    assert git(worktree.repo / "lib", "branch", "--show-current") == "mine"


def rename_url(folder, url, **more):
    """Commit another address of the submodule lib, without trying it."""
    for key, value in {"url": url, **more}.items():
        git(folder, "config", "--file", ".gitmodules", f"submodule.lib.{key}", value)
    git(folder, "commit", "-qam", "another address")


@pytest.mark.parametrize("kind", ["worktree", "clone"])
def test_an_address_that_is_not_fetched_is_said(kind, request, server, project):
    forget_submodules(project)
    for folder in (server, project):
        rename_url(folder, "https://192.168.1.1/lib")
    chat = request.getfixturevalue(kind)
    told = chat.begin()

    assert list((chat.repo / "lib").iterdir()) == []
    assert ["The submodule lib is empty" in text for text in told] == [True]
    assert not any("Fetching" in line for line in chat.said)


def test_of_a_person_s_own_folder_a_neighbour_on_the_same_disk_is_fetched(tmp_path, library):
    repository(tmp_path / "server/app", {"app.txt": "app\n"})
    git(tmp_path, "clone", "-q", str(tmp_path / "server/app"), "local")
    add(tmp_path / "local", "../lib")
    forget_submodules(tmp_path / "local")
    chat = Chat(tmp_path / "root", folder=str(tmp_path / "local"), branch="feature")
    chat.begin()

    assert (chat.repo / "lib/lib.txt").read_text() == "one\n"


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"update": "!touch ran"}, id="a command"),
        pytest.param({"path": "../../lib"}, id="a path that leads out"),
        pytest.param({"url": "--upload-pack=touch ran"}, id="an option"),
    ],
)
def test_nothing_that_gitmodules_says_is_run(clone, server, tmp_path, more):
    rename_url(server, more.pop("url", "../lib"), **more)
    clone.begin()

    assert not list(tmp_path.rglob("ran"))
    assert not (tmp_path / "lib").exists()


def test_gitmodules_includes_no_other_file(clone, server, tmp_path):
    (tmp_path / "more").write_text('[submodule "lib"]\n\tupdate = none\n')
    git(server, "config", "--file", ".gitmodules", "include.path", str(tmp_path / "more"))
    git(server, "commit", "-qam", "more")
    clone.begin()

    assert (clone.repo / "lib/lib.txt").exists()


def test_nothing_that_the_person_s_copy_is_configured_with_is_run(worktree, project, tmp_path):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho >> {tmp_path}/ran\n")
    program.chmod(0o755)
    module = project / ".git/modules/lib"
    for key in ("core.fsmonitor", "uploadpack.packObjectsHook", "core.sshCommand"):
        git(module, "config", key, str(program))
    (module / "hooks").mkdir(exist_ok=True)
    (module / "hooks/post-checkout").symlink_to(program)
    worktree.begin()

    assert_filled(worktree.repo)
    assert not (tmp_path / "ran").exists()


def test_one_that_is_not_to_be_filled_is_left_in_silence(clone, server):
    rename_url(server, "../lib", update="none")

    assert clone.begin() == []
    assert list((clone.repo / "lib").iterdir()) == []


def test_a_submodule_that_gitmodules_does_not_name_is_said(clone, server):
    git(server, "rm", "-q", "--cached", ".gitmodules")
    git(server, "commit", "-qm", "forgotten")

    assert clone.begin() == [
        "The submodule lib is empty: .gitmodules names no address for it that git may use"
    ]


def test_a_link_in_the_place_of_a_submodule_leads_nowhere(clone, library, tmp_path):
    library.rename(library.with_name("away"))
    clone.begin()
    library.with_name("away").rename(library)
    (tmp_path / "outside").mkdir()
    (clone.repo / "lib").rmdir()
    (clone.repo / "lib").symlink_to(tmp_path / "outside")
    clone.begin()

    assert list((tmp_path / "outside").iterdir()) == []
    assert any("there are files in its folder" in notice.text for notice in clone.notices.pending)


SLOW_SSH = """#!/bin/sh
case "$*" in *lib*) touch {asked}; exec sleep 600;; esac
for last; do :; done
exec sh -c "$last"
"""


@pytest.fixture
def slow(tmp_path):
    """An ssh that hangs when it is asked for the library."""
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    program.write_text(SLOW_SSH.format(asked=tmp_path / "asked"))
    program.chmod(0o755)
    return program


async def test_a_fetch_that_is_stopped_leaves_the_folder_ready(clone, slow, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_SSH_COMMAND", str(slow))
    checkout = Checkout(clone.spec, clone.repo, clone.notices)
    checkout.begin()
    await auntil(lambda: (tmp_path / "asked").exists())
    checkout.skip_submodules()

    assert await checkout.ready() == clone.repo
    assert (clone.repo / "app.txt").exists()
    assert [notice.text for notice in clone.notices.pending] == [
        "The submodule lib is empty: it was stopped"
    ]


async def test_stopping_the_only_run_stops_the_fetch(make_sandbox, server, slow, tmp_path):
    named = {"cloneUrl": address_of(server), "branch": "feature"}
    sandbox = make_sandbox(spec={"repo": named}, env={"GIT_SSH_COMMAND": str(slow)})
    async with sandbox.dispatch("r1", ["say", "never"]) as waiting:
        await auntil(lambda: (tmp_path / "asked").exists())
        await sandbox.cancel("r1")
        stopped = [body async for _, body in waiting]
    events = await sandbox.run("r2", ["say", "hello"])

    assert stopped[-1]["type"] == "done"
    assert text_of(events) == "hello"
    # The fetch may be over before the stopped run's answer is closed: then that says it.
    said = f"{stopped} {events}"
    assert said.count("submodule_empty") == 1
    assert "The submodule lib is empty: it was stopped" in said


def switch(chat, branch):
    """Check another branch out, as a changed configuration does."""
    spec = dataclasses.replace(chat.spec, branch=branch)
    job = Job(spec, to_branch=True, identity=("Ada", "ada@mesh.example"), say=chat.said.append)
    run_job(job, chat.repo, chat.git, chat.notices)


@pytest.fixture
def newer(server, library):
    """A branch of the project's that has a newer commit of the library."""
    (library / "lib.txt").write_text("two\n")
    git(library, "commit", "-qam", "two")
    git(server, "checkout", "-qb", "newer")
    git(server, "update-index", "--cacheinfo", f"160000,{git(library, 'rev-parse', 'HEAD')},lib")
    git(server, "commit", "-qm", "newer")
    git(server, "checkout", "-q", "main", "--")
    return "newer"


def test_on_another_branch_a_submodule_is_at_the_commit_it_names(clone, newer):
    clone.begin()
    switch(clone, newer)

    assert (clone.repo / "lib/lib.txt").read_text() == "two\n"
    assert git(clone.repo, "status", "--porcelain") == ""
    assert git(clone.repo / "lib", "config", "user.email") == "ada@mesh.example"


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda lib: (lib / "lib.txt").write_text("work\n"), id="a changed file"),
        pytest.param(lambda lib: git(lib, "commit", "-q", "--allow-empty", "-m", "x"), id="commit"),
    ],
)
def test_a_submodule_that_somebody_works_in_stays(clone, newer, work):
    clone.begin()
    work(clone.repo / "lib")
    before = git(clone.repo / "lib", "rev-parse", "HEAD")
    switch(clone, newer)

    assert git(clone.repo / "lib", "rev-parse", "HEAD") == before
