"""Files that agents can swap for something that never ends."""

from __future__ import annotations

import os

import pytest

from mesh.plain_files import MOST, read_plain


def a_pipe(path):
    os.mkfifo(path)


def a_link_to_a_device(path):
    path.symlink_to("/dev/null")


def a_folder(path):
    path.mkdir()


def an_endless_one(path):
    path.touch()
    os.truncate(path, MOST + 1)


def test_a_plain_file_is_read(tmp_path):
    (tmp_path / "pid").write_bytes(b"{}\xff")

    assert read_plain(tmp_path / "pid") == "{}\ufffd"


@pytest.mark.parametrize("make", [a_pipe, a_link_to_a_device, a_folder, an_endless_one])
def test_anything_else_is_refused_at_once(tmp_path, make):
    make(tmp_path / "pid")

    with pytest.raises(OSError, match=r"plain file|directory"):
        read_plain(tmp_path / "pid")
