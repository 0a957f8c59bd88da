"""What is read from one command of git, how long it may take, and what a failure raises."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mesh.git.calls import Call
from mesh.git.errors import Locked
from mesh.git.own import find
from sandboxes.daemon import git
from sandboxes.daemon.git import Git, GitFailed, view_of


class Slow:
    """Every command takes a moment."""

    def call(self, args, parent):
        return Call(("sleep", "0.3"), parent, Path("/"))

    def explain(self, said):
        return said


def test_a_command_that_transfers_has_longer(monkeypatch):
    monkeypatch.setattr(git, "LIMIT", 0.01)

    for args in (["clone", "x"], ["-c", "a=b", "fetch", "origin"], ["push"]):
        Git().run(Slow(), *args)
    with pytest.raises(GitFailed, match="took longer"):
        Git().run(Slow(), "status")


def test_but_not_for_ever(monkeypatch):
    monkeypatch.setattr(git, "TRANSFER_LIMIT", 0.01)

    with pytest.raises(GitFailed, match="git clone took longer"):
        Git().run(Slow(), "clone", "x")


class Shell:
    """Every command is a line of the shell; its options are ignored."""

    def call(self, args, parent):
        return Call(("sh", "-c", args[0]), parent, Path("/"))

    def explain(self, said):
        return said


ODD = b" \xff\r\n\n \xe9\0\n"


def test_output_is_what_the_program_wrote_byte_for_byte():
    script = "cat; printf x >&2"

    assert Git().output(Shell(), script, given=ODD) == ODD


def test_an_answer_of_one_line_has_no_end_of_the_line_and_nothing_else_taken():
    assert Git().words(Shell(), "printf ' caf\\351 \\n'") == " caf\udce9 "


def test_names_are_those_that_arguments_accept():
    names = Git().names(Shell(), r"printf ' a\0b\nc\0\351\0'")

    assert names == [" a", "b\nc", "\udce9"]
    assert Git().names(Shell(), r"printf '\0'") == [""]
    assert Git().names(Shell(), "true") == []


def test_what_it_reads_and_writes_may_be_larger_than_a_pipe():
    much = bytes(range(256)) * 4096

    assert Git().output(Shell(), "tee /dev/stderr", given=much) == much


def test_a_command_that_reads_nothing_of_what_it_is_given():
    Git().run(Shell(), "exec 0<&-; echo done", given=b"x" * 1_000_000)


def test_the_end_of_long_errors_is_kept():
    with pytest.raises(GitFailed, match="the last line"):
        Git().run(Shell(), "yes | head -c 1000000 >&2; echo the last line >&2; exit 1")


def test_a_file_gets_the_output_from_the_program_itself(tmp_path):
    with open(tmp_path / "kept", "wb") as file:
        file.write(b"first ")
        Git().save(Shell(), "cat /proc/self/cmdline; printf 'a\\n\\n'", file=file)
        file.write(b"last")

    assert (tmp_path / "kept").read_bytes() == b"first cat\0/proc/self/cmdline\0a\n\nlast"


def test_a_command_is_ended_when_no_more_of_its_output_is_wanted():
    pieces = []

    Git().stream(Shell(), "yes", take=lambda piece: pieces.append(piece) or len(pieces) < 3)

    assert len(pieces) == 3


def test_a_program_that_stays_behind_with_the_pipes_is_not_waited_for(tmp_path):
    script = f"sleep 300 & echo $! > {tmp_path / 'pid'}; echo done"

    assert Git().words(Shell(), script) == "done"
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # it was still running


@pytest.mark.parametrize("code", [0, 1])
def test_which_exit_codes_are_no_failure(code):
    Git().stream(Shell(), f"exit {code}", take=lambda piece: True, succeeds=(0, 1))
    with pytest.raises(GitFailed, match="exit 2"):
        Git().stream(Shell(), "exit 2", take=lambda piece: True, succeeds=(0, 1))


@pytest.mark.programs
@pytest.mark.parametrize(
    ("seconds", "age"),
    [(0, "is new"), (300, "is 5 minutes old"), (7300, "is 2 hours old"), (9e5, "is 10 days old")],
)
def test_a_lock_that_is_in_the_way_is_named_with_its_age(tmp_path, seconds, age):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    lock = tmp_path / ".git/index.lock"
    lock.touch()
    os.utime(lock, (time.time() - seconds,) * 2)
    (tmp_path / "root").mkdir()
    view = view_of(find(tmp_path), tmp_path / "root")

    with pytest.raises(Locked, match=f"'{lock}'.*the lock {age}"):
        Git().run(view, "add", ".")
