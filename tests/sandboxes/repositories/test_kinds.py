"""The table itself: every kind can be made by plain git."""

from __future__ import annotations

import pytest

from tests.sandboxes.repositories.gits import all_gits
from tests.sandboxes.repositories.kinds import KINDS

pytestmark = pytest.mark.programs

NEWEST = max(all_gits(), key=lambda git: git.version)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.is_for(NEWEST)])
def test_every_kind_can_be_made(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{NEWEST.folder}:/usr/bin:/bin")
    (tmp_path / "made").mkdir()

    assert KINDS[name].make(tmp_path / "made").is_dir()
