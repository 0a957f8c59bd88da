"""Files that agents can swap for something that never ends."""

from __future__ import annotations

import os

import pytest

from mesh.plain_files import MOST, open_plain, read_plain, write_plain


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

    with pytest.raises(OSError, match=r"regular file|directory"):
        read_plain(tmp_path / "pid")


@pytest.mark.parametrize("make", [a_pipe, a_link_to_a_device])
def test_what_is_written_goes_into_a_new_file(tmp_path, make):
    make(tmp_path / "pid")

    write_plain(tmp_path / "pid", "1")

    assert (tmp_path / "pid").lstat().st_mode & 0o777 == 0o600
    assert read_plain(tmp_path / "pid") == "1"


def test_what_is_written_goes_through_no_link(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "pid").symlink_to("precious")

    write_plain(tmp_path / "pid", "1")

    assert (tmp_path / "precious").read_text() == "kept"


@pytest.mark.parametrize("make", [a_pipe, a_link_to_a_device])
def test_only_a_plain_file_is_opened_for_writing(tmp_path, make):
    make(tmp_path / "lock")

    with pytest.raises(OSError, match=r"regular file|No such device"):
        open_plain(tmp_path / "lock", os.O_WRONLY | os.O_CREAT)
