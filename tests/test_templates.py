"""A copy of a migrated database is never one that other migrations have made."""

from __future__ import annotations

from pathlib import Path

from mesh.develop import OURS, ROOT
from tests import templates


def test_each_migration_of_ours_decides():
    ours = {path for app in OURS for path in (ROOT / app).glob("migrations/0*.py")}

    assert ours
    assert ours <= set(templates.sources())


def test_a_changed_migration_has_a_template_of_its_own(tmp_path, monkeypatch):
    migration = tmp_path / "0001_first.py"
    monkeypatch.setattr(templates, "sources", lambda: [migration])
    migration.write_text("a")
    before = templates.digest()

    migration.write_text("b")

    assert templates.digest() != before


def test_without_a_template_nothing_is_copied_and_nothing_is_left(tmp_path):
    name = tmp_path / "test.sqlite3"
    name.write_text("of an earlier start")
    Path(f"{name}-wal").write_text("of an earlier start")

    assert not templates.copy(tmp_path / "none.sqlite3", name)
    assert list(tmp_path.iterdir()) == []
