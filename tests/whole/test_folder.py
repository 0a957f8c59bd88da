"""MESH_FOLDER: agents work on a person's repository, in a worktree beside it."""

import subprocess

import pytest

from tests.running import RunningMesh, events, say, until_finish


def git(folder, *words):
    answer = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return answer.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "hello.txt").write_text("hello from main\n")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=Ada", "-c", "user.email=ada@mesh.example", "commit", "-qm", "One")
    return folder


@pytest.fixture
def mesh(tmp_path, repository):
    running = RunningMesh(tmp_path / "home", MESH_FOLDER=str(repository))
    try:
        running.start().online()
        yield running
    finally:
        running.close()


def run(mesh, command):
    with mesh.client() as api:
        thread = api.post("/threads", json={}).json()["id"]
        posted = say(api, thread, f"run {command}", harnessId="demo").json()
        seen = until_finish(events(api, thread, run=posted["runId"]))
    return str([chunk["output"] for _, chunk in seen if chunk["type"] == "tool-output-available"])


def test_a_chat_works_in_a_worktree_and_leaves_the_checkout_alone(mesh, repository):
    said = run(mesh, "cat hello.txt; git branch --show-current; echo changed > hello.txt")

    assert "hello from main" in said
    assert "mesh/" in said
    assert git(repository, "branch", "--show-current") == "main"
    assert git(repository, "status", "--porcelain") == ""


def test_two_chats_have_two_worktrees(mesh, repository):
    run(mesh, "touch mine")

    assert "mine" not in run(mesh, "ls")
    assert len(git(repository, "worktree", "list").splitlines()) == 3
