"""The git routes over the real socket, with real git: D-SB9."""

from __future__ import annotations

import pytest

from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import git
from tests.waiting import auntil

pytestmark = pytest.mark.programs


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[("GET", "status"), ("GET", "diff"), ("POST", "discard"), ("POST", "publish")],
        ("POST", "rebase"),
    ],
)
async def test_before_there_is_a_clone(make_sandbox, method, path):  # D-SB9
    sandbox = make_sandbox()
    body = {"paths": ["x"], "base": "main"}

    reply = await sandbox.client.request(method, f"/git/{path}", json=body)

    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["notReady"]) == (409, "not_ready", True)


async def test_the_branch_and_its_changes(sandbox, repo):  # D-SB9
    (repo / "a.txt").write_text("changed\n")
    (repo / 'odd "name".txt').write_text("new\n")

    status = (await sandbox.get("/git/status")).json()

    assert (status["branch"], status["base"]) == ("feature", "origin/main")
    assert (status["aheadOfBase"], status["behindBase"], status["unpushed"]) == (0, 0, 0)
    assert status["headSha"] == git(repo, "rev-parse", "HEAD")
    assert {(f["path"], f["status"]) for f in status["files"]} == {
        ("a.txt", ".M"),
        ('odd "name".txt', "??"),
    }


async def test_commits_are_counted_beside_a_file_that_has_the_name_of_one(sandbox, repo):
    (repo / "HEAD").write_text("no commit\n")
    git(repo, "add", "HEAD")
    git(repo, "commit", "-qm", "work")

    assert (await sandbox.get("/git/status")).json()["unpushed"] == 1


async def test_the_diff_shows_new_files_too(sandbox, repo):  # D-SB9
    (repo / "a.txt").write_text("changed\n")
    (repo / "new.txt").write_text("brand new\n")

    told = (await sandbox.get("/git/diff")).json()

    assert "-one\n+changed" in told["diff"]
    assert "+brand new" in told["diff"]
    assert told["truncated"] is False
    assert git(repo, "status", "--porcelain") == "M a.txt\n?? new.txt"


async def test_what_is_discarded_is_kept_aside(sandbox, repo):
    (repo / "a.txt").write_text("changed\n")
    (repo / "b.txt").unlink()
    (repo / "new[1].txt").write_text("brand new\n")
    (repo / "staged.txt").write_text("staged\n")
    git(repo, "add", "staged.txt")
    paths = ["a.txt", "b.txt", "new[1].txt", "staged.txt"]

    done = (await sandbox.post("/git/discard", {"paths": paths})).json()

    assert git(repo, "status", "--porcelain") == ""
    assert (repo / "b.txt").read_text() == "two\n"
    kept = sandbox.root / "discarded" / done["kept"]
    assert (kept / "new/new[1].txt").read_text() == "brand new\n"
    assert (kept / "new/staged.txt").read_text() == "staged\n"
    assert "+changed" in (kept / "changes.patch").read_text()


@pytest.mark.parametrize("paths", [[], ["../secret"], ["b.txt"], [7], "a.txt", None])
async def test_what_can_t_be_discarded(sandbox, repo, paths):  # D-SB9
    (repo / "a.txt").write_text("changed\n")

    reply = await sandbox.post("/git/discard", {"paths": paths})

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_input")
    assert (repo / "a.txt").read_text() == "changed\n"


async def test_a_person_publishes_past_a_hook_that_fails(sandbox, repo, tmp_path):  # D-SB9
    hook = repo / ".git/hooks/pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (repo / "new.txt").write_text("work\n")

    body = {"message": "Add; $(touch pwned)", "skipHooks": True}
    done = (await sandbox.post("/git/publish", body)).json()

    assert done["hooksSkipped"] is True
    assert (done["workingTreeDirty"], done["unpushed"], done["aheadOfBase"]) == (False, 0, 1)
    origin = tmp_path / "origin"
    assert git(origin, "log", "-1", "--format=%s %an", "feature") == "Add; $(touch pwned) Ada"
    assert git(origin, "rev-parse", "feature") == done["headSha"]
    assert not (repo / "pwned").exists()


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        pytest.param([], "message_needed", id="no message"),
        pytest.param(["checkout", "-q", "main"], "default_branch", id="main"),
        pytest.param(["checkout", "-qb", "master"], "default_branch", id="master"),
        pytest.param(["checkout", "-q", "--detach"], "nothing_to_publish", id="no branch"),
        pytest.param(["remote", "remove", "origin"], "nothing_to_publish", id="no remote"),
    ],
)
async def test_what_can_t_be_published(sandbox, repo, tmp_path, prepare, code):
    (repo / "new.txt").write_text("work\n")
    if prepare:
        git(repo, *prepare)
    before = git(tmp_path / "origin", "for-each-ref")

    reply = await sandbox.post("/git/publish", {})

    assert reply.json()["error"]["code"] == code
    assert git(tmp_path / "origin", "for-each-ref") == before


async def test_what_the_server_calls_its_default_is_asked_of_it(sandbox, repo, tmp_path):
    git(tmp_path / "origin", "checkout", "-qb", "feature")
    (repo / "new.txt").write_text("work\n")

    reply = await sandbox.post("/git/publish", {"message": "x"})

    assert reply.json()["error"]["code"] == "default_branch"


async def test_no_hook_is_laid_into_the_project(sandbox, repo):
    """They would be in the person's own folder too, where the sandbox is a worktree of it."""
    assert {path.suffix for path in (repo / ".git/hooks").iterdir()} <= {".sample"}
    assert "hooksPath" not in (repo / ".git/config").read_text()


async def test_who_looks_on_hears_of_the_branch(sandbox, repo):
    async with looking_on(sandbox) as told:
        await auntil(lambda: told.of("branch")[-1]["meta"]["kind"] == "ready")
        assert told.of("branch")[-1]["meta"]["workingTreeDirty"] is False

        await sandbox.post("/bash", {"command": "echo x > new.txt"})
        await auntil(lambda: told.of("branch")[-1]["meta"]["workingTreeDirty"])


async def test_a_repository_around_the_sandbox_is_not_its_own(make_sandbox, tmp_path):
    git(tmp_path, "init", "-q")
    sandbox = make_sandbox()

    assert (await sandbox.get("/git/status")).status_code == 409
