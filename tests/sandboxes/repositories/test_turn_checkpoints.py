"""Checkpoints in every kind of repository: they keep the agent's work and change nothing."""

from __future__ import annotations

import os

import pytest

from mesh.lib.quoted_names import unquote
from sandboxes.daemon.repository.turn_checkpoints import FOLDER, TurnCheckpoints
from tests.sandboxes.repositories import agent, snapshot
from tests.sandboxes.repositories.gits import all_gits
from tests.sandboxes.repositories.kinds import KINDS
from tests.sandboxes.repositories.life import OF_GIT, PLAINLY, Life
from tests.sandboxes.repositories.making import git, ran

pytestmark = pytest.mark.programs

WHO = "[user]\n\tname = Ada\n\temail = ada@mesh.example\n"
STARTED = [
    pytest.param((git, name), id=f"{git}-{name}")
    for git in all_gits()
    for name, kind in KINDS.items()
    if kind.is_for(git) and not kind.refused
]
SAID = (
    ("status", "--porcelain=v2", "--branch", "--ignored"),
    ("stash", "list"),
    ("reflog", "--all"),
    ("fsck", "--no-progress"),
    ("config", "--list", "--local"),
    ("for-each-ref",),
)


@pytest.fixture(params=STARTED)
def life(request, tmp_path, monkeypatch):
    """A chat that has begun in a repository of that kind."""
    found, name = request.param
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text(WHO + KINDS[name].gitconfig)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{found.folder}{os.pathsep}{os.environ['PATH']}")
    life = Life(name, tmp_path)
    life.start()
    return life


def everything(life):
    """All files of the person's and of the sandbox, and what git says in the worktree."""
    files = {
        place: snapshot.files(place, times=True, without=rf"(.*/)?({FOLDER}|ran)(/.*)?")
        for place in (life.made, life.root)
    }
    plain = ("--no-optional-locks", *PLAINLY, *life.kind.plainly)
    return files, [said(life.repo, *plain, *words) for words in SAID]


def said(folder, *words):
    """What git says, or why it does not: fsck of some gits does not like a chat's worktree."""
    try:
        return git(folder, *words)
    except AssertionError as refused:
        return str(refused)


def changed(life, before):
    after = snapshot.files(life.repo, without=OF_GIT)
    both = {**before, **after}
    return {
        path
        for path in both
        if before.get(path) != after.get(path)
        and both[path][0] != "folder"
        and not (life.repo / path).is_dir()
    }


def test_a_turn_is_kept_and_nothing_of_the_person_s_changes(life):
    kept = TurnCheckpoints(life.root)
    files = snapshot.files(life.repo, without=OF_GIT)
    life._repository().facts()  # the view of the repository is made by now
    (life.made / "ran").unlink(missing_ok=True)
    before = everything(life)
    (life.made / "ran").unlink(missing_ok=True)
    kept.begin("a chat", "a run", 1)
    assert ran(life.made) <= life.kind.runs
    assert everything(life) == before
    agent.work(life.repo)
    worked = everything(life)
    (life.made / "ran").unlink(missing_ok=True)
    kept.end("a run", 1)
    assert ran(life.made) <= life.kind.runs
    assert everything(life) == worked
    listed = kept.diff(kept.last("a chat"), limit=1_000_000)["files"]
    assert {unquote(file["path"]) for file in listed} == changed(life, files)
