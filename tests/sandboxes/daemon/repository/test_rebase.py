"""A branch put on a newer base, with real git: wholly, or not at all. D-SB9."""

from __future__ import annotations

import pytest

from tests.sandboxes.daemon.projects import git
from tests.sandboxes.daemon.sandbox import read_words

pytestmark = pytest.mark.programs


@pytest.fixture
def origin(tmp_path):
    return tmp_path / "origin"


def commit(folder, name, text):
    (folder / name).write_text(text)
    git(folder, "add", name)
    git(folder, "commit", "-qm", f"{name}: {text.strip()}")
    return git(folder, "rev-parse", "HEAD")


async def refused(reply):
    return reply.status_code, reply.json()["error"]["code"]


async def test_the_work_comes_to_stand_on_the_new_base(sandbox, repo, origin):
    mine = commit(repo, "mine.txt", "mine\n")
    theirs = commit(origin, "a.txt", "newer\n")

    done = (await sandbox.post("/git/rebase", {"base": "main"})).json()

    assert git(repo, "rev-parse", "HEAD~1") == theirs
    assert (done["previousHead"], done["branch"]) == (mine, "feature")
    assert (done["aheadOfBase"], done["behindBase"], done["workingTreeDirty"]) == (1, 0, False)
    assert git(repo, "log", "-1", "--format=%an") == "Ada"


async def test_conflicts_leave_everything_as_it_was(sandbox, repo, origin):
    commit(repo, "b.txt", "fine\n")
    mine = commit(repo, "a.txt", "mine\n")
    commit(origin, "a.txt", "theirs\n")

    reply = await sandbox.post("/git/rebase", {"base": "main"})

    assert await refused(reply) == (409, "conflicts")
    assert reply.json()["error"]["files"] == ["a.txt"]
    assert git(repo, "rev-parse", "feature") == mine
    assert git(repo, "status", "--porcelain") == ""
    assert (await sandbox.post("/git/rebase", {"abort": True})).status_code == 409


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        pytest.param({}, (400, "bad_input"), id="no base"),
        *[
            pytest.param({"base": base}, (400, "bad_input"), id=repr(base))
            for base in [
                "",
                7,
                "-x",
                "--exec=touch pwned",
                "a b",
                "@{-1}",
                "a..b",
                "x\0",
                "a" * 300,
            ]
        ],
        pytest.param({"base": "$(id>pwned)"}, (400, "unknown_base"), id="shell"),
        pytest.param({"base": "main", "abort": 1}, (400, "bad_input"), id="abort is no flag"),
        pytest.param({"base": "nowhere"}, (400, "unknown_base"), id="unknown"),
        pytest.param({"base": "feature"}, (409, "nothing_to_rebase"), id="on itself"),
        pytest.param({"abort": True}, (409, "no_rebase"), id="nothing to abort"),
    ],
)
async def test_what_can_t_be_rebased(sandbox, repo, body, refusal):
    before = git(repo, "for-each-ref")

    assert await refused(await sandbox.post("/git/rebase", body)) == refusal
    assert git(repo, "for-each-ref") == before
    assert not list(sandbox.root.rglob("pwned"))


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        pytest.param(["checkout", "-q", "--detach"], "nothing_to_rebase", id="no branch"),
        pytest.param(["remote", "remove", "origin"], "nothing_to_rebase", id="no remote"),
        pytest.param(["rm", "-q", "a.txt"], "uncommitted_changes", id="changes"),
    ],
)
async def test_where_it_can_t_begin(sandbox, repo, prepare, code):
    git(repo, *prepare)

    reply = await sandbox.post("/git/rebase", {"base": "main"})

    assert await refused(reply) == (409, code)


async def test_what_somebody_has_begun_is_ended_only_when_asked(sandbox, repo, origin):
    mine = commit(repo, "a.txt", "mine\n")
    commit(origin, "a.txt", "theirs\n")
    command = "git fetch -q origin && git rebase origin/main"
    assert (await sandbox.post("/bash", {"command": command})).json()["exitCode"] == 1

    refusal = await refused(await sandbox.post("/git/rebase", {"base": "main"}))
    aborted = (await sandbox.post("/git/rebase", {"abort": True})).json()

    assert refusal == (409, "rebase_under_way")
    assert (aborted["ok"], aborted["branch"], aborted["headSha"]) == (True, "feature", mine)


async def test_not_under_an_agent(sandbox, repo):
    async with sandbox.dispatch("r1", ["say", "at work "], ["silence"]) as events:
        await read_words(events, 2)
        reply = await sandbox.post("/git/rebase", {"base": "main"})
        await sandbox.cancel("r1")

    assert await refused(reply) == (409, "agent_at_work")


async def test_what_was_published_is_replaced_only_when_asked(sandbox, repo, origin):
    commit(repo, "mine.txt", "mine\n")
    await sandbox.post("/git/publish", {})
    commit(origin, "a.txt", "newer\n")
    await sandbox.post("/git/rebase", {"base": "main"})

    reply = await sandbox.post("/git/publish", {})
    replaced = (await sandbox.post("/git/publish", {"replace": True})).json()

    assert await refused(reply) == (409, "diverged")
    assert (replaced["unpushed"], replaced["behindBase"]) == (0, 0)
    assert git(origin, "rev-parse", "feature") == replaced["headSha"]


async def test_what_somebody_else_has_published_is_never_replaced(sandbox, repo, origin):
    commit(repo, "mine.txt", "mine\n")
    await sandbox.post("/git/publish", {})
    git(origin, "checkout", "-q", "feature")
    theirs = commit(origin, "theirs.txt", "theirs\n")
    git(origin, "checkout", "-q", "main")
    git(repo, "fetch", "-q", "origin")
    git(repo, "commit", "-q", "--amend", "-m", "mine, again")

    reply = await sandbox.post("/git/publish", {"replace": True})

    assert reply.status_code == 409
    assert reply.json()["error"]["code"] == "others_commits"
    assert git(origin, "rev-parse", "feature") == theirs
