"""How long one command of git may take."""

from pathlib import Path

import pytest

from mesh.git.calls import Call
from sandboxes.daemon import git
from sandboxes.daemon.git import Git, GitFailed


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
