"""What a project's start has changed, told apart from a person's work by what it looks like."""

from __future__ import annotations

import os

import pytest

from mesh import boot_files
from mesh.lib.git_status import Change

NEW = Change("file", "??")


@pytest.fixture
def noted(tmp_path):
    """The mark of a file as the start has left it."""
    (tmp_path / "file").write_text("made by a program")
    return {"file": boot_files.mark(tmp_path, NEW)}


def test_what_looks_the_same_is_nobody_s_work(tmp_path, noted):
    (tmp_path / "file").write_text("made by a program")  # again, by the next start

    assert boot_files.without([NEW], tmp_path, noted) == []


@pytest.mark.parametrize(
    ("do", "status"),
    [
        pytest.param(lambda file: file.write_text("and by a person"), "??", id="other content"),
        pytest.param(lambda file: file.chmod(0o755), "??", id="made a program"),
        pytest.param(lambda file: None, "A.", id="added by somebody"),
        pytest.param(lambda file: file.unlink(), " D", id="taken away"),
        pytest.param(lambda file: file.unlink(), "??", id="gone while we look"),
        pytest.param(lambda file: (file.unlink(), file.symlink_to("x")), "??", id="a link now"),
        pytest.param(lambda file: (file.unlink(), os.mkfifo(file)), "??", id="a pipe now"),
    ],
)
def test_what_was_changed_since_is_work(tmp_path, noted, do, status):
    do(tmp_path / "file")
    change = Change("file", status)

    assert boot_files.without([change], tmp_path, noted) == [change]


def test_a_file_that_became_a_pipe_since_we_looked_is_not_waited_for(tmp_path, monkeypatch):
    (tmp_path / "plain").touch()
    os.mkfifo(tmp_path / "file")
    facts = (tmp_path / "plain").lstat()
    monkeypatch.setattr(type(tmp_path), "lstat", lambda path: facts)

    assert boot_files.mark(tmp_path, NEW) == ""


def test_what_was_never_noted_is_work(tmp_path):
    (tmp_path / "file").write_text("x")

    assert boot_files.without([NEW], tmp_path, {}) == [NEW]


def test_a_big_file_is_known_by_size_and_time(tmp_path):
    big = tmp_path / "file"
    big.write_bytes(b"x" * (boot_files.HASHED + 1))
    noted = {"file": boot_files.mark(tmp_path, NEW)}

    assert boot_files.without([NEW], tmp_path, noted) == []
    os.utime(big, (1, 1))
    assert boot_files.without([NEW], tmp_path, noted) == [NEW]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"file": 7, "other": ""}', "[" * 10_000])
def test_notes_that_can_t_be_read_are_none(tmp_path, text):
    (tmp_path / boot_files.NAME).write_text(text)

    assert boot_files.load(tmp_path) == {}
