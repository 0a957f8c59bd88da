"""Repositories that no chat can work in: one clear error, and nothing is changed."""

from __future__ import annotations

import asyncio
import os

import pytest

from mesh.lib.errors import AppError
from sandboxes.daemon.checkout.checkout import Checkout
from sandboxes.daemon.notices import Notices
from sandboxes.daemon.spec import parse_spec
from tests.sandboxes.repositories import snapshot
from tests.sandboxes.repositories.gits import all_gits
from tests.sandboxes.repositories.kinds import KINDS
from tests.sandboxes.repositories.test_every_kind import WHO
from tests.sandboxes.repositories.unprivileged import unprivileged

pytestmark = pytest.mark.programs

REFUSED = [
    pytest.param(git, kind, id=f"{git}-{name}")
    for git in all_gits()
    for name, kind in KINDS.items()
    if kind.is_for(git) and kind.refused
]


@pytest.mark.parametrize(("git", "kind"), REFUSED)
def test_it_is_refused_and_nothing_is_changed(git, kind, tmp_path, monkeypatch):
    (tmp_path / ".gitconfig").write_text(WHO)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{git.folder}{os.pathsep}{os.environ['PATH']}")
    made, root = tmp_path / "made", tmp_path / "root"
    made.mkdir()
    root.mkdir()
    spec = {"handle": root.name, "folder": str(kind.make(made)), "branch": kind.branch}
    checkout = Checkout(parse_spec(spec), root / "repo", Notices(root))
    before = snapshot.files(made, times=True)

    with pytest.raises(AppError) as refused:
        unprivileged(lambda: asyncio.run(checkout.ready()))

    assert refused.value.code == kind.refused
    assert snapshot.files(made, times=True) == before
    assert not (root / "repo").exists()
