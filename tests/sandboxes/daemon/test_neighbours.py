"""Chats that use one folder or one branch are told of each other, once, and of nobody else's."""

from __future__ import annotations

import json

import pytest

from mesh.git import own
from mesh.git.own import Own
from sandboxes.daemon import neighbours
from sandboxes.daemon.neighbours import (
    NAME,
    SHARED_BRANCH,
    SHARED_FOLDER,
    Use,
    in_words,
    meet,
    shared_with,
)
from sandboxes.daemon.spec import parse_spec
from tests.sandboxes.daemon.sandbox import chunks_of

CLONE = {"repo": {"cloneUrl": "https://git.example/a"}, "branch": "feature"}


@pytest.fixture
def make(tmp_path):
    """Return ``make(handle, **spec)``: a sandbox's folder, and its spec."""

    def make(handle, **spec):
        root = tmp_path / "sandboxes" / handle
        root.mkdir(parents=True)
        given = {"handle": handle, **spec}
        (root / "spec.json").write_text(json.dumps(given))
        return root, parse_spec(given)

    return make


def without_history(root):
    own.save(root, None)


def in_their_worktree(root):
    folder = root.parent.parent / "shop"
    own.save(root, Own(folder, folder / ".git", folder / ".git"))


def in_a_worktree_of_its_own(root):
    folder = root.parent.parent / "shop"
    own.save(root, Own(root / "repo", folder / ".git/worktrees/repo", folder / ".git"))


@pytest.mark.parametrize(
    ("one", "other", "codes"),
    [
        pytest.param(without_history, without_history, [SHARED_FOLDER], id="without history"),
        pytest.param(without_history, in_their_worktree, [SHARED_FOLDER], id="in their worktree"),
        pytest.param(in_a_worktree_of_its_own, without_history, [], id="in a copy"),
    ],
)
def test_two_sandboxes_in_one_folder(make, tmp_path, one, other, codes):
    mine, spec = make("mine-1", folder=str(tmp_path / "shop"))
    theirs, _ = make("theirs-1", folder=str(tmp_path / "shop"))
    one(mine)
    other(theirs)

    told = list(shared_with(mine, spec))

    assert [notice.code for notice in told] == codes
    assert all("theirs-1" in notice.text for notice in told)


@pytest.mark.parametrize(
    ("other", "codes"),
    [
        pytest.param(CLONE, [SHARED_BRANCH], id="the same branch"),
        pytest.param(CLONE | {"branch": "another"}, [], id="another branch"),
        pytest.param(
            {"repo": {"cloneUrl": "https://git.example/b"}, "branch": "feature"}, [], id="another"
        ),
    ],
)
def test_two_clones_on_one_branch(make, other, codes):
    mine, spec = make("mine-1", **CLONE)
    make("theirs-1", **other)

    assert [notice.code for notice in shared_with(mine, spec)] == codes


def test_clones_without_a_wanted_branch_share_none():
    assert in_words(Use(address="https://git.example/a"), Use(), "x-1") is None


def test_a_broken_neighbour_is_left_out(make, tmp_path):
    mine, spec = make("mine-1", folder=str(tmp_path))
    without_history(mine)
    broken, _ = make("broken-1")
    (broken / "spec.json").write_text("{")

    assert list(shared_with(mine, spec)) == []


def test_chats_of_one_sandbox_are_told_of_each_other_once(tmp_path):
    assert meet(tmp_path, "first") is None
    assert meet(tmp_path, "second").code == SHARED_FOLDER
    assert meet(tmp_path, "first").code == SHARED_FOLDER
    assert meet(tmp_path, "first") is None
    assert meet(tmp_path, "second") is None
    assert meet(tmp_path, "third") is not None


def test_only_so_many_chats_are_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(neighbours, "MOST", 3)
    for number in range(5):
        meet(tmp_path, f"chat-{number}")

    assert list(json.loads((tmp_path / NAME).read_text())) == ["chat-2", "chat-3", "chat-4"]


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "[" * 100_000])
def test_a_broken_record_counts_as_no_other_chat(tmp_path, text):
    (tmp_path / NAME).write_text(text)

    assert meet(tmp_path, "first") is None


@pytest.mark.programs
async def test_the_answer_of_the_second_chat_tells_it(make_sandbox, tmp_path):
    (tmp_path / "notes").mkdir()
    sandbox = make_sandbox(spec={"folder": str(tmp_path / "notes")})
    first = await sandbox.run("r1", ["say", "x"], folderChoices=["work_here"])
    second = await sandbox.run("r2", ["say", "x"], thread="another")
    again = await sandbox.run("r3", ["say", "x"], thread="another")

    def told(events):
        return [c["data"]["code"] for c in chunks_of(events) if c["type"] == "data-notice"]

    assert [told(first), told(second), told(again)] == [[], [SHARED_FOLDER], []]
