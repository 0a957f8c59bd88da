"""The pages' files over several versions of Mesh."""

from __future__ import annotations

import pytest

from mesh.embedded import static_files
from mesh.embedded.static_files import KEPT


@pytest.fixture
def collect(tmp_path, settings):
    """Return ``collect(text)``: the names of the files of versions, after one whose script says
    ``text`` was installed."""
    sources, folder = tmp_path / "sources", tmp_path / "static"
    sources.mkdir()
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [sources]
    settings.STATIC_ROOT = folder
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "mesh.staticfiles.HashedFiles"}
    }

    def collect(text):
        (sources / "late.js").write_text(f"export const word = {text!r};\n" * 50)
        static_files.collect(folder, tmp_path / "history.json")
        return {path.name for path in folder.iterdir()}

    return collect


def scripts(names):
    return {name for name in names if name.startswith("late.") and name.count(".") == 2} - {
        "late.js.gz"
    }


def test_the_scripts_of_the_last_versions_stay_and_older_ones_go(collect):
    first, second, third, fourth = map(scripts, map(collect, ["1", "2", "3", "4"]))

    assert [len(names) for names in (first, second, third, fourth)] == [1, 2, 3, KEPT]
    assert first < second < third
    assert first.isdisjoint(fourth)
    assert second - first < fourth


def test_the_same_version_twice_is_one(collect):
    names = collect("1")

    assert collect("1") == names
    collect("2")
    collect("2")
    assert len(scripts(collect("3"))) == KEPT


def test_an_older_version_has_its_own_script_again(collect, tmp_path):
    collect("1")
    collect("2")
    collect("1")

    assert "'1'" in (tmp_path / "static" / "late.js").read_text()


def test_packed_files_go_with_theirs(collect):
    names = set.union(*map(collect, ["1", "2"]))
    later = [collect(text) for text in ["3", "4", "5"]][-1]

    gone = names - later
    assert any(name.endswith(".gz") for name in gone)
    assert not any(name.removesuffix(".gz") in gone for name in later)


@pytest.mark.parametrize("history", ["", "{", "[1]", "{}"])
def test_a_history_that_can_not_be_read_counts_as_none(collect, tmp_path, history):
    before = scripts(collect("1"))
    (tmp_path / "history.json").write_text(history)

    assert before < scripts(collect("2"))
