"""What a checkpoint keeps, and what it costs the folder: nothing."""

from __future__ import annotations

import os

import pytest

from mesh.git import own
from sandboxes.daemon.repository import turn_checkpoints
from sandboxes.daemon.repository.turn_checkpoints import NoCheckpoint, TurnCheckpoints
from tests.sandboxes.repositories.making import git, local


@pytest.fixture
def repo(tmp_path):
    return local(tmp_path, files={"a.txt": b"one\ntwo\n", "b.txt": b"b\n"})


@pytest.fixture
def kept(tmp_path, repo):
    root = tmp_path / "sandbox"
    root.mkdir()
    own.save(root, own.find(repo))
    return TurnCheckpoints(root)


def files(kept, thread="chat"):
    return {
        each["path"]: (each["status"], each["added"], each["removed"])
        for each in kept.diff(kept.last(thread), limit=100_000)["files"]
    }


def test_a_turn_tells_what_it_changed(kept, repo):
    (repo / "old.txt").write_text("there before\n")
    kept.begin("chat", "run", 1)
    (repo / "a.txt").write_text("one\n2\n3\n")
    (repo / "b.txt").unlink()
    (repo / "new \n name").write_text("new\n")
    (repo / "data").write_bytes(b"\0\1")
    (repo / "build").mkdir()
    (repo / "build/ignored").write_text("not kept")
    kept.end("run", 1)
    assert files(kept) == {
        "a.txt": ("M", 2, 1),
        "b.txt": ("D", 0, 1),
        "new \n name": ("A", 1, 0),
        "data": ("A", None, None),
    }


def test_what_comes_after_a_turn_is_not_its_own(kept, repo):
    kept.begin("chat", "run", 1)
    kept.end("run", 1)
    (repo / "a.txt").write_text("the person's\n")
    assert files(kept) == {}


def test_a_turn_under_way_tells_what_it_has_changed_so_far(kept, repo):
    kept.begin("chat", "run", 1)
    (repo / "a.txt").write_text("one\n")
    assert files(kept) == {"a.txt": ("M", 0, 1)}


def test_a_commit_in_the_turn_takes_nothing_from_it(kept, repo):
    kept.begin("chat", "run", 1)
    (repo / "a.txt").write_text("one\n")
    git(repo, "commit", "-qam", "the agent's")
    kept.end("run", 1)
    assert files(kept) == {"a.txt": ("M", 0, 1)}


def test_each_thread_has_its_own_last_turn(kept, repo):
    kept.begin("chat", "run", 1)
    kept.end("run", 1)
    (repo / "a.txt").write_text("one\n")
    kept.begin("another", "its run", 1)
    kept.end("its run", 1)
    assert (files(kept), files(kept, "another")) == ({}, {})
    with pytest.raises(NoCheckpoint):
        kept.last("a third")


def test_a_file_that_becomes_a_folder_is_kept(kept, repo):
    kept.begin("chat", "run", 1)
    (repo / "b.txt").unlink()
    (repo / "b.txt").mkdir()
    (repo / "b.txt/inside").write_text("in\n")
    kept.end("run", 1)
    assert files(kept) == {"b.txt": ("D", 0, 1), "b.txt/inside": ("A", 1, 0)}


def test_a_file_that_becomes_an_empty_folder_is_gone(kept, repo):
    kept.begin("chat", "run", 1)
    (repo / "b.txt").unlink()
    (repo / "b.txt").mkdir()
    kept.end("run", 1)
    assert files(kept) == {"b.txt": ("D", 0, 1)}


def test_nothing_is_read_through_a_link_in_the_place_of_a_folder(kept, repo, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/app.py").write_text("secret\n")
    kept.begin("chat", "run", 1)
    (repo / "src/app.py").unlink()
    (repo / "src").rmdir()
    (repo / "src").symlink_to(tmp_path / "outside")
    kept.end("run", 1)
    assert files(kept) == {"src": ("A", 1, 0), "src/app.py": ("D", 0, 1)}


def test_what_can_not_be_kept_does_not_stop_the_rest(kept, repo, monkeypatch):
    monkeypatch.setattr(turn_checkpoints, "FILE_LIMIT", 100)
    kept.begin("chat", "run", 1)
    os.mkfifo(repo / "pipe")
    git(repo, "init", "-q", "nested")
    (repo / "nested/file").write_text("not ours\n")
    (repo / "large").write_text("x" * 101)
    (repo / "a.txt").write_text("one\n")
    kept.end("run", 1)
    assert files(kept) == {"a.txt": ("M", 0, 1)}
    assert kept.diff(kept.last("chat"), limit=1000)["notKept"] == ["large"]


def test_a_repository_without_a_commit_has_checkpoints(tmp_path):
    root, repo = tmp_path / "sandbox", tmp_path / "fresh"
    root.mkdir()
    git(tmp_path, "init", "-q", repo)
    own.save(root, own.find(repo))
    kept = TurnCheckpoints(root)
    kept.begin("chat", "run", 1)
    (repo / "first").write_text("1\n")
    kept.end("run", 1)
    assert files(kept) == {"first": ("A", 1, 0)}


def test_a_folder_that_is_no_repository_has_none(tmp_path):
    kept = TurnCheckpoints(tmp_path)
    kept.begin("chat", "run", 1)
    kept.end("run", 1)
    assert kept.turns() == []


def test_a_merge_with_conflicts_stays_as_it_is(kept, repo):
    git(repo, "checkout", "-qb", "other")
    (repo / "a.txt").write_text("theirs\n")
    git(repo, "commit", "-qam", "theirs")
    git(repo, "checkout", "-q", "main")
    (repo / "a.txt").write_text("ours\n")
    git(repo, "commit", "-qam", "ours")
    with pytest.raises(AssertionError):
        git(repo, "merge", "-q", "other")
    before = git(repo, "ls-files", "-u")
    kept.begin("chat", "run", 1)
    (repo / "a.txt").write_text("resolved\n")
    kept.end("run", 1)
    assert (git(repo, "ls-files", "-u"), list(files(kept))) == (before, ["a.txt"])


def test_objects_are_bounded_and_the_newer_turns_stay(kept, repo, monkeypatch):
    monkeypatch.setattr(turn_checkpoints, "MOST_BYTES", 20_000)
    for number in range(6):
        kept.begin("chat", f"run {number}", 1)
        (repo / "a.txt").write_bytes(os.urandom(8_000))
        kept.end(f"run {number}", 1)
    assert [turn.run for turn in kept.turns()][-1] == "run 5"
    assert len(kept.turns()) < 6
    assert list(files(kept)) == ["a.txt"]
    for turn in kept.turns():
        assert kept.diff(turn, limit=100)["files"]


def test_a_long_diff_is_cut(kept, repo):
    kept.begin("chat", "run", 1)
    (repo / "a.txt").write_text("line\n" * 1000)
    kept.end("run", 1)
    found = kept.diff(kept.last("chat"), limit=500)
    assert (len(found["diff"]), found["truncated"]) == (500, True)
