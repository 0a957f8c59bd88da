"""What an agent writes into ``.git`` starts no program of ours: real git, a real sandbox."""

from __future__ import annotations

import os

import pytest

from tests.sandboxes.daemon.projects import git
from tests.sandboxes.daemon.repository.traps import TRAPS, program_at, spring

pytestmark = pytest.mark.programs


async def ask_everything(sandbox, repo):
    """Use every route of the repository; return those that refused, with their codes."""
    (repo / "a.txt").write_text("changed\n")
    (repo / "b.txt").unlink()
    (repo / "new.txt").write_text("new\n")
    replies = {
        "status": await sandbox.get("/git/status"),
        "diff": await sandbox.get("/git/diff"),
        "discard": await sandbox.post("/git/discard", {"paths": ["b.txt"]}),
        "publish": await sandbox.post("/git/publish", {"message": "work", "nested": "include"}),
        "rebase": await sandbox.post("/git/rebase", {"base": "main"}),
    }
    refused = {name: reply for name, reply in replies.items() if reply.status_code != 200}
    return [f"{name}: {reply.json()['error']['code']}" for name, reply in refused.items()]


@pytest.mark.parametrize("trap", [pytest.param(trap, id=trap.name) for trap in TRAPS])
async def test_no_program_that_the_repository_names_is_started(sandbox, repo, tmp_path, trap):
    program, mark = program_at(tmp_path)
    trap.lay(repo, program)
    mark.unlink(missing_ok=True)

    refused = await ask_everything(sandbox, repo)

    assert not mark.exists(), mark.read_text()
    assert refused == list(trap.stops)
    (repo / "a.txt").write_text("changed again\n")
    spring(repo, trap.springs)
    assert mark.exists()  # the trap works: plain git runs the program


async def test_the_work_is_published_to_where_it_was_cloned_from(sandbox, repo, tmp_path):
    other = tmp_path / "other.git"
    git(tmp_path, "init", "-q", "--bare", str(other))
    git(repo, "config", "remote.origin.url", str(other))
    (repo / "new.txt").write_text("work\n")

    await sandbox.post("/git/publish", {"message": "work"})

    assert git(tmp_path / "origin", "log", "-1", "--format=%s", "feature") == "work"
    assert git(other, "for-each-ref") == ""


@pytest.mark.parametrize(
    "place", ["logs", "logs/HEAD", "COMMIT_EDITMSG", "index", "objects", "refs/heads"]
)
async def test_a_link_in_git_s_folder_leads_no_write_elsewhere(sandbox, repo, tmp_path, place):
    (repo / "new.txt").write_text("work\n")
    there, outside = repo / ".git" / place, tmp_path / "outside"
    there.rename(outside) if there.exists() else outside.write_text("mine")
    there.symlink_to(outside)
    before = _all_in(outside)

    reply = await sandbox.post("/git/publish", {"message": "work"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "foreign_git")
    assert _all_in(outside) == before


def _all_in(path):
    if path.is_file():
        return path.read_bytes()
    return sorted((p, p.is_file() and p.read_bytes()) for p in path.rglob("*"))


@pytest.mark.parametrize(
    "lay",
    [
        pytest.param(lambda file: (file.unlink(), os.mkfifo(file)), id="a pipe"),
        pytest.param(lambda file: file.write_text("[core"), id="nonsense"),
        pytest.param(lambda file: file.write_text("#" * 2_000_000), id="too long"),
    ],
)
async def test_a_configuration_that_can_t_be_read_is_named(sandbox, repo, lay):
    lay(repo / ".git/config")

    reply = await sandbox.get("/git/status")

    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "git_config_unreadable")


async def test_a_repository_of_the_agent_s_own_is_not_looked_into(make_sandbox, tmp_path):
    sandbox = make_sandbox()
    await sandbox.post("/bash", {"command": "git init -q . && echo x > file && git add ."})
    program, mark = program_at(tmp_path)
    git(sandbox.root / "repo", "config", "core.fsmonitor", program)

    status = await sandbox.get("/git/status")

    assert (status.status_code, status.json()["error"]["code"]) == (409, "foreign_git")
    assert not mark.exists()


async def test_names_that_are_no_utf8_are_published_too(sandbox, repo):
    (repo / os.fsdecode(b"caf\xe9.txt")).write_text("x\n")
    (repo / "b.txt").unlink()

    await sandbox.post("/git/publish", {"message": "work"})

    assert git(repo, "status", "--porcelain") == ""
    assert names_in(repo) == ["a.txt", '"caf\\351.txt"']


def names_in(repo):
    return git(repo, "ls-tree", "-r", "--name-only", "HEAD").split()
