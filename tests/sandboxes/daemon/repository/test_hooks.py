"""Hooks at a commit and a push: they may refuse, and get no more than a project's programs."""

from __future__ import annotations

import asyncio

import pytest

from mesh.lib.errors import AppError
from sandboxes.daemon.repository.hooks import SHOWN
from tests.sandboxes.daemon.projects import config, git, repository
from tests.sandboxes.daemon.repository.publishing import BRANCH, place_of
from tests.sandboxes.daemon.sandbox import is_alive
from tests.waiting import auntil

pytestmark = pytest.mark.programs


def hook(folder, name, *lines):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(["#!/bin/sh", *lines, ""]))
    (folder / name).chmod(0o755)


@pytest.fixture
def hooks(clone):
    return clone / ".git/hooks"


@pytest.mark.parametrize("name", ["pre-commit", "prepare-commit-msg", "commit-msg", "pre-push"])
def test_a_hook_refuses_and_everything_is_as_it_was(place, hooks, server, name):
    hook(hooks, name, "echo 'no, at https://ada:secret@x.example'", "exit 3")
    place.write("a.txt", "changed\n")
    git(place.repo, "add", "a.txt")
    place.write("new.txt", "work\n")
    before = place.state()

    with pytest.raises(AppError) as caught:
        place.publish()

    assert caught.value.code == "hook_refused"
    assert str(caught.value) == (
        f"The {name} hook refused (exit code 3): no, at https://…@x.example"
    )
    assert place.state() == before
    assert git(server, "branch", "--list", BRANCH) == ""
    assert place.publish(skips_hooks=True)["hooksSkipped"] is True


def test_only_the_end_of_long_words_is_shown(place, hooks):
    hook(hooks, "pre-commit", "seq 100000", "exit 1")
    place.write("new.txt", "work\n")

    with pytest.raises(AppError) as caught:
        place.publish()

    assert len(caught.value.extra["output"]) == SHOWN
    assert caught.value.extra["output"].endswith("100000")


def test_hooks_change_what_is_committed_and_its_message(place, hooks, server):
    hook(hooks, "pre-commit", "echo formatted > new.txt", "git add new.txt")
    hook(hooks, "prepare-commit-msg", 'echo "by $2" >> "$1"')
    hook(hooks, "commit-msg", 'grep -q "by message" "$1"')
    hook(hooks, "post-commit", 'git log -1 --format=%s > "$HOME/committed"', "exit 1")
    place.write("new.txt", "raw\n")

    place.publish("Add it")

    assert git(server, "show", f"{BRANCH}:new.txt") == "formatted"
    assert git(server, "log", "-1", "--format=%B", BRANCH) == "Add it\nby message"
    assert git(place.repo, "status", "--porcelain") == ""
    assert (place.root.parent / "home/committed").read_text() == "Add it by message\n"


def test_a_hook_at_the_push_is_told_what_goes_where(place, hooks, server, tmp_path):
    hook(hooks, "pre-push", f'echo "$1 $2" > {tmp_path}/said', f"cat >> {tmp_path}/said")
    place.write("new.txt", "work\n")

    done = place.publish()

    ref = f"refs/heads/{BRANCH}"
    assert (tmp_path / "said").read_text().splitlines() == [
        f"origin ssh://git.example{server}",
        f"{ref} {done['headSha']} {ref} {'0' * 40}",
    ]


@pytest.mark.parametrize("name", ["post-commit", "pre-push"])
def test_after_the_commit_a_hook_finds_nothing_left_to_commit(place, hooks, tmp_path, name):
    hook(hooks, name, f"git status --porcelain > {tmp_path}/said; echo end >> {tmp_path}/said")
    place.write("new.txt", "work\n")
    place.write("a.txt", "changed\n")

    place.publish()

    assert (tmp_path / "said").read_text() == "end\n"


@pytest.mark.parametrize("named", ["~nobody-of-that-name/hooks", "x" * 5000, "/dev/null", ""])
def test_a_folder_of_hooks_that_can_t_be_is_none(place, clone, named):
    git(clone, "config", "core.hooksPath", named)
    place.write("new.txt", "work\n")

    assert place.publish()["ok"] is True


def test_colours_and_control_characters_are_not_shown(place, hooks):
    hook(hooks, "pre-commit", "printf '\\033[31mred\\033[0m\\a\\n\\tline\\r\\n'", "exit 1")
    place.write("new.txt", "work\n")

    with pytest.raises(AppError) as caught:
        place.publish()

    assert caught.value.extra["output"] == "red\n\tline"


def test_a_hook_that_is_no_program_is_ignored_as_git_does(place, hooks):
    hook(hooks, "pre-commit", "exit 1")
    (hooks / "pre-commit").chmod(0o644)
    place.write("new.txt", "work\n")

    assert place.publish()["ok"] is True


def local(clone, home):
    git(clone, "config", "core.hooksPath", ".husky")
    return clone.parent / "sandbox/repo/.husky"


