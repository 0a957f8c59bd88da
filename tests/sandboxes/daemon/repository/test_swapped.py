"""Folders that an agent swaps between the look at a path and what is done there."""

from __future__ import annotations

from contextlib import contextmanager

from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.repository.discard import move_away


class Swapping(Tree):
    """Puts a link to ``outside`` in the place of the folder, as soon as a path was looked at."""

    outside = None

    @contextmanager
    def at(self, path, **how):
        with super().at(path, **how) as spot:
            (self.top / "folder").rename(self.top / "moved")
            (self.top / "folder").symlink_to(self.outside)
            yield spot


def test_what_is_discarded_is_never_another_folders_file(tmp_path):
    top, outside, place = (tmp_path / name for name in ("top", "outside", "place"))
    for folder in (top / "folder", outside, place):
        folder.mkdir(parents=True)
    (top / "folder" / "new.txt").write_text("an agent's")
    (outside / "new.txt").write_text("a person's")
    tree = Swapping(top)
    tree.outside = outside

    move_away(tree, "folder/new.txt", place / "new.txt")

    assert (outside / "new.txt").read_text() == "a person's"
    assert (place / "new.txt").read_text() == "an agent's"
