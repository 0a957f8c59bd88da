from __future__ import annotations

import os
from uuid import uuid4

import pytest

from sandboxes.daemon.journal import Journal
from tests.sandboxes.daemon.projects import address_of, git, repository
from tests.sandboxes.daemon.repository.publishing import place_of
from tests.sandboxes.daemon.sandbox import SSH, Sandbox


@pytest.fixture(autouse=True)
def ssh_to_this_machine(monkeypatch):
    """git finds the tests' ssh; a sandbox's own process does so by itself."""
    monkeypatch.setenv("PATH", f"{SSH}:{os.environ['PATH']}")


@pytest.fixture
def journal(tmp_path):
    """An empty journal, closed with the test."""
    journal = Journal(tmp_path / "journal.db")
    yield journal
    journal.close()


@pytest.fixture
def make_sandbox(tmp_path):
    """Return ``make_sandbox(name, spec=…, env=…)``: a started sandbox, ended with the test."""
    made = []

    def make(name="sandbox", **options):
        made.append(Sandbox(tmp_path / name, **options).start())
        return made[-1]

    yield make
    for sandbox in made:
        sandbox.close()


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory):
    sandbox = Sandbox(tmp_path_factory.mktemp("shared") / "sandbox").start()
    yield sandbox
    sandbox.close()


@pytest.fixture
def sandbox(shared_sandbox):
    """A sandbox that other tests of the file use too, under other ids."""
    return shared_sandbox.share(f"{uuid4().hex[:8]}-")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of a person whose git has only a name."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    git(home, "config", "--global", "user.name", "Ada")
    git(home, "config", "--global", "user.email", "ada@mesh.example")
    return home


@pytest.fixture
def server(tmp_path):
    """A repository on a server, with the branch main."""
    repository(tmp_path / "server", {"a.txt": "one\n", "b.txt": "two\n"})
    return tmp_path / "server"


@pytest.fixture
def clone(tmp_path, server, home):
    """A person's own clone of the server's repository."""
    git(tmp_path, "clone", "-q", address_of(server), "clone")
    return tmp_path / "clone"


@pytest.fixture
def place(tmp_path, clone):
    """A sandbox that works in a worktree of the person's clone; it has no process."""
    return place_of(clone, tmp_path / "sandbox")