def of_the_person(clone, home):
    git(clone, "config", "--global", "core.hooksPath", "~/hooks")
    return home / "hooks"


def in_each_project(clone, home):
    git(clone, "config", "--global", "core.hooksPath", ".githooks")
    return clone.parent / "sandbox/repo/.githooks"


def of_the_person_though_the_project_has_its_own(clone, home):
    """An agent can name a folder in the repository's configuration, to get past a person's."""
    git(clone, "config", "core.hooksPath", "nowhere")
    return of_the_person(clone, home)


@pytest.mark.parametrize(
    "where", [local, of_the_person, in_each_project, of_the_person_though_the_project_has_its_own]
)
def test_where_hooks_are(place, clone, home, where):
    hook(where(clone, home), "pre-commit", "echo mine", "exit 1")
    hook(clone / ".git/hooks", "pre-commit", "echo other", "exit 1")
    place.write("new.txt", "work\n")

    with pytest.raises(AppError, match="mine"):
        place.publish()


def husky(place):
    """Set a folder of hooks in the worktree, as an installation there does."""
    git(place.repo, "config", "core.hooksPath", ".husky/_")
    return place.repo / ".husky/_"


def lefthook(place):
    """Write hooks to where git in the worktree looks for them."""
    return place.repo / git(place.repo, "rev-parse", "--git-path", "hooks")


@pytest.mark.parametrize("install", [husky, lefthook])
def test_hooks_that_an_installation_in_the_worktree_sets_up(place, hooks, install):
    hook(install(place), "pre-commit", "echo installed", "exit 1")
    place.write("new.txt", "work\n")

    with pytest.raises(AppError, match="installed"):
        place.publish()

    hook(hooks, "pre-commit", "echo 'of the person'", "exit 1")
    with pytest.raises(AppError, match="of the person"):  # nobody gets past these
        place.publish()


def test_a_hook_that_the_worktree_has_a_copy_of_runs_once(tmp_path, clone, hooks):
    hook(hooks, "pre-commit", f"echo ran >> {tmp_path}/said")
    place = place_of(clone, tmp_path / "sandbox")
    place.write("new.txt", "work\n")

    place.publish()

    assert (tmp_path / "said").read_text() == "ran\n"


# What a hook may do, in a real sandbox


@pytest.fixture
async def hostile(make_sandbox, tmp_path):
    """A sandbox whose environment has secrets, with a clone."""
    sandbox = make_sandbox(env={"MESH_SECRET": "s3cret", "ANTHROPIC_API_KEY": "s3cret"})
    url = repository(tmp_path / "origin", {"a.txt": "one\n"})
    body = config(url, "feature")
    body["git"]["identity"] = {"userName": "Ada", "userEmail": "ada@mesh.example"}
    await sandbox.post("/config", body)
    await auntil(lambda: _ready(sandbox))
    return sandbox


async def _ready(sandbox):
    status = await sandbox.get("/git/status")
    return status.status_code == 200 and status.json()["branch"] == "feature"


def names_in(text):
    return {line.partition("=")[0] for line in text.splitlines()} - {"_", "SHLVL", "OLDPWD"}


async def test_a_hook_gets_no_more_than_a_command(hostile):
    repo = hostile.root / "repo"
    for name in ("pre-commit", "pre-push"):
        hook(repo / ".git/hooks", name, f"env > {hostile.root}/{name}.env")
    (repo / "new.txt").write_text("work\n")

    await hostile.post("/git/publish", {"message": "work"})

    usual = names_in((await hostile.post("/bash", {"command": "env"})).json()["stdout"])
    more = {"GIT_EDITOR", "GIT_PREFIX", "GIT_TERMINAL_PROMPT", "GIT_INDEX_FILE"}
    more |= {"COREPACK_ENABLE_STRICT", "COREPACK_ENABLE_DOWNLOAD_PROMPT"}
    for name in ("pre-commit", "pre-push"):
        text = (hostile.root / f"{name}.env").read_text()
        assert names_in(text) - usual <= more
        assert "s3cret" not in text


async def test_stopping_ends_a_hook_and_what_it_started(hostile):
    repo = hostile.root / "repo"
    lines = ("setsid sleep 300 &", "echo $! > pid", "sleep 300")
    hook(repo / ".git/hooks", "pre-commit", *lines)
    (repo / "new.txt").write_text("work\n")
    publishing = asyncio.create_task(hostile.post("/git/publish", {"message": "work"}))
    await auntil(lambda: (repo / "pid").exists() and (repo / "pid").read_text())

    assert (await hostile.get("/git/status")).status_code == 200  # others are served meanwhile
    tasks = (await hostile.get("/tasks")).json()["tasks"]
    await hostile.post("/tasks/kill-all", {})
    error = (await publishing).json()["error"]

    assert [task["command"] for task in tasks] == ["pre-commit hook"]
    assert (error["code"], error["message"]) == ("hook_refused", "The pre-commit hook was ended.")
    await auntil(lambda: not is_alive(int((repo / "pid").read_text())))
